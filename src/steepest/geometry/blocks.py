"""Norms of matrices in equal blocks of rows or columns, such as the heads of an attention layer.

Each block is a matrix with a norm of its own, and an outer p-norm joins them: with the spectral norm inside
and the largest outside, steepest descent orthogonalises every head by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steepest.arrays import Array, namespace
from steepest.errors import InvalidArgument
from steepest.geometry.entrywise import entry_rounding
from steepest.geometry.exponents import conjugate, exponent, exponent_text
from steepest.geometry.facts import (
    CANONICAL,
    CUT_DIRECTION,
    DUAL_OF_ERROR,
    POLYHEDRAL,
    ROUNDING,
    STRICTLY_CONVEX,
    TRUNCATION,
    dual_of_error,
    is_true,
    rounding,
)
from steepest.geometry.matrices import matrices
from steepest.geometry.protocol import Norm, required_norm
from steepest.geometry.vectors import Exponent, length, steepest

__all__ = ["BlockNorm"]


@dataclass(frozen=True)
class BlockNorm:
    """‖A‖ = ‖(‖A_1‖_base, ..., ‖A_m‖_base)‖_outer over m equal blocks of consecutive rows or columns of A.

    Args:
        base: the norm of a block.
        blocks: number of blocks m, at least 1; it must divide the rows (columns) of every matrix.
        outer: exponent of the norm across the blocks, in [1, inf].
        axis: "rows" or "columns", which of them are split.

    Raises:
        InvalidArgument: a value outside these, or, when used, a matrix that does not split into m blocks.

    >>> from steepest.geometry import Schatten
    >>> heads = BlockNorm(Schatten(math.inf), 2)
    >>> str(heads), float(heads([[3, 0], [0, 4], [0, 1], [2, 0]]))
    ('row-blocks-2/inf:spectral', 4.0)
    >>> heads.direction([[3, 0], [0, 4], [0, 1], [-2, 0]])
    array([[ 1.,  0.],
           [ 0.,  1.],
           [ 0.,  1.],
           [-1.,  0.]])
    """

    base: Norm
    blocks: int
    outer: Exponent = math.inf
    axis: Literal["rows", "columns"] = "rows"

    def __post_init__(self):
        required_norm("base", self.base)
        if isinstance(self.blocks, bool) or not isinstance(self.blocks, int) or self.blocks < 1:
            raise InvalidArgument("blocks", self.blocks, "give a whole number of at least 1")
        if self.axis not in ("rows", "columns"):
            raise InvalidArgument("axis", self.axis, "give rows or columns")
        object.__setattr__(self, "outer", exponent("outer", self.outer))

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...]."""
        return matrices("A", A).value(lambda unit: length(self.base(self.split(unit)), self.outer))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]: the dual norms of the blocks, joined by the dual."""
        outer = conjugate(self.outer)
        return matrices("A", A).value(lambda unit: length(self.base.dual(self.split(unit)), outer))

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩: each block's direction, times its share in the outer."""
        given = matrices("S", S)
        split = self.split(given.unit_scaled()[0])
        shares = steepest(self.base.dual(split), self.outer)
        return given.returned(self.joined(shares[..., None, None] * self.base.direction(split)))

    def split(self, A: Array) -> Array:
        """Return the blocks of matrices [..., k, d] as [..., m, k/m, d] or [..., m, k, d/m]."""
        xp = namespace(A)
        *batch, k, d = A.shape
        if (k if self.axis == "rows" else d) % self.blocks:
            remedy = f"give matrices whose {self.axis} are a multiple of {self.blocks}"
            raise InvalidArgument("A", tuple(A.shape), remedy)
        if self.axis == "rows":
            return xp.reshape(A, (*batch, self.blocks, k // self.blocks, d))
        parts = xp.reshape(A, (*batch, k, self.blocks, d // self.blocks))
        return xp.moveaxis(parts, -2, -3)

    def joined(self, parts: Array) -> Array:
        """Return the matrices whose blocks are ``parts``, the inverse of :meth:`split`."""
        xp = namespace(parts)
        *batch, m, k, d = parts.shape
        if self.axis == "rows":
            return xp.reshape(parts, (*batch, m * k, d))
        return xp.reshape(xp.moveaxis(parts, -3, -2), (*batch, k, m * d))

    def __str__(self) -> str:
        outer = "inf" if self.outer == math.inf else exponent_text(self.outer)
        outer = f"({outer})" if "/" in outer else outer
        return f"{self.axis.removesuffix('s')}-blocks-{self.blocks}/{outer}:{self.base}"


@CANONICAL.offered_by(BlockNorm)
def _canonical(norm: BlockNorm) -> Norm | None:
    base = CANONICAL.of(norm.base)
    if norm.blocks == 1:
        return base or norm.base
    return None if base is None else BlockNorm(base, norm.blocks, norm.outer, norm.axis)


@STRICTLY_CONVEX.offered_by(BlockNorm)
def _strictly_convex(norm: BlockNorm) -> bool:
    return (norm.blocks == 1 or 1 < norm.outer < math.inf) and is_true(STRICTLY_CONVEX, norm.base)


@POLYHEDRAL.offered_by(BlockNorm)
def _polyhedral(norm: BlockNorm) -> bool:
    return (norm.blocks == 1 or norm.outer in (1, math.inf)) and is_true(POLYHEDRAL, norm.base)


@ROUNDING.offered_by(BlockNorm)
def _rounding(norm: BlockNorm):
    return lambda shape: rounding(norm.base, shape) + 1.1 * entry_rounding(shape)


@DUAL_OF_ERROR.offered_by(BlockNorm)
def _dual_of_error(norm: BlockNorm):
    def bound(error: np.ndarray) -> float:
        parts = np.array([dual_of_error(norm.base, part) for part in norm.split(error)])
        return float(length(parts, conjugate(norm.outer)))

    return bound


@CUT_DIRECTION.offered_by(BlockNorm)
def _cut_direction(norm: BlockNorm):
    of_base = CUT_DIRECTION.of(norm.base)
    if of_base is None:
        return None

    def direction(S: Array, cutoff: float) -> Array:
        split = norm.split(S)
        shares = steepest(norm.base.dual(split), norm.outer)
        return norm.joined(shares[..., None, None] * of_base(split, cutoff))

    return direction


@TRUNCATION.offered_by(BlockNorm)
def _truncation(norm: BlockNorm):
    count = TRUNCATION.of(norm.base)
    if count is None:
        return None

    def counts(signals: Array, cutoff: float | None = None) -> Array:
        of_blocks = count(norm.split(signals), cutoff)
        return namespace(of_blocks).sum(of_blocks, axis=-1)

    return counts
