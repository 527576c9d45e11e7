"""Optimisers for PyTorch: steepest descent in any norm, for every parameter of a network.

:class:`SteepestDescent` is the optimiser of which :class:`SignSGD`, :class:`Signum`, :class:`NormalizedSGD`,
:class:`SpectralSGD` and :class:`Muon` are special cases; beside each stands a function without state. A
:class:`Layout` says which logical matrices a tensor holds, a :class:`Policy` routes a whole model, and
:func:`spectral_direction` is the one function behind the engines of the spectral direction. The directions
are those of :mod:`steepest.geometry`, in which experiments are run.

They need the extra [torch], which is asked for where one of them is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from steepest.extras import require

_HOME = {
    "COEFFICIENTS": "engines",
    "SCALES": "scales",
    "Iterative": "engines",
    "Layout": "layouts",
    "Muon": "named",
    "NormalizedSGD": "named",
    "Policy": "policy",
    "Route": "policy",
    "Routing": "routing",
    "SignSGD": "named",
    "Signum": "named",
    "SpectralSGD": "named",
    "SteepestDescent": "optimizer",
    "VarianceReduced": "variance_reduction",
    "cross_entropy": "losses",
    "muon": "functional",
    "normalized_sgd": "functional",
    "sign_sgd": "functional",
    "signum": "functional",
    "spectral_direction": "engines",
    "spectral_sgd": "functional",
    "steepest_descent": "functional",
}

__all__ = [
    "COEFFICIENTS",
    "SCALES",
    "Iterative",
    "Layout",
    "MarginMonitor",
    "Muon",
    "NormalizedSGD",
    "Policy",
    "Route",
    "Routing",
    "SignSGD",
    "Signum",
    "SpectralSGD",
    "SteepestDescent",
    "VarianceReduced",
    "cross_entropy",
    "muon",
    "normalized_sgd",
    "sign_sgd",
    "signum",
    "spectral_direction",
    "spectral_sgd",
    "steepest_descent",
]

if TYPE_CHECKING:
    from steepest.monitor import MarginMonitor
    from steepest.optim.engines import COEFFICIENTS, Iterative, spectral_direction
    from steepest.optim.functional import (
        muon,
        normalized_sgd,
        sign_sgd,
        signum,
        spectral_sgd,
        steepest_descent,
    )
    from steepest.optim.layouts import Layout
    from steepest.optim.losses import cross_entropy
    from steepest.optim.named import Muon, NormalizedSGD, SignSGD, Signum, SpectralSGD
    from steepest.optim.optimizer import SteepestDescent
    from steepest.optim.policy import Policy, Route
    from steepest.optim.routing import Routing
    from steepest.optim.scales import SCALES
    from steepest.optim.variance_reduction import VarianceReduced


def __getattr__(name: str):
    if name == "MarginMonitor":
        # It stands above this room: it solves for max margins, which needs a compiler.
        return import_module("steepest.monitor").MarginMonitor
    if name in _HOME:
        require("torch", f"steepest.optim.{name}")
        return getattr(import_module(f"steepest.optim.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steepest.optim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
