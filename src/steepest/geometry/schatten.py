"""The Schatten p-norms, p-norms of the singular values: nuclear, Frobenius, spectral and every p between."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steepest.arrays import Array, namespace
from steepest.geometry.entrywise import Entrywise
from steepest.geometry.exponents import conjugate, exponent, exponent_text
from steepest.geometry.facts import (
    CANONICAL,
    CUT_DIRECTION,
    DUAL_OF_ERROR,
    ROUNDING,
    STRICTLY_CONVEX,
    SYMMETRIC_PRODUCTS,
    TRUNCATION,
    UNIT_ROUNDOFF,
    UNITARILY_INVARIANT,
)
from steepest.geometry.matrices import matrices
from steepest.geometry.polar import polar_factor, singular_values, singular_values_below_cutoff, spectral_map
from steepest.geometry.vectors import Exponent, exponent_as_float, length, steepest

__all__ = ["Schatten"]


@dataclass(frozen=True)
class Schatten:
    """The Schatten p-norm: the p-norm of the vector of singular values, for p in [1, inf].

    Args:
        p: an int, float or Fraction with 1 <= p <= inf, kept exactly as by :class:`Entrywise`.

    Raises:
        InvalidArgument: p is not such a number.

    >>> str(Schatten(float("inf"))), str(Schatten(float("inf")).dual_norm)
    ('spectral', 'nuclear')
    >>> float(Schatten(1)([[3, 0], [0, -4]]))
    7.0
    """

    p: Exponent

    def __post_init__(self):
        object.__setattr__(self, "p", exponent("p", self.p))

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ = (Σ σ_i^p)^(1/p), σ the singular values, of matrices [..., k, d] as [...].

        Raises:
            InvalidArgument: A is not an array of matrices of real numbers.

        >>> float(Schatten(float("inf"))([[3, 0], [0, -4]]))
        4.0
        """
        if self.p == 2:
            return Entrywise(2)(A)
        given = matrices("A", A)
        values, largest = singular_values(given.entries)
        xp = namespace(largest)
        return given.returned(xp.where(xp.isfinite(largest), largest * length(values, self.p), largest))

    @property
    def dual_norm(self) -> Schatten:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩: the Schatten q-norm with 1/p + 1/q = 1."""
        return Schatten(conjugate(self.p))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]; errors as for the value.

        >>> float(Schatten(float("inf")).dual([[3, 0], [0, -4]]))
        7.0
        """
        return self.dual_norm(A)

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d]; D(0) = 0.

        With S = U diag(σ) Vᵀ it is U diag(δ) Vᵀ, where δ is the direction of the vector σ: δ_i = σ_i^(q-1) /
        ‖σ‖_q^(q-1) with 1/p + 1/q = 1, u₁ v₁ᵀ for p = 1, the polar factor U Vᵀ over the non-zero singular
        values for p = inf, and S / ‖S‖_F for p = 2, which needs no SVD. For every other p, singular values at
        or below 450 eps times the largest count as zero (:func:`steepest.geometry.polar_factor` states that
        and the accuracy).

        Raises:
            InvalidArgument: S is not an array of matrices of real numbers.

        >>> Schatten(float("inf")).direction([[3, 0], [0, -4]])
        array([[ 1.,  0.],
               [ 0., -1.]])
        >>> Schatten(4).direction([[3, 0], [0, 0]])
        array([[1., 0.],
               [0., 0.]])
        """
        if self.p == 2:
            return Entrywise(2).direction(S)
        if self.p == math.inf:
            return polar_factor(S)
        given = matrices("S", S)
        return given.returned(spectral_map(given.entries, lambda values: steepest(values, self.p)))

    def __str__(self) -> str:
        named = {math.inf: "spectral", 1: "nuclear"}.get(self.p)
        return named or f"schatten-{exponent_text(self.p)}"


@UNITARILY_INVARIANT.offered_by(Schatten)
def _unitarily_invariant(_norm: Schatten) -> bool:
    return True


@STRICTLY_CONVEX.offered_by(Schatten)
def _strictly_convex(norm: Schatten) -> bool:
    return 1 < norm.p < math.inf


@SYMMETRIC_PRODUCTS.offered_by(Schatten)
def _symmetric_products(_norm: Schatten) -> bool:
    return True


@ROUNDING.offered_by(Schatten)
def _rounding(_norm: Schatten):
    # Singular values by LAPACK.
    return lambda shape: 2 * max(shape) * min(shape) * UNIT_ROUNDOFF


@DUAL_OF_ERROR.offered_by(Schatten)
def _dual_of_error(norm: Schatten):
    # The Schatten q-norm of a matrix of rank r is at most r^(1/q - 1/2) Frobenius norms.
    q = exponent_as_float(norm.dual_norm.p)
    power = max(0.0, 1 / q - 0.5) if math.isfinite(q) else 0.0
    return lambda error: float(Entrywise(2)(error)) * min(error.shape) ** power


@TRUNCATION.offered_by(Schatten)
def _truncation(norm: Schatten):
    # Only p > 2 gives small singular values a weight that is worth counting.
    return singular_values_below_cutoff if norm.p > 2 else None


@CUT_DIRECTION.offered_by(Schatten)
def _cut_direction(norm: Schatten):
    if norm.p == 2:
        return None

    def direction(S: Array, cutoff: float) -> Array:
        return spectral_map(S, lambda values: steepest(values, norm.p), cutoff)

    return direction


@CANONICAL.offered_by(Schatten)
def _canonical(norm: Schatten) -> Entrywise | None:
    return Entrywise(2) if norm.p == 2 else None
