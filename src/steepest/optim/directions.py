"""Directions of steepest descent of tensors: the laboratory's norms, at the speed that training asks for.

The norms that optimisers are made of (max, Frobenius, rows, columns, spectral) are computed here by a few
operations of PyTorch, without a look at the entries from the host; multiples of a norm by its own. Every
other norm computes its own direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from steepest.geometry import Norm, norm, norm_label, same_norm
from steepest.geometry.facts import MULTIPLE
from steepest.optim.engines import Polar, engine, spectral_direction
from steepest.optim.fused.steps import Kind
from steepest.optim.lengths import host_lengths, inverse_lengths, over_length
from steepest.optim.lists import sign

__all__ = ["Direction", "direction_of", "is_spectral"]


@dataclass(frozen=True)
class Direction:
    """The direction of steepest descent in one norm.

    Args:
        of_matrices: D(S) of matrices [b, k, d].
        of_tensors: D of a list of tensors, each of which is one matrix, of any shape; None where the shape
            matters.
        multipliers: what each of a list of such tensors is to be multiplied by to become its direction; None
            where that is not all, and returns None where it is not for these.
        lengths: what each of a list of such tensors is to be divided by to become its direction, as numbers
            on the host; None where that is not all, and returns None where it is not at hand for these.
        length: Frobenius length of D(S) for an S of full rank, by rows and columns; None if that varies.
        factor: by which the norm is larger than the one that ``of_matrices`` is the direction of.
        over: the axes, -2 for rows and -1 for columns, over which a Euclidean length is all that an entry of
            the direction needs besides its own: none for signs; None where it needs the whole matrix.
        fused: the compiled step along it, if there is one.
    """

    of_matrices: Callable[[Tensor], Tensor]
    of_tensors: Callable[[list[Tensor]], list[Tensor]] | None = None
    multipliers: Callable[[list[Tensor]], list[Tensor] | None] | None = None
    lengths: Callable[[list[Tensor]], list[float] | None] | None = None
    length: Callable[[int, int], float] | None = None
    factor: Callable[[tuple[int, ...]], float] | None = None
    over: tuple[int, ...] | None = None
    fused: Kind | None = None

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
        return replace(plain, factor=both)
    if is_spectral(given):
        mapped = partial(spectral_direction, polar=engine(polar), power=power)
        return Direction(mapped, length=lambda rows, columns: math.sqrt(min(rows, columns)))
    fast = next((make for own, make in _FAST if same_norm(own, given)), None)
    return Direction(partial(_by_norm, given, _key(given))) if fast is None else fast


def is_spectral(given: Norm | str) -> bool:
    """Return whether a norm is the spectral norm or a multiple of it."""
    plain = norm(given)
    multiple = MULTIPLE.of(plain)
    return is_spectral(multiple[0]) if multiple is not None else same_norm(plain, _SPECTRAL)


def _matrix_signs(S: Tensor) -> Tensor:
    return S.sign()


def _by_norm(given: Norm, key: str, S: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        return torch.ops.steepest.direction(S, key)
    if S.device.type == "meta":
        return torch.empty_like(S)
    return given.direction(S)


_SPECTRAL = norm("spectral")
_FAST: tuple[tuple[Norm, Direction], ...] = (
    (
        norm("max"),
        Direction(
            _matrix_signs,
            sign,
            length=lambda rows, columns: math.sqrt(rows * columns),
            over=(),
            fused="sign",
        ),
    ),
    (
        norm("frobenius"),
        Direction(
            partial(over_length, axes=(-2, -1)),
            length=lambda _rows, _columns: 1.0,
            multipliers=inverse_lengths,
            over=(-2, -1),
            lengths=host_lengths,
            fused="unit",
        ),
    ),
    (
        norm("largest-row-length"),
        Direction(
            partial(over_length, axes=(-1,)),
            length=lambda rows, _columns: math.sqrt(rows),
            over=(-1,),
        ),
    ),
    (
        norm("largest-column-length"),
        Direction(
            partial(over_length, axes=(-2,)), length=lambda _rows, columns: math.sqrt(columns), over=(-2,)
        ),
    ),
)

_NORMS: WeakValueDictionary[str, Norm] = WeakValueDictionary()


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
