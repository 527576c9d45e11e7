"""Optimisers: engines of the spectral direction, and whole steps of known networks, beside PyTorch's own.

Every row interleaves its candidates and prints the median of their processor seconds on one thread, as a
multiple of the first one; errors are relative Frobenius errors against an SVD in float64. Networks are their
parameters' shapes with Gaussian gradients, of which the Gram matrices are as well conditioned as can be; rows
called "low rank" have gradients of half the rank.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.tables import machine, print_table
from steepest.geometry import polar_factor
from steepest.optim import Muon, NormalizedSGD, SignSGD, Signum, spectral_direction
from steepest.optim.engines.measured import multiplies_bfloat16_fast

Shape = tuple[int, ...]
Timed = dict[str, Callable[[], object]]

_MATRICES: tuple[tuple[int, Shape, bool], ...] = (
    (1, (768, 3072), False),
    (1, (768, 3072), True),
    (1, (768, 768), False),
    (1, (768, 768), True),
    (1, (768, 2304), False),
    (6, (256, 2304), False),
    (12, (128, 512), False),
    (12, (64, 576), False),
    (50, (64, 64), False),
    (200, (32, 32), False),
    (200, (16, 16), False),
    (200, (16, 144), False),
)
_CRUDE = "polar-express-5"
_FLOAT32 = "newton-schulz-5-direct-float32"


def run(arguments: list[str]) -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks optim", description=__doc__)
    parser.add_argument("tables", nargs="*", help="engines, steps, elementwise; all by default")
    parser.add_argument(
        "--repeats", type=int, default=5, help="of each candidate, of which the median counts"
    )
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), help=", ".join(NETWORKS))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    fast = "fast" if multiplies_bfloat16_fast("cpu") else "slow"
    print(f"{machine('torch')}; one thread; bfloat16 is {fast} here\n")
    tables = {"engines": _engines, "steps": _steps, "elementwise": _elementwise}
    for name in given.tables or tables:
        tables[name](given.repeats, given.networks)
        print()


def medians(candidates: Timed, repeats: int) -> dict[str, float]:
    """Return the median processor seconds of each candidate, run in turn."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for work in candidates.values():
        work()
    for _ in range(repeats):
        for name, work in candidates.items():
            start = time.process_time()
            work()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _torch_s(S: Tensor) -> Tensor:
    """Return what torch.optim.Muon makes of each matrix: the steps of one optimiser without momentum."""
    weights = [nn.Parameter(torch.zeros_like(each)) for each in S]
    for weight, gradient in zip(weights, S, strict=True):
        weight.grad = gradient
    optimizer = torch.optim.Muon(weights, lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False)
    optimizer.step()
    factor = max(1.0, S.shape[-2] / S.shape[-1]) ** 0.5
    return torch.stack([-weight.detach() for weight in weights]) / factor


def _engines(repeats: int, _networks: list[str]) -> None:
    rows = []
    candidates: Timed = {}
    for count, (m, n), low in _MATRICES:
        generator = torch.Generator().manual_seed(0)
        S = torch.randn(count, m, n, generator=generator)
        if low:
            half = m // 2
            S = S[..., :half] @ torch.randn(count, half, n, generator=generator)
        exact = polar_factor(S.double(), 5e-5)
        weights = [nn.Parameter(torch.zeros(m, n)) for _ in range(count)]
        for weight, gradient in zip(weights, S, strict=True):
            weight.grad = gradient.clone()
        theirs = torch.optim.Muon(weights, lr=1e-9, weight_decay=0.0, momentum=0.0, nesterov=False)
        candidates = {
            "torch.optim.Muon": theirs.step,
            "auto": lambda S=S: spectral_direction(S),
            "loop of auto": lambda S=S: [spectral_direction(each) for each in S],
            "SVD": lambda S=S: spectral_direction(S, "svd"),
            "crude": lambda S=S: spectral_direction(S, _CRUDE),
            "loop of crude": lambda S=S: [spectral_direction(each, _CRUDE) for each in S],
            "float32 loop": lambda S=S: [spectral_direction(each, _FLOAT32) for each in S],
        }
        taken = medians(candidates, repeats)
        errors = [
            float((found - exact).norm() / exact.norm())
            for found in (_torch_s(S), spectral_direction(S), spectral_direction(S, _CRUDE))
        ]
        first = taken["torch.optim.Muon"]
        name = f"{count} of {m}×{n}{', low rank' if low else ''}"
        ratios = [f"{taken[each] / first:.2f}" for each in list(candidates)[1:]]
        rows.append([name, f"{1e3 * first:.1f}", *ratios, *(f"{error:.1e}" for error in errors)])
    columns = ["matrices", "torch.optim.Muon, ms", *list(candidates)[1:]]
    print_table([*columns, "error of torch", "of auto", "of crude"], rows)


def _gpt2() -> Iterable[Shape]:
    """Return the hidden matrices of GPT-2 small."""
    for _ in range(12):
        yield from ((2304, 768), (768, 768), (3072, 768), (768, 3072))


def _resnet() -> Iterable[Shape]:
    """Return the kernels of ResNet-50 as matrices."""
    yield (64, 147)
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            yield from ((width, inputs), (width, 9 * width), (4 * width, width))
            if block == 0:
                yield (4 * width, inputs)
            inputs = 4 * width


def _with_vectors(hidden: Iterable[Shape], before: int, tables: tuple[Shape, ...]) -> Network:
    """Return hidden matrices, tables, and vectors: biases, and the pairs of the layers that normalise."""
    matrices = list(hidden)
    vectors = [(rows,) for rows, _ in matrices] + [(before,)] * (2 * (len(matrices) // 2 + 1))
    return Network(matrices, list(tables), vectors)


class Network(NamedTuple):
    """Shapes of the parameters of a network, by how they are trained."""

    hidden: list[Shape]
    tables: list[Shape]
    vectors: list[Shape]

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return sum(math.prod(shape) for shapes in self for shape in shapes)


NETWORKS: dict[str, Callable[[], Network]] = {
    "gpt2": lambda: _with_vectors(_gpt2(), 768, ((50257, 768), (1024, 768))),
    "vit": lambda: _with_vectors([(768, 768), *_gpt2()], 768, ((1000, 768), (197, 768))),
    "resnet50": lambda: Network(list(_resnet()), [(1000, 2048)], [(rows,) for rows, _ in _resnet()] * 2),
}


def _gradients(shapes: Iterable[Shape]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def _parameters(shapes: Iterable[Shape], gradients: list[Tensor] | None = None) -> list[nn.Parameter]:
    shapes = list(shapes)
    found = []
    for shape, gradient in zip(shapes, gradients or _gradients(shapes), strict=True):
        weight = nn.Parameter(torch.zeros(shape))
        weight.grad = gradient
        found.append(weight)
    return found


def _theirs(network: Network, gradients: list[list[Tensor]]) -> Callable[[], object]:
    """Return a step of torch.optim.Muon for hidden matrices and of AdamW for all else."""
    hidden, tables, vectors = (
        _parameters(shapes, own) for shapes, own in zip(network, gradients, strict=True)
    )
    matrices = torch.optim.Muon(hidden, lr=1e-3, weight_decay=0.1)
    others = torch.optim.AdamW([*tables, *vectors], lr=1e-3, weight_decay=0.1, fused=True)
    return lambda: (matrices.step(), others.step())


def _ours(network: Network, gradients: list[list[Tensor]], polar: str) -> Callable[[], object]:
    """Return a step of one object for all parameters."""
    norms = ("spectral", "row-2/inf", "frobenius")
    groups = [
        {"params": _parameters(shapes, own), "norm": norm}
        for norm, shapes, own in zip(norms, network, gradients, strict=True)
    ]
    return Muon(groups, lr=1e-3, weight_decay=0.1, polar=polar).step


def _steps(repeats: int, networks: list[str]) -> None:
    rows = []
    for name in networks:
        network = NETWORKS[name]()
        gradients = [_gradients(shapes) for shapes in network]
        candidates: Timed = {
            "torch.optim.Muon": _theirs(network, gradients),
            "auto": _ours(network, gradients, "auto"),
            "crude": _ours(network, gradients, _CRUDE),
        }
        taken = medians(candidates, max(1, repeats // 2))
        first = taken["torch.optim.Muon"]
        ratios = (f"{taken[each] / first:.2f}" for each in ("auto", "crude"))
        rows.append([f"{name}, {network.entries / 1e6:.0f} million", f"{first:.2f}", *ratios])
    print_table(["whole step", "torch.optim.Muon and AdamW, s", "Muon, exact", "Muon, crude"], rows)


def _elementwise(repeats: int, _networks: list[str]) -> None:
    shapes = {
        "12 of 768×3072": [(768, 3072)] * 12,
        "resnet50": list(_resnet()),
        "500 of 32×32": [(32, 32)] * 500,
    }
    rows = []
    candidates: Timed = {}
    for name, own in shapes.items():
        candidates = {
            "SGD foreach": torch.optim.SGD(_parameters(own), lr=1e-3, foreach=True).step,
            "SGD fused": torch.optim.SGD(_parameters(own), lr=1e-3, fused=True).step,
            "SGD foreach, momentum": torch.optim.SGD(
                _parameters(own), lr=1e-3, momentum=0.9, foreach=True
            ).step,
            "SGD fused, momentum": torch.optim.SGD(_parameters(own), lr=1e-3, momentum=0.9, fused=True).step,
            "SignSGD": SignSGD(_parameters(own), lr=1e-3).step,
            "NormalizedSGD": NormalizedSGD(_parameters(own), lr=1e-3).step,
            "Signum": Signum(_parameters(own), lr=1e-3).step,
        }
        taken = medians(candidates, 4 * repeats)
        rows.append([name, *(f"{1e3 * taken[each]:.2f}" for each in candidates)])
    print_table(["parameters, ms a step", *candidates], rows)
