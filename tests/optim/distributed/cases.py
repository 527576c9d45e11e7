"""Parameters, gradients and how they are distributed; one process and many take the same steps of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from steepest.optim import Layout, Muon, NormalizedSGD, SignSGD, Signum, SpectralSGD, SteepestDescent

STEPS = 5
SHAPES = ((6, 4), (3, 5), (1, 7), (5,), (8, 3, 2, 2), (6, 4), ())
"""Among them 3 rows for 4 ranks, one row, and as many as do not split evenly."""


@dataclass(frozen=True)
class Case:
    """An optimiser and its parameters. ``shards`` has an axis for each axis of the mesh, None for copies."""

    optimizer: type[SteepestDescent]
    shapes: tuple[tuple[int, ...], ...] = SHAPES
    options: dict[str, Any] = field(default_factory=dict)
    shards: tuple[int | None, ...] | None = None
    dtype: torch.dtype = torch.float32

    def tensors(self, step: int) -> list[Tensor]:
        """Return the gradients of a step; of step -1 the parameters."""
        generator = torch.Generator().manual_seed(step + 1)
        return [torch.randn(shape, generator=generator, dtype=self.dtype) for shape in self.shapes]

    def made(self, params: list[nn.Parameter], **more: Any) -> SteepestDescent:
        return self.optimizer(params, lr=0.1, weight_decay=0.1, **self.options, **more)

    def alone(self, steps: int = STEPS) -> list[Tensor]:
        """Return what one process makes of the parameters."""
        params = [nn.Parameter(each) for each in self.tensors(-1)]
        optimizer = self.made(params)
        for step in range(steps):
            for param, grad in zip(params, self.tensors(step), strict=True):
                param.grad = grad
            optimizer.step()
        return [param.detach() for param in params]

    def mesh(self) -> DeviceMesh:
        """Return a mesh of all ranks, of one axis or two."""
        world = dist.get_world_size()
        two = self.shards is not None and len(self.shards) == 2
        return init_device_mesh("cpu", (2, world // 2) if two else (world,))

    def distributed(self, tensor: Tensor, mesh: DeviceMesh) -> Tensor:
        if self.shards is None:
            return tensor
        kinds = [
            Shard(axis) if axis is not None and axis < tensor.ndim else Replicate() for axis in self.shards
        ]
        return distribute_tensor(tensor, mesh, kinds)

    def together(self, steps: int = STEPS) -> list[Tensor]:
        """Return what this process makes of them together with others, put together again."""
        mesh = self.mesh()
        params = [nn.Parameter(self.distributed(each, mesh)) for each in self.tensors(-1)]
        optimizer = self.made(params, **({"distributed": mesh} if self.shards is None else {}))
        for step in range(steps):
            for param, grad in zip(params, self.tensors(step), strict=True):
                param.grad = self.distributed(grad, mesh)
            optimizer.step()
        return [whole(param) for param in params]


def whole(param: Tensor) -> Tensor:
    return (param.full_tensor() if isinstance(param, DTensor) else param).detach()


NORMS = ("spectral", "frobenius", "max", "row-2/inf", "largest-column-length", "schatten-4")
LAYOUTS: tuple[tuple[Layout, tuple[int, ...]], ...] = (
    (Layout.fused(), (18, 4)),
    (Layout.fused((4, 1, 1), interleaved=2, heads=(8, 2, 2)), (24, 5)),
    (Layout.fused((1, 1), transposed=True), (5, 12)),
    (Layout.heads(3, axis=1), (4, 12)),
    (Layout.experts((1, 1), transposed=True), (3, 5, 8)),
    (Layout.convolution(groups=6), (6, 1, 3, 3)),
    (Layout.convolution(groups=2, transposed=True), (4, 3, 2, 2)),
    (Layout.rows(3), (1, 5, 4)),
)


def cases(world: int) -> Iterator[Case]:
    """Yield the cases of a number of ranks: everything on two, what ranks matter to on four."""
    momentum = {"momentum": 0.9, "nesterov": True}
    axes: dict[int, tuple[tuple[int | None, ...] | None, ...]] = {
        1: (None, (0,)),
        2: (None, (0,), (1,)),
        4: (None, (0,), (0, 1), (1, 1), (None, 0)),
    }
    for shards in axes[world]:
        for norm in NORMS if world == 2 or shards == (0,) else ("spectral", "frobenius"):
            yield Case(SteepestDescent, options={"norm": norm, **momentum}, shards=shards)
        for norm in ("spectral", "row-2/inf", "frobenius") if world == 2 else ("spectral", "frobenius"):
            for layout, shape in (
                LAYOUTS if world == 2 or shards == {"spectral": (0,)}.get(norm, (0, 1)) else ()
            ):
                options = {"norm": norm, "momentum": 0.9, "layout": layout, "scale": "aspect"}
                yield Case(SteepestDescent, (shape, shape), options, shards)
    for cls in (SignSGD, Signum, NormalizedSGD, SpectralSGD, Muon):
        yield Case(cls)
        yield Case(cls, shards=(0,))
    for norm in ("frobenius", "largest-row-length"):
        yield Case(SteepestDescent, options={"norm": norm}, shards=(1,), dtype=torch.float64)
    kept = {"norm": "spectral", "momentum": 0.9, "nesterov": True}
    yield Case(SteepestDescent, options={**kept, "momentum_dtype": "bfloat16"}, shards=(0,))
    yield Case(SteepestDescent, options={**kept, "momentum_dtype": "int8"})
    for dtype in (torch.bfloat16, torch.complex64):
        yield Case(Muon, ((6, 4), (3, 5), (7,)), {}, (0,), dtype)
    yield Case(SignSGD, ((6, 4), (3, 5)), {"maximize": True, "foreach": False}, (0,))
    yield Case(Muon, ((6, 4), (3, 5)), {"maximize": True, "foreach": False, "polar": "svd"}, (0,))


def all_together() -> list[list[Tensor]]:
    return [case.together() for case in cases(dist.get_world_size())]
