"""The norms of matrices: entry-wise and Schatten p-norms, their duals and their steepest-descent directions.

max = Entrywise(inf), sum = Entrywise(1), Frobenius = Entrywise(2) = Schatten(2), nuclear = Schatten(1),
spectral = Schatten(inf).
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from steepest.arrays import Array, namespace
from steepest.errors import InvalidArgument
from steepest.geometry.matrices import matrices
from steepest.geometry.polar import singular_values, spectral_map
from steepest.geometry.vectors import Exponent, length, steepest


@runtime_checkable
class Norm(Protocol):
    """A norm ‖·‖ of matrices [..., k, d], with its dual and its steepest-descent direction."""

    @property
    def p(self) -> Exponent | int:
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
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d], 0 for S = 0."""
        ...


@dataclass(frozen=True)
class Entrywise:
    """The entry-wise p-norm ‖A‖ = (Σ |A_ij|^p)^(1/p), for p in [1, inf]."""

    p: Exponent | int

    def __post_init__(self):
        object.__setattr__(self, "p", exponent("p", self.p))

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...]."""
        A, _ = (given := matrices("A", A))
        return given.returned(length(_flattened(A), self.p))

    @property
    def dual_norm(self) -> Entrywise:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩: the entry-wise q-norm with 1/p + 1/q = 1."""
        return Entrywise(conjugate(self.p))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]."""
        return self.dual_norm(A)

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d], 0 for S = 0."""
        S, _ = (given := matrices("S", S))
        return given.returned(namespace(S).reshape(steepest(_flattened(S), self.p), S.shape))

    def __str__(self) -> str:
        return {math.inf: "max", 1: "sum", 2: "frobenius"}.get(self.p) or f"entrywise-{exponent_text(self.p)}"


@dataclass(frozen=True)
class Schatten:
    """The Schatten p-norm: the p-norm of the vector of singular values, for p in [1, inf]."""

    p: Exponent | int

    def __post_init__(self):
        object.__setattr__(self, "p", exponent("p", self.p))

    def __call__(self, A: Array) -> Array:
        """Return ‖A‖ of matrices [..., k, d] as [...]."""
        if self.p == 2:
            return Entrywise(2)(A)
        A, _ = (given := matrices("A", A))
        values, largest = singular_values(A)
        return given.returned(_times(largest, length(values, self.p)))

    @property
    def dual_norm(self) -> Schatten:
        """The norm ‖B‖_* = max_{‖A‖ ≤ 1} ⟨A, B⟩: the Schatten q-norm with 1/p + 1/q = 1."""
        return Schatten(conjugate(self.p))

    def dual(self, A: Array) -> Array:
        """Return ‖A‖_* of matrices [..., k, d] as [...]."""
        return self.dual_norm(A)

    def direction(self, S: Array) -> Array:
        """Return D(S) = argmax_{‖V‖ ≤ 1} ⟨S, V⟩ of matrices [..., k, d], 0 for S = 0."""
        if self.p == 2:
            return Entrywise(2).direction(S)
        S, _ = (given := matrices("S", S))
        return given.returned(spectral_map(S, lambda s: steepest(s, self.p)))

    def __str__(self) -> str:
        return {math.inf: "spectral", 1: "nuclear"}.get(self.p) or f"schatten-{exponent_text(self.p)}"


def exponent(argument: str, p: object) -> Exponent:
    """Return p exactly, as a Fraction or ``math.inf``; a float that rounds a simple fraction becomes it.

    Raises:
        InvalidArgument: p is not a real number in [1, inf].
    """
    if isinstance(p, numbers.Real) and not isinstance(p, bool):
        if isinstance(p, numbers.Rational):
            exact = Fraction(int(p.numerator), int(p.denominator))
        elif math.isfinite(p):
            simple = Fraction(float(p)).limit_denominator(10**6)
            exact = simple if float(simple) == float(p) else Fraction(float(p))
        else:
            exact = float(p)
        if exact >= 1:
            return exact
    raise InvalidArgument(argument, p, "give an int, float or Fraction with 1 <= p <= inf")


def conjugate(p: Exponent) -> Exponent:
    """Return the q with 1/p + 1/q = 1, exactly."""
    if p == math.inf:
        return Fraction(1)
    return math.inf if p == 1 else p / (Fraction(p) - 1)


def exponent_text(p: Exponent) -> str:
    """Return p as a decimal where a short one is exact, as a fraction where not."""
    fraction = Fraction(p)
    if fraction.denominator == 1:
        return str(fraction.numerator)
    decimal = repr(float(fraction))
    return decimal if exponent("p", float(fraction)) == fraction and len(decimal) <= 8 else str(fraction)


def _flattened(A: Array) -> Array:
    return namespace(A).reshape(A, (*A.shape[:-2], A.shape[-2] * A.shape[-1]))


def _times(largest: Array, lengths: Array) -> Array:
    xp = namespace(lengths)
    return xp.where(xp.isfinite(largest), largest * lengths, largest)
