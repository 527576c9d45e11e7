"""The entry-wise p-norms (Σ |A_ij|^p)^(1/p): the max-norm, the sum-norm, Frobenius and every p between.

Every one of them, and every Schatten norm, satisfies ‖A‖_max ≤ ‖A‖ ≤ ‖A‖_sum (Lemma C.1). Arrays carry
leading batch dimensions; NumPy arrays give NumPy arrays, PyTorch tensors give tensors on their device. Values
and directions are safe from overflow for every finite entry, subnormal ones included. A matrix with a NaN has
value NaN, one with an infinite entry has value infinity, and neither has a direction: theirs is NaN
throughout, and the rest of the batch is untouched. A matrix with no entry has value 0, a value beyond the
range of its dtype is infinity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.arrays import Array, namespace
from steepest.geometry.exponents import conjugate, exponent, exponent_text
from steepest.geometry.facts import (
    DUAL_OF_ERROR,
    POLYHEDRAL,
    ROUNDING,
    STRICTLY_CONVEX,
    SYMMETRIC_PRODUCTS,
    UNIT_ROUNDOFF,
    UNITARILY_INVARIANT,
)
from steepest.geometry.matrices import matrices
from steepest.geometry.vectors import Exponent, length, steepest

__all__ = ["Entrywise"]


@dataclass(frozen=True)
class Entrywise:
    """The entry-wise p-norm ‖A‖ = (Σ |A_ij|^p)^(1/p), for p in [1, inf]; p = inf is the largest modulus.

    Args:
        p: an int, float or Fraction with 1 <= p <= inf. It is kept exactly: a float that rounds a simple
            fraction (4/3) becomes that fraction, so that the dual of the dual is the norm itself.

    Raises:
        InvalidArgument: p is not such a number.

    >>> norm = Entrywise(1.5)
    >>> str(norm), norm.dual_norm
    ('entrywise-1.5', Entrywise(p=Fraction(3, 1)))
    >>> str(Entrywise(2)), float(Entrywise(2)([[3, 0], [0, 4]]))
    ('frobenius', 5.0)
    """

    p: Exponent

    def __post_init__(self):
        object.__setattr__(self, "p", exponent("p", self.p))

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ = (Σ |A_ij|^p)^(1/p) of matrices [..., k, d] as [...].

        Raises:
            InvalidArgument: A is not an array of matrices of real numbers.

        >>> Entrywise(1)([[[1, -2], [3, 0]], [[0, 0], [0, 0]]])
        array([6., 0.])
        """
        given = matrices("A", A)
        return given.returned(length(_flattened(given.entries), self.p))

    @property
    def dual_norm(self) -> Entrywise:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩: the entry-wise q-norm with 1/p + 1/q = 1."""
        return Entrywise(conjugate(self.p))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]; errors as for the value.

        >>> float(Entrywise(float("inf")).dual([[1, -2], [3, 0]]))
        6.0
        """
        return self.dual_norm(A)

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d]; D(0) = 0.

        With 1/p + 1/q = 1: D_ij = sign(S_ij) |S_ij|^(q-1) / ‖S‖_q^(q-1). For p = inf it is sign(S), with
        sign(0) = 0; for p = 1 the signed unit at the entry of largest modulus, the first in row-major order.

        Raises:
            InvalidArgument: S is not an array of matrices of real numbers.

        >>> Entrywise(2).direction([[3, 0], [0, -4]])
        array([[ 0.6,  0. ],
               [ 0. , -0.8]])
        >>> Entrywise(1).direction([[1, -2], [2, 0]])
        array([[ 0., -1.],
               [ 0.,  0.]])
        """
        given = matrices("S", S)
        directions = steepest(_flattened(given.entries), self.p)
        return given.returned(namespace(directions).reshape(directions, given.entries.shape))

    def __str__(self) -> str:
        named = {math.inf: "max", 1: "sum", 2: "frobenius"}.get(self.p)
        return named or f"entrywise-{exponent_text(self.p)}"


@UNITARILY_INVARIANT.offered_by(Entrywise)
def _unitarily_invariant(norm: Entrywise) -> bool:
    return norm.p == 2


@STRICTLY_CONVEX.offered_by(Entrywise)
def _strictly_convex(norm: Entrywise) -> bool:
    return 1 < norm.p < math.inf


@POLYHEDRAL.offered_by(Entrywise)
def _polyhedral(norm: Entrywise) -> bool:
    return norm.p in (1, math.inf)


@SYMMETRIC_PRODUCTS.offered_by(Entrywise)
def _symmetric_products(_norm: Entrywise) -> bool:
    return True


@ROUNDING.offered_by(Entrywise)
def _rounding(_norm: Entrywise):
    return entry_rounding


@DUAL_OF_ERROR.offered_by(Entrywise)
def _dual_of_error(norm: Entrywise):
    # The dual grows with the absolute values of the entries.
    return lambda error: float(norm.dual(error))


def entry_rounding(shape: tuple[int, ...]) -> float:
    """Return the relative rounding error of sums over all entries, which are done pairwise."""
    return (200 + int(np.prod(shape)).bit_length()) * UNIT_ROUNDOFF


def _flattened(A: Array) -> Array:
    return namespace(A).reshape(A, (*A.shape[:-2], A.shape[-2] * A.shape[-1]))
