"""What the compiled engine knows of norms: for each family the numbers that its directions switch on."""

from __future__ import annotations

import math
from typing import NamedTuple

from steepest.capabilities import Capability
from steepest.descent.engines.norms import dual_power
from steepest.geometry import ColumnNorm, Entrywise, RowNorm, ScaledNorm, Schatten

__all__ = ["COMPILED_DIRECTION", "DirectionCode"]

MAX, SUM, FROBENIUS, ENTRYWISE, SCHATTEN, ROWS, COLUMNS = range(7)
_ROTATIONS_UP_TO = 256


class DirectionCode(NamedTuple):
    """A norm as numbers that compiled code can switch on."""

    kind: int
    power: float
    """Directions weigh entries or singular values by their size to this power: q - 1, 1/p + 1/q = 1."""
    across: float = 0.0
    """The same for the sizes of rows or columns, where the norm has an exponent of its own across them."""
    rows: float = 0.0
    """Power of the number of rows by which directions are divided."""
    columns: float = 0.0
    """Power of the number of columns by which directions are divided."""

    def factor(self, shape: tuple[int, ...]) -> float:
        """Return what directions of matrices of this shape are multiplied by."""
        return float(shape[0]) ** -self.rows * float(shape[1]) ** -self.columns

    def suits(self, shape: tuple[int, int]) -> bool:
        """Whether compiled code is quick for matrices of this shape; beyond, LAPACK's singular values are."""
        return self.kind != SCHATTEN or min(shape) <= _ROTATIONS_UP_TO


COMPILED_DIRECTION: Capability[DirectionCode] = Capability(
    "compiled code for its direction",
    "The numbers by which the compiled engine computes directions in the norm.",
)


@COMPILED_DIRECTION.offered_by(Entrywise)
def _entrywise(norm: Entrywise) -> DirectionCode:
    power = dual_power(norm.p)
    if norm.p == 2:
        return DirectionCode(FROBENIUS, 1.0)
    return DirectionCode(MAX if power == 0 else SUM if math.isinf(power) else ENTRYWISE, power)


@COMPILED_DIRECTION.offered_by(Schatten)
def _schatten(norm: Schatten) -> DirectionCode:
    return DirectionCode(FROBENIUS, 1.0) if norm.p == 2 else DirectionCode(SCHATTEN, dual_power(norm.p))


@COMPILED_DIRECTION.offered_by(RowNorm)
def _rows(norm: RowNorm) -> DirectionCode:
    return DirectionCode(ROWS, dual_power(norm.inner), dual_power(norm.outer))


@COMPILED_DIRECTION.offered_by(ColumnNorm)
def _columns(norm: ColumnNorm) -> DirectionCode:
    return DirectionCode(COLUMNS, dual_power(norm.inner), dual_power(norm.outer))


@COMPILED_DIRECTION.offered_by(ScaledNorm)
def _scaled(norm: ScaledNorm) -> DirectionCode | None:
    code = COMPILED_DIRECTION.of(norm.base)
    if code is None:
        return None
    return code._replace(rows=code.rows + norm.rows, columns=code.columns + norm.columns)
