"""The norms of matrices: entry-wise and Schatten p-norms, their duals and their steepest-descent directions.

The named norms are pairs of a family and an exponent:

    max        Entrywise(inf)     the largest modulus of an entry
    sum        Entrywise(1)       the sum of the moduli
    frobenius  Entrywise(2)       the square root of the sum of squares; Schatten(2) has the same values
    nuclear    Schatten(1)        the sum of the singular values
    spectral   Schatten(inf)      the largest singular value

Every one of them satisfies ‖A‖_max ≤ ‖A‖ ≤ ‖A‖_sum (Lemma C.1). Arrays carry leading batch dimensions; NumPy
arrays give NumPy arrays, PyTorch tensors give tensors on their device. Values and directions are safe from
overflow for every finite entry, subnormal ones included. A matrix with a NaN has value NaN, one with an
infinite entry has value infinity, and neither has a direction: theirs is NaN throughout, and the rest of the
batch is untouched. A matrix with no entry has value 0, a value beyond the range of its dtype is infinity.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

from steepest.arrays import Array, namespace
from steepest.errors import InvalidArgument
from steepest.geometry.matrices import matrices
from steepest.geometry.polar import polar_factor, singular_values, spectral_map
from steepest.geometry.vectors import Exponent, length, steepest


@runtime_checkable
class Norm(Protocol):
    """A norm ‖·‖ of matrices [..., k, d], with its dual norm and its steepest-descent direction.

    Its text form is a name that :func:`steepest.norm` reads back.
    """

    @property
    def p(self) -> Exponent:
        """The exponent, in [1, inf]."""
        ...

    @property
    def dual_norm(self) -> Norm:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩."""
        ...

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...]."""
        ...

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]."""
        ...

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d], ⟨S, D(S)⟩ = ‖S‖_*; D(0) = 0."""
        ...


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
        return Entrywise(_conjugate(self.p))

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
        return Schatten(_conjugate(self.p))

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


def exponent(argument: str, p: object) -> Exponent:
    """Return p exactly, as a Fraction or ``math.inf``; a float that rounds a simple fraction becomes it.

    Raises:
        InvalidArgument: p is not a real number in [1, inf].

    >>> exponent("p", 4 / 3)
    Fraction(4, 3)
    """
    if isinstance(p, numbers.Real) and not isinstance(p, bool):
        exact = _exact(p)
        if exact >= 1:
            return exact
    raise InvalidArgument(argument, p, "give an int, float or Fraction p with 1 <= p <= inf")


def exponent_text(p: Exponent) -> str:
    """Return the shortest text of a finite p that reads back as p: a decimal or a fraction.

    >>> exponent_text(Fraction(3, 2)), exponent_text(Fraction(4, 3))
    ('1.5', '4/3')
    """
    fraction = Fraction(p)
    try:
        decimal = repr(float(fraction))
    except OverflowError:
        return str(fraction)
    exact = _exact(float(fraction)) == fraction
    return decimal if exact and len(decimal) <= len(str(fraction)) else str(fraction)


def _exact(p: Any) -> Exponent:
    if isinstance(p, numbers.Rational):
        return Fraction(int(p.numerator), int(p.denominator))
    number = float(p)
    if not math.isfinite(number):
        return number
    simple = Fraction(number).limit_denominator(10**6)
    return simple if float(simple) == number else Fraction(number)


def _conjugate(p: Exponent) -> Exponent:
    """Return the q with 1/p + 1/q = 1, exactly."""
    if p == math.inf:
        return Fraction(1)
    return math.inf if p == 1 else p / (Fraction(p) - 1)


def _flattened(A: Array) -> Array:
    return namespace(A).reshape(A, (*A.shape[:-2], A.shape[-2] * A.shape[-1]))
