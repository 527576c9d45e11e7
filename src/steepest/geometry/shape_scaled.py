"""A norm times a power of the number of rows and of columns: one step size for layers of every width.

Lengths that are divided by the root of their number of entries (root mean squares) do not grow with the width
of a layer. Operator norms between them are ordinary norms times a factor that depends on the shape [k, d]
alone:

    mean-square-spectral   √(d/k) · spectral       mean-square inputs to mean-square outputs (hidden layers)
    mean-square-row        √d · row-2/inf          mean-square inputs to the largest output (heads)
    mean-square-column     column-2/inf / √k       one-hot inputs to mean-square outputs (embeddings)

See Bernstein and Newhouse, "Modular duality in deep learning" (arXiv 2410.21265).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steepest.arguments import real_number
from steepest.arrays import Array
from steepest.geometry.exponents import exponent_text
from steepest.geometry.facts import (
    CANONICAL,
    CUT_DIRECTION,
    DUAL_OF_ERROR,
    MULTIPLE,
    POLYHEDRAL,
    ROUNDING,
    STRICTLY_CONVEX,
    SYMMETRIC_PRODUCTS,
    TRUNCATION,
    UNIT_ROUNDOFF,
    UNITARILY_INVARIANT,
    dual_of_error,
    rounding,
)
from steepest.geometry.matrices import matrices
from steepest.geometry.protocol import Norm, required_norm
from steepest.geometry.rows import ColumnNorm, RowNorm
from steepest.geometry.schatten import Schatten

__all__ = ["MEAN_SQUARE", "ScaledNorm"]

_LARGEST_POWER = 16
"""A billion rows and as many columns, each to this power, are still within the range of floats."""


@dataclass(frozen=True)
class ScaledNorm:
    """‖A‖ = k^rows d^columns ‖A‖_base for matrices A [k, d].

    Args:
        base: any norm.
        rows: power of the number of rows, from -16 to 16.
        columns: power of the number of columns, likewise.

    Raises:
        InvalidArgument: a power that is not such a number, or a base that is no norm.

    >>> norm = ScaledNorm(Schatten(math.inf), rows=-0.5, columns=0.5)
    >>> str(norm), float(norm([[3, 0, 0, 0]]))
    ('mean-square-spectral', 6.0)
    >>> norm.direction([[3, 0, 0, 0]])
    array([[0.5, 0. , 0. , 0. ]])
    """

    base: Norm
    rows: float = 0.0
    columns: float = 0.0

    def __post_init__(self):
        required_norm("base", self.base)
        remedy = f"give a power from -{_LARGEST_POWER} to {_LARGEST_POWER}, such as -0.5"
        for name in ("rows", "columns"):
            power = real_number(
                name, getattr(self, name), remedy, at_least=-_LARGEST_POWER, at_most=_LARGEST_POWER
            )
            object.__setattr__(self, name, power)

    def factor(self, shape: tuple[int, ...]) -> float:
        """Return k^rows d^columns for matrices of shape [..., k, d], 1 where they are empty."""
        return 1.0 if 0 in shape[-2:] else float(shape[-2]) ** self.rows * float(shape[-1]) ** self.columns

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...].

        Raises:
            InvalidArgument: A is not an array of matrices of real numbers.
        """
        return matrices("A", A).value(lambda unit: self.base(unit) * self.factor(unit.shape))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]: the dual of the base over the factor."""
        return matrices("A", A).value(lambda unit: self.base.dual(unit) / self.factor(unit.shape))

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩: the direction of the base over the factor."""
        given = matrices("S", S)
        return given.returned(self.base.direction(given.entries) / self.factor(given.entries.shape))

    def __str__(self) -> str:
        for name, norm in MEAN_SQUARE.items():
            if norm == self:
                return name
        return f"{self.base}*rows^{_power_text(self.rows)}*columns^{_power_text(self.columns)}"


MEAN_SQUARE: dict[str, ScaledNorm] = {
    "mean-square-spectral": ScaledNorm(Schatten(math.inf), rows=-0.5, columns=0.5),
    "mean-square-row": ScaledNorm(RowNorm(2, math.inf), columns=0.5),
    "mean-square-column": ScaledNorm(ColumnNorm(2, math.inf), rows=-0.5),
}
"""The operator norms between root mean squares, by name."""


def _power_text(power: float) -> str:
    return exponent_text(abs(power)) if power >= 0 else f"-{exponent_text(-power)}"


@MULTIPLE.offered_by(ScaledNorm)
def _multiple(norm: ScaledNorm):
    return norm.base, norm.factor


@CANONICAL.offered_by(ScaledNorm)
def _canonical(norm: ScaledNorm) -> Norm | None:
    base = CANONICAL.of(norm.base)
    if norm.rows == norm.columns == 0:
        return base or norm.base
    return None if base is None else ScaledNorm(base, norm.rows, norm.columns)


@SYMMETRIC_PRODUCTS.offered_by(ScaledNorm)
def _symmetric_products(norm: ScaledNorm) -> bool | None:
    return SYMMETRIC_PRODUCTS.of(norm.base)


@UNITARILY_INVARIANT.offered_by(ScaledNorm)
def _unitarily_invariant(norm: ScaledNorm) -> bool | None:
    return UNITARILY_INVARIANT.of(norm.base)


@STRICTLY_CONVEX.offered_by(ScaledNorm)
def _strictly_convex(norm: ScaledNorm) -> bool | None:
    return STRICTLY_CONVEX.of(norm.base)


@POLYHEDRAL.offered_by(ScaledNorm)
def _polyhedral(norm: ScaledNorm) -> bool | None:
    return POLYHEDRAL.of(norm.base)


@ROUNDING.offered_by(ScaledNorm)
def _rounding(norm: ScaledNorm):
    # Two powers, their product and one multiplication.
    return lambda shape: rounding(norm.base, shape) + 8 * UNIT_ROUNDOFF


@DUAL_OF_ERROR.offered_by(ScaledNorm)
def _dual_of_error(norm: ScaledNorm):
    return lambda error: dual_of_error(norm.base, error) / norm.factor(error.shape) * (1 + 8 * UNIT_ROUNDOFF)


@CUT_DIRECTION.offered_by(ScaledNorm)
def _cut_direction(norm: ScaledNorm):
    of_base = CUT_DIRECTION.of(norm.base)
    if of_base is None:
        return None
    return lambda S, cutoff: of_base(S, cutoff) / norm.factor(S.shape)


@TRUNCATION.offered_by(ScaledNorm)
def _truncation(norm: ScaledNorm):
    return TRUNCATION.of(norm.base)
