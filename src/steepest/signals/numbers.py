"""Numbers that each have a scale of their own: coefficients between 1 and e^-8000 beside one another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.doubled import Doubled

__all__ = ["HIDDEN", "Numbers", "Powers"]

HIDDEN = 2e-14
"""A sum of numbers below this part of them cannot be told from 0, and counts as 0."""


class Numbers(NamedTuple):
    """Numbers mantissas · exp(log_scales), elementwise, with whole log-scales; -inf where they are 0.

    >>> import numpy as np
    >>> one = Numbers(np.array([1.0, 2.0]), np.array([-8000.0, 0.0]))
    >>> one.plus(one.times(-1.0)).log_scales
    array([-inf, -inf])
    >>> one.plus(Numbers(np.array([1.0, 3.0]), np.array([-8000.0, -8000.0]))).logs.round(6).tolist()
    [-7999.306853, 0.693147]
    """

    mantissas: Array
    log_scales: Array

    @classmethod
    def of_logs(cls, logs: Doubled, signs: Array | float = 1.0) -> Numbers:
        """Return ± exp(logs)."""
        xp = namespace(logs.high)
        present = logs.high + logs.low > -xp.inf
        high, low = (xp.where(present, each, 0.0) for each in (logs.high, logs.low))
        scales = xp.floor(high + low)
        mantissas = signs * xp.exp((high - scales) + low)
        return cls(xp.where(present, mantissas, 0.0), xp.where(present, scales, -xp.inf))

    @classmethod
    def zeros(cls, like: Array) -> Numbers:
        """Return zeros beside an array, of its shape."""
        xp = namespace(like)
        return cls(xp.zeros_like(like), xp.full_like(like, -xp.inf))

    @property
    def logs(self) -> Array:
        """Logarithms of the moduli; -inf for 0."""
        xp = namespace(self.mantissas)
        zero = self.mantissas == 0
        return xp.where(zero, -xp.inf, xp.log(xp.abs(xp.where(zero, 1.0, self.mantissas))) + self.log_scales)

    def times(self, factors: Array | float) -> Numbers:
        """Return the numbers times ordinary ones."""
        return Numbers(self.mantissas * factors, self.log_scales).normalized()

    def product(self, other: Numbers) -> Numbers:
        """Return the products, elementwise."""
        return Numbers(self.mantissas * other.mantissas, self.log_scales + other.log_scales).normalized()

    def plus(self, other: Numbers) -> Numbers:
        """Return the sums, elementwise; what their rounding hides counts as 0."""
        one, another, top = self._aligned(other)
        xp = namespace(one)
        total = one + another
        hidden = xp.abs(total) <= HIDDEN * (xp.abs(one) + xp.abs(another))
        return Numbers(xp.where(hidden, 0.0, total), top).normalized()

    def _aligned(self, other: Numbers) -> tuple[Array, Array, Array]:
        xp = namespace(self.mantissas)
        top = xp.maximum(self.log_scales, other.log_scales)
        finite = xp.where(xp.isinf(top), 0.0, top)
        return (
            self.mantissas * xp.exp(self.log_scales - finite),
            other.mantissas * xp.exp(other.log_scales - finite),
            finite,
        )

    def normalized(self) -> Numbers:
        """Return the same numbers with mantissas of modulus in [1, e)."""
        xp = namespace(self.mantissas)
        zero = (self.mantissas == 0) | xp.isinf(self.log_scales)
        kept = xp.where(zero, 1.0, self.mantissas)
        shift = xp.floor(xp.log(xp.abs(kept)))
        # Two half steps: exp(-shift) itself overflows for a subnormal mantissa.
        half = xp.exp(-0.5 * shift)
        scales = xp.where(zero, -xp.inf, xp.where(zero, 0.0, self.log_scales) + shift)
        return Numbers(xp.where(zero, 0.0, kept * half * half), scales)

    def at(self, index: tuple[Array, ...]) -> Numbers:
        """Return some of the numbers."""
        return Numbers(self.mantissas[index], self.log_scales[index])

    def put(self, index: tuple[Array, ...], values: Numbers) -> Numbers:
        """Return a copy in which some of the numbers are others."""
        xp = namespace(self.mantissas)
        copies = Numbers(*(xp.asarray(each, copy=True) for each in self))
        copies.mantissas[index], copies.log_scales[index] = values
        return copies


class Powers(NamedTuple):
    """β^a of each run for whole a ≥ 0, by log β in two parts whose products with a lose no digit."""

    head: Array
    tail: Array
    zero: Array
    """Whether β is 0."""

    @classmethod
    def of(cls, betas: np.ndarray, like: Array) -> Powers:
        """Return the powers of β of each run [runs], beside an array.

        >>> powers = Powers.of(np.array([0.9, 0.0]), np.zeros(2))
        >>> found = powers.to(np.array([[0, 100000], [0, 1]]))
        >>> found.logs.round(6).tolist()
        [[0.0, -10536.051566], [0.0, -inf]]
        """
        xp = namespace(like)
        logs = np.log(np.where(betas > 0, betas, 1.0).astype(np.longdouble))
        head = np.round(logs.astype(np.float64) * 2.0**30) / 2.0**30
        tail = (logs - head).astype(np.float64)
        parts = (head, tail, betas == 0)
        return cls(*(xp.asarray(each, device=device(like)) for each in parts))

    def to(self, ages: Array) -> Numbers:
        """Return β^a for ages [runs, ...]."""
        xp = namespace(self.head)
        ages = xp.astype(ages, self.head.dtype)
        head, tail, zero = (xp.reshape(each, (each.shape[0], *(1 for _ in ages.shape[1:]))) for each in self)
        high, low = ages * head, ages * tail
        gone = zero & (ages > 0)
        found = Numbers.of_logs(Doubled(high, low))
        return Numbers(xp.where(gone, 0.0, found.mantissas), xp.where(gone, -xp.inf, found.log_scales))
