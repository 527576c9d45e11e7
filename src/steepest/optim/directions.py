"""Directions of steepest descent of tensors: the laboratory's norms, at the speed that training asks for.

The norms that optimisers are made of (max, Frobenius, rows, columns, spectral) are computed here by a few
operations of PyTorch, without a look at the entries from the host; multiples of a norm by its own. Every
other norm computes its own direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from steepest.geometry import Norm, norm, norm_label, same_norm
from steepest.geometry.facts import MULTIPLE
from steepest.optim.engines import Polar, spectral_direction

__all__ = ["Direction", "direction_of", "is_spectral"]


@dataclass(frozen=True)
class Direction:
    """The direction of steepest descent in one norm.

    Args:
        of_matrices: D(S) of matrices [b, k, d].
        of_tensors: D of a list of tensors, each of which is one matrix, of any shape; None where the shape
            matters.
        length: Frobenius length of D(S) for an S of full rank, by rows and columns; None if that varies.
        factor: by which the norm is larger than the one that ``of_matrices`` is the direction of.
    """

    of_matrices: Callable[[Tensor], Tensor]
    of_tensors: Callable[[list[Tensor]], list[Tensor]] | None = None
    length: Callable[[int, int], float] | None = None
    factor: Callable[[tuple[int, ...]], float] | None = None

    def divisor(self, rows: int, columns: int) -> float:
        """Return by what the directions [rows, columns] still are to be divided."""
        return 1.0 if self.factor is None else self.factor((rows, columns))


def direction_of(named: Norm | str, polar: str | Polar = "auto", power: float | Tensor = 0.0) -> Direction:
    """Return the direction of a norm, with an engine for the spectral one.

    Raises:
        InvalidArgument: no norm, or no engine.

    >>> direction_of("max").of_matrices(torch.tensor([[[3.0, -4.0]]]))
    tensor([[[ 1., -1.]]])
    """
    given = norm(named)
    multiple = MULTIPLE.of(given)
    if multiple is not None:
        base, factor = multiple
        plain = direction_of(base, polar, power)
        outer = plain.factor
        both = factor if outer is None else lambda shape: factor(shape) * outer(shape)
        return Direction(plain.of_matrices, plain.of_tensors, plain.length, both)
    if is_spectral(given):
        mapped = partial(spectral_direction, polar=polar, power=power)
        return Direction(mapped, length=lambda rows, columns: math.sqrt(min(rows, columns)))
    fast = next((make for own, make in _FAST if same_norm(own, given)), None)
    return Direction(partial(_by_norm, given)) if fast is None else fast


def is_spectral(given: Norm | str) -> bool:
    """Return whether a norm is the spectral norm or a multiple of it."""
    plain = norm(given)
    multiple = MULTIPLE.of(plain)
    return is_spectral(multiple[0]) if multiple is not None else same_norm(plain, _SPECTRAL)


def _signs(tensors: list[Tensor]) -> list[Tensor]:
    return list(torch._foreach_sign(tensors))


def _units(tensors: list[Tensor]) -> list[Tensor]:
    """Return tensors over their Euclidean lengths."""
    return [_over_length(each, tuple(range(each.ndim))) for each in tensors]


def _over_length(S: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return S over its Euclidean lengths along some axes, whatever its scale; 0 where the length is 0.

    A vector with an entry that is not finite becomes NaN.
    """
    if S.dtype == torch.float64:
        # Of what is shorter the squares neither overflow nor vanish in double precision.
        largest = torch.linalg.vector_norm(S, math.inf, dim=axes, keepdim=True)
        S = S / torch.where(largest > 0, largest, 1.0)
    length = torch.linalg.vector_norm(S, dim=axes, keepdim=True, dtype=torch.float64)
    exact = S if S.dtype in (torch.float32, torch.float64) else S.float()
    unit = exact / torch.where(length > 0, length, 1.0).to(exact.dtype)
    return (unit + torch.where(torch.isfinite(length), 0.0, math.nan).to(unit.dtype)).to(S.dtype)


def _matrix_signs(S: Tensor) -> Tensor:
    return S.sign()


def _by_norm(given: Norm, S: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        return torch.ops.steepest.direction(S, _key(given))
    return given.direction(S)


_SPECTRAL = norm("spectral")
_FAST: tuple[tuple[Norm, Direction], ...] = (
    (norm("max"), Direction(_matrix_signs, _signs, lambda rows, columns: math.sqrt(rows * columns))),
    (norm("frobenius"), Direction(partial(_over_length, axes=(-2, -1)), _units, lambda _rows, _columns: 1.0)),
    (
        norm("largest-row-length"),
        Direction(partial(_over_length, axes=(-1,)), length=lambda rows, _columns: math.sqrt(rows)),
    ),
    (
        norm("largest-column-length"),
        Direction(partial(_over_length, axes=(-2,)), length=lambda _rows, columns: math.sqrt(columns)),
    ),
)

_NORMS: dict[str, Norm] = {}


def _key(given: Norm) -> str:
    """Return a text under which the compiled form finds the norm again."""
    key = f"{norm_label(given)} {id(given)}"
    _NORMS[key] = given
    return key


@torch.library.custom_op("steepest::direction", mutates_args=())
def _opaque(S: Tensor, key: str) -> Tensor:
    return _NORMS[key].direction(S).clone(memory_format=torch.contiguous_format)


@_opaque.register_fake
def _(S: Tensor, _key: str) -> Tensor:
    return torch.empty_like(S, memory_format=torch.contiguous_format)
