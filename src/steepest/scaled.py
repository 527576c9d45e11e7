"""Matrices as mantissa × exp(log-scale): sums that keep their direction at any size.

Gradients at a margin of 3000 are about e^-3000: far below the smallest double, yet their direction is an
ordinary matrix. Momentum and variance reduction add such gradients, so they add pairs of a mantissa and a
log-scale. Log-scales are whole numbers: sums and differences of whole numbers are exact in floating point,
so a log-scale of -100 000 costs no digit of the mantissa.
"""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.geometry import Norm


@dataclass(frozen=True)
class Scaled:
    """Matrices mantissa · exp(log_scale), batched over leading dimensions.

    ``mantissa`` has shape [..., k, d]; ``log_scale`` has shape [...] and holds whole numbers (natural
    logarithm), or -inf where the matrix is zero. The matrix may be far outside the range of its dtype.

    >>> import numpy as np
    >>> tiny = Scaled(np.array([[1.0, 2.0]]), np.array(-3000.0))
    >>> tinier = Scaled(np.array([[4.0, 4.0]]), np.array(-3001.0))
    >>> total = tiny + tinier
    >>> total.mantissa * np.exp(total.log_scale + 3000)
    array([[2.47151776, 3.47151776]])
    >>> (tiny - tiny).log_scale
    array(-inf)
    """

    mantissa: Array
    log_scale: Array

    def __add__(self, other: Scaled) -> Scaled:
        xp = namespace(self.mantissa, other.mantissa)
        top = xp.maximum(self.log_scale, other.log_scale)
        return Scaled(
            self.mantissa * _per_matrix(_exp_of_difference(self.log_scale, top))
            + other.mantissa * _per_matrix(_exp_of_difference(other.log_scale, top)),
            top,
        ).normalized()

    def __sub__(self, other: Scaled) -> Scaled:
        return self + Scaled(-other.mantissa, other.log_scale)

    def __mul__(self, factor: Array | float) -> Scaled:
        """Multiply by a number, or by one number a matrix (shape [...])."""
        xp = namespace(self.mantissa)
        factor = xp.asarray(factor, dtype=self.mantissa.dtype, device=device(self.mantissa))
        # A zero must not keep its scale: it would hide every smaller matrix that is added to it.
        log_scale = xp.where(factor == 0, -xp.inf, self.log_scale)
        return Scaled(self.mantissa * _per_matrix(factor), log_scale)

    __rmul__ = __mul__

    def normalized(self) -> Scaled:
        """Return the same matrices with a largest mantissa in [1, e), or zero at log-scale -inf."""
        xp = namespace(self.mantissa)
        peak = xp.max(xp.abs(self.mantissa), axis=(-2, -1))
        zero = peak == 0
        shift = xp.floor(xp.log(xp.where(zero, 1.0, peak)))
        # Two half steps: exp(-shift) itself overflows for a subnormal peak.
        half = _per_matrix(xp.exp(-0.5 * shift))
        return Scaled(self.mantissa * half * half, xp.where(zero, -xp.inf, self.log_scale + shift))

    def log_norm(self, norm: Norm) -> Array:
        """Natural logarithm of the norm of each matrix, shape [...]; -inf for zero."""
        xp = namespace(self.mantissa)
        size = norm(self.mantissa)
        return xp.where(size > 0, xp.log(xp.where(size > 0, size, 1.0)) + self.log_scale, -xp.inf)

    def rounded(self) -> Array:
        """Return the matrices as plain numbers of their dtype: may underflow to 0 or overflow to infinity."""
        xp = namespace(self.mantissa)
        half = _per_matrix(xp.exp(0.5 * self.log_scale))
        return self.mantissa * half * half


def zeros_like(matrix: Array) -> Scaled:
    """Return the zero of the shape of ``matrix`` [..., k, d].

    >>> import numpy as np
    >>> zeros_like(np.ones((2, 3))).log_scale
    array(-inf)
    """
    xp = namespace(matrix)
    return Scaled(xp.zeros_like(matrix), xp.full_like(matrix[..., 0, 0], -xp.inf))


def _exp_of_difference(log_scale: Array, top: Array) -> Array:
    xp = namespace(top)
    # Zeros have log-scale -inf on both sides of the difference, which would be NaN.
    return xp.exp(xp.where(xp.isinf(log_scale), -xp.inf, log_scale - xp.where(xp.isinf(top), 0.0, top)))


def _per_matrix(numbers: Array) -> Array:
    return numbers[..., None, None]
