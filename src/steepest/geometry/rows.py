"""Norms of rows and of columns: an inner p-norm within each, an outer p-norm across them.

- row-2/inf: the length of the longest row, a bound on every output of a linear map for inputs of length 1
- column-2/inf: the length of the longest column, a bound on the outputs for one-hot inputs (embeddings)
- row-1/inf: the operator norm from the max-norm to the max-norm
- row-2/1: the sum of the lengths of the rows, as in a group lasso

A norm of rows or columns with equal exponents is the entry-wise norm of that exponent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steepest.arrays import Array, namespace
from steepest.geometry.entrywise import Entrywise, entry_rounding
from steepest.geometry.exponents import conjugate, exponent, exponent_text
from steepest.geometry.facts import (
    CANONICAL,
    DUAL_OF_ERROR,
    POLYHEDRAL,
    ROUNDING,
    STRICTLY_CONVEX,
    SYMMETRIC_PRODUCTS,
    UNITARILY_INVARIANT,
)
from steepest.geometry.matrices import matrices
from steepest.geometry.vectors import Exponent, length, steepest

__all__ = ["ColumnNorm", "RowNorm", "pair_text"]


@dataclass(frozen=True)
class RowNorm:
    """‖A‖ = ‖(‖a_1‖_inner, ..., ‖a_k‖_inner)‖_outer over the rows a_i of A.

    Args:
        inner: exponent of the norm within a row, an int, float or Fraction in [1, inf].
        outer: exponent of the norm across the rows, likewise.

    Raises:
        InvalidArgument: an exponent that is not such a number.

    >>> longest = RowNorm(2, float("inf"))
    >>> str(longest), str(longest.dual_norm)
    ('row-2/inf', 'row-2/1')
    >>> float(longest([[3, 4], [0, 1]])), float(longest.dual([[3, 4], [0, 1]]))
    (5.0, 6.0)
    """

    inner: Exponent
    outer: Exponent

    def __post_init__(self):
        object.__setattr__(self, "inner", exponent("inner", self.inner))
        object.__setattr__(self, "outer", exponent("outer", self.outer))

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...].

        Raises:
            InvalidArgument: A is not an array of matrices of real numbers.
        """
        return matrices("A", A).value(lambda unit: length(length(unit, self.inner), self.outer))

    @property
    def dual_norm(self) -> RowNorm:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩: both exponents are replaced by their conjugates."""
        return RowNorm(conjugate(self.inner), conjugate(self.outer))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]; errors as for the value."""
        return self.dual_norm(A)

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d]; D(0) = 0.

        Row i of it is w_i times the direction of s_i in the inner norm, where w is the direction, in the
        outer norm, of the vector of the dual inner norms of the rows.

        Raises:
            InvalidArgument: S is not an array of matrices of real numbers.

        >>> RowNorm(2, float("inf")).direction([[3, 4], [0, -2]])
        array([[ 0.6,  0.8],
               [ 0. , -1. ]])
        """
        given = matrices("S", S)
        unit, _ = given.unit_scaled()
        shares = steepest(length(unit, conjugate(self.inner)), self.outer)
        return given.returned(shares[..., None] * steepest(unit, self.inner))

    def __str__(self) -> str:
        return f"row-{pair_text(self.inner, self.outer)}"


@dataclass(frozen=True)
class ColumnNorm:
    """‖A‖ = ‖(‖a_1‖_inner, ..., ‖a_d‖_inner)‖_outer over the columns a_j of A: :class:`RowNorm` of Aᵀ.

    Args:
        inner: exponent of the norm of a column, in [1, inf].
        outer: exponent of the norm across the columns, in [1, inf].

    Raises:
        InvalidArgument: an exponent that is not a number in [1, inf].

    >>> norm = ColumnNorm(2, float("inf"))
    >>> str(norm), float(norm([[3, 0], [4, 1]]))
    ('column-2/inf', 5.0)
    >>> norm.direction([[3, 0], [4, -2]])
    array([[ 0.6,  0. ],
           [ 0.8, -1. ]])
    """

    inner: Exponent
    outer: Exponent

    def __post_init__(self):
        object.__setattr__(self, "inner", exponent("inner", self.inner))
        object.__setattr__(self, "outer", exponent("outer", self.outer))

    @property
    def of_rows(self) -> RowNorm:
        """The same norm of the transposed matrix."""
        return RowNorm(self.inner, self.outer)

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...]; InvalidArgument as for rows."""
        return self.of_rows(_transposed("A", A))

    @property
    def dual_norm(self) -> ColumnNorm:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩: both exponents are replaced by their conjugates."""
        return ColumnNorm(conjugate(self.inner), conjugate(self.outer))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]; errors as for the value."""
        return self.dual_norm(A)

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d], column by column; D(0) = 0."""
        directions = self.of_rows.direction(_transposed("S", S))
        return namespace(directions).matrix_transpose(directions)

    def __str__(self) -> str:
        return f"column-{pair_text(self.inner, self.outer)}"


def pair_text(inner: Exponent, outer: Exponent) -> str:
    """Return two exponents as one text; a fraction stands in parentheses.

    >>> from fractions import Fraction
    >>> pair_text(Fraction(2), math.inf), pair_text(Fraction(4, 3), Fraction(3, 2))
    ('2/inf', '(4/3)/1.5')
    """

    def one(p: Exponent) -> str:
        text = "inf" if p == math.inf else exponent_text(p)
        return f"({text})" if "/" in text else text

    return f"{one(inner)}/{one(outer)}"


def _transposed(argument: str, A: Array) -> Array:
    # Half precision is checked again by the norm of rows, and comes back as it came.
    given = matrices(argument, A)
    return given.returned(namespace(given.entries).matrix_transpose(given.entries))


@CANONICAL.offered_by(RowNorm, ColumnNorm)
def _canonical(norm: RowNorm | ColumnNorm) -> Entrywise | None:
    return Entrywise(norm.inner) if norm.inner == norm.outer else None


@UNITARILY_INVARIANT.offered_by(RowNorm, ColumnNorm)
def _unitarily_invariant(norm: RowNorm | ColumnNorm) -> bool:
    return norm.inner == norm.outer == 2


@STRICTLY_CONVEX.offered_by(RowNorm, ColumnNorm)
def _strictly_convex(norm: RowNorm | ColumnNorm) -> bool:
    return 1 < norm.inner < math.inf and 1 < norm.outer < math.inf


@POLYHEDRAL.offered_by(RowNorm, ColumnNorm)
def _polyhedral(norm: RowNorm | ColumnNorm) -> bool:
    return {norm.inner, norm.outer} <= {1, math.inf}


@SYMMETRIC_PRODUCTS.offered_by(RowNorm, ColumnNorm)
def _symmetric_products(_norm: RowNorm | ColumnNorm) -> bool:
    return True


@ROUNDING.offered_by(RowNorm, ColumnNorm)
def _rounding(_norm: RowNorm | ColumnNorm):
    # One sum within a row and one across them, each with the rounding of a sum over all entries at most.
    return lambda shape: 2.1 * entry_rounding(shape)


@DUAL_OF_ERROR.offered_by(RowNorm, ColumnNorm)
def _dual_of_error(norm: RowNorm | ColumnNorm):
    # The dual grows with the absolute values of the entries.
    return lambda error: float(norm.dual(error))
