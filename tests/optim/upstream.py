"""PyTorch's own tests of optimisers on the classes of this library, in the place of PyTorch's.

    python -m tests.optim.upstream PATH/TO/pytorch/test/test_optim.py [-k cpu] [-v]

takes the file at the tag of the PyTorch that is installed. What the entries say that these classes can do
is as much as PyTorch's entry of SGD says of it, apart from fused kernels and two things that hold of norms:

* Complex parameters move as their real views. PyTorch checks that (``test_complex``) together with moving
  as two parameters, one real and one imaginary (``test_complex_2d``), which only steps of single entries do:
  those of the max-norm. ``tests/optim/test_contract.py`` has the former for every class.
* On Rosenbrock's function, one coordinate a step, steps of a fixed length go to and fro across the valley,
  whatever the gradients: at the learning rate that is tuned for SGD they end there.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

# Where CI is set, PyTorch's runner writes XML by a package of its own.
os.environ.pop("CI", None)
import torch.testing._internal.common_optimizers as common

from steepest.optim import Muon, NormalizedSGD, SignSGD, Signum, SpectralSGD, SteepestDescent

__all__ = ["entries", "main"]

Inputs = Callable[..., list[common.OptimizerInput]]

_IMPORTED = {
    "optim.test_lrscheduler": "TestLRScheduler",
    "optim.test_optim": "TestDifferentiableOptimizer",
    "optim.test_swa_utils": "TestSWAUtils",
}
"""Modules beside PyTorch's file of which it imports tests of other parts, none of them of these classes."""


def entries() -> list[common.OptimizerInfo]:
    """Return what PyTorch's tests are to know of each class; Muon under another name too.

    Tests that know the name Muon give it no vectors.
    """
    return [
        _entry(SteepestDescent, _steepest_descent),
        _entry(SignSGD, _without_momentum),
        _entry(Signum, _with_momentum),
        _entry(NormalizedSGD, _with_momentum),
        _entry(SpectralSGD, _spectral),
        _entry(Muon, _muon),
        _entry(type("SpectralMuon", (Muon,), {}), _muon),
    ]


def main(arguments: list[str]) -> None:
    """Run PyTorch's file on the entries: its path, and then options of unittest."""
    path = Path(arguments[0]).resolve()
    common.optim_db[:] = entries()
    sys.path.insert(0, str(path.parent))
    if not (path.parent / "optim").is_dir():
        _stand_in()
    sys.argv[:] = [str(path), *arguments[1:]]
    runpy.run_path(str(path), run_name="__main__")


def _entry(cls: Any, inputs: Inputs) -> common.OptimizerInfo:
    entry_of_sgd = next(entry for entry in common.optim_db if entry.optim_cls is torch.optim.SGD)
    kwargs, _ = entry_of_sgd.metadata_for_sparse
    return common.OptimizerInfo(
        cls,
        optim_inputs_func=inputs,
        scheduler_inputs=entry_of_sgd.scheduler_inputs,
        supported_impls=("foreach", "differentiable"),
        has_capturable_arg=True,
        supports_sparse=True,
        metadata_for_sparse=({**kwargs, "lr": 3e-4}, entry_of_sgd.metadata_for_sparse[1]),
        supports_complex=cls in (SignSGD, Signum),
        optim_error_inputs_func=common.get_error_inputs_for_all_optims,
    )


def _input(**kwargs: object) -> common.OptimizerInput:
    no_params: Any = None
    return common.OptimizerInput(params=no_params, kwargs=kwargs, desc=str(kwargs))


def _without_momentum(device: object, dtype: object = None) -> list[common.OptimizerInput]:
    return [
        _input(),
        _input(lr=1e-2),
        _input(lr=torch.tensor(1e-3)),
        _input(weight_decay=0.5),
        _input(weight_decay=torch.tensor(0.1)),
        _input(weight_decay=0.1, maximize=True),
        _input(lr=torch.tensor(1e-3), weight_decay=0.1, capturable=True),
        _input(lr=torch.tensor([1e-3]), weight_decay=0.1, maximize=True, capturable=True),
    ]


def _with_momentum(device: object, dtype: object = None) -> list[common.OptimizerInput]:
    return [
        *_without_momentum(device),
        _input(momentum=0.0),
        _input(momentum=0.9),
        _input(momentum=0.9, weight_decay=0.1),
        _input(momentum=0.9, nesterov=True, weight_decay=0.1),
    ]


def _steepest_descent(device: object, dtype: object = None) -> list[common.OptimizerInput]:
    norms = ("max", "frobenius", "row-2/inf", "schatten-4", "mean-square-spectral")
    return [*_with_momentum(device), *(_input(norm=norm, momentum=0.9) for norm in norms)]


def _spectral(device: object, dtype: object = None) -> list[common.OptimizerInput]:
    engines = ("svd", "gram", "polar-express")
    return [*_without_momentum(device), *(_input(polar=polar) for polar in engines)]


def _muon(device: object, dtype: object = None) -> list[common.OptimizerInput]:
    others = [_input(polar="newton-schulz-5"), _input(scale="matched-rms"), _input(power=0.5)]
    return [*_with_momentum(device), *others]


def _stand_in() -> None:
    sys.modules["optim"] = ModuleType("optim")
    for name, cls in _IMPORTED.items():
        sys.modules[name] = module = ModuleType(name)
        setattr(module, cls, type(cls, (), {}))


if __name__ == "__main__":
    main(sys.argv[1:])
