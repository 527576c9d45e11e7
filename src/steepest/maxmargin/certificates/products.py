"""Matrix products with a bound on their rounding error, plain and in doubled precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sparse

__all__ = ["AT_ONCE", "absolute_product", "accurate_product", "exact_product", "product"]

AT_ONCE = 1 << 20
"""Numbers of an array from which no copy of it is made as a whole: 8 MB."""

_UNIT = 2.0**-53
_SPLIT = 2.0**27 + 1.0
_CHUNK = 1 << 20


def product(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return C = A B and E with abs(C - AB) ≤ E entry by entry, for A [r, m] and B [m, c].

    E is the a-priori bound γ |A||B| with γ = (m + 2) u / (1 - (m + 2) u), u = 2⁻⁵³ (Higham, Accuracy and
    Stability of Numerical Algorithms, 2002, section 3.5), valid for every order of summation; two terms more
    than there are allow for the rounding of E itself.

    >>> value, error = product(np.array([[1.0, 1.0]]), np.array([[1.0], [-1.0]]))
    >>> float(value[0, 0]), 0 < error[0, 0] < 1e-15
    (0.0, np.True_)
    """
    steps = A.shape[1] + 2
    factor = steps * _UNIT / (1 - steps * _UNIT)
    terms = absolute_product(A, B)
    return A @ B, factor * terms * (1 + factor) + steps * np.finfo(float).smallest_subnormal


def absolute_product(A: Any, B: Any) -> np.ndarray:
    """Return |A||B| of arrays or sparse arrays, without a copy of a large one as a whole.

    >>> absolute_product(np.array([[1.0, -2.0]]), np.array([[-3.0], [4.0]])).tolist()
    [[11.0]]
    """
    if sparse.issparse(A) or sparse.issparse(B) or max(A.size, B.size) <= AT_ONCE:
        return np.abs(A) @ np.abs(B)
    step = max(1, AT_ONCE // max(A.shape[1], B.shape[1]))
    if A.size >= B.size:
        B = np.abs(B)
        return np.concatenate([np.abs(A[s : s + step]) @ B for s in range(0, len(A), step)])
    total = np.zeros((A.shape[0], B.shape[1]))
    for s in range(0, len(B), step):
        total += np.abs(A[:, s : s + step]) @ np.abs(B[s : s + step])
    return total


def accurate_product(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return C = A B as if summed in doubled precision, and E with abs(C - AB) ≤ E; A [r, m], B [m, c].

    Compensated dot products (Ogita, Rump and Oishi, SIAM J. Sci. Comput. 26, 2005, Dot2):
    E = 2 u |C| + 2 γ² |A||B| with the γ of :func:`product`, so that sums which cancel to 1e-10 of their terms
    keep six digits more than those of a plain product. Costs some twenty passes; meant for the few rows that
    decide a bound.
    """
    of_a, of_b = _exponent(A), _exponent(B)
    A, B = np.ldexp(A, -of_a), np.ldexp(B, -of_b)
    C = np.empty((A.shape[0], B.shape[1]))
    rows = max(1, _CHUNK // max(1, B.shape[1]))
    for start in range(0, A.shape[0], rows):
        part = slice(start, start + rows)
        C[part] = _compensated(A[part], B)
    steps = A.shape[1] + 2
    factor = steps * _UNIT / (1 - steps * _UNIT)
    terms = np.abs(A) @ np.abs(B)
    # Products of scaled entries that underflow lose less than 1e-290 each; sums without terms are exact.
    E = 2 * _UNIT * np.abs(C) + 2 * factor**2 * terms + np.where(terms > 0, steps * 1e-290, 0.0)
    return _scaled(C, E, of_a + of_b)


def exact_product(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return C = A B rounded once, and E with abs(C - AB) ≤ E; A [r, m], B [m, c].

    Every product is split into two numbers without an error (Dekker 1971) and their sum is rounded once
    (Shewchuk 1997, as in :func:`math.fsum`). Sums may cancel to any share of their terms. A term costs a
    tenth of a microsecond.
    """
    of_a, of_b = _exponent(A), _exponent(B)
    A, B = np.ldexp(A, -of_a), np.ldexp(B, -of_b)
    B_high = _high(B)
    B_low = B - B_high
    C = np.empty((A.shape[0], B.shape[1]))
    for row, factors in enumerate(A):
        used = factors != 0.0
        a = factors[used, None]
        high = _high(a)
        b, bh, bl = B[used], B_high[used], B_low[used]
        term = a * b
        lost = (a - high) * bl - (((term - high * bh) - (a - high) * bh) - high * bl)
        C[row] = [math.fsum(column) for column in np.concatenate([term, lost]).T.tolist()]
    # Only products that underflow are not exact, and lose less than 1e-290 each.
    E = _UNIT * np.abs(C) + np.where(np.abs(A) @ np.abs(B) > 0, A.shape[1] * 1e-290, 0.0)
    return _scaled(C, E, of_a + of_b)


def _compensated(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    total = np.zeros((A.shape[0], B.shape[1]))
    rest = np.zeros_like(total)
    A_high, B_high = _high(A), _high(B)
    A_low, B_low = A - A_high, B - B_high
    for j in range(A.shape[1]):
        a, b = A[:, j, None], B[None, j]
        ah, al, bh, bl = A_high[:, j, None], A_low[:, j, None], B_high[None, j], B_low[None, j]
        term = a * b
        lost = al * bl - (((term - ah * bh) - al * bh) - ah * bl)
        new = total + term
        virtual = new - total
        rest += ((total - (new - virtual)) + (term - virtual)) + lost
        total = new
    return total + rest


def _high(A: np.ndarray) -> np.ndarray:
    shifted = _SPLIT * A
    return shifted - (shifted - A)


def _exponent(A: np.ndarray) -> int:
    return math.frexp(float(np.max(np.abs(A), initial=0.0)))[1] - 1


def _scaled(C: np.ndarray, E: np.ndarray, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    # Both scales at once: one after the other, what is in range at the end may underflow between them.
    tiny = np.where(E > 0, 2 * np.finfo(float).smallest_subnormal, 0.0)
    return np.ldexp(C, exponent), np.ldexp(E, exponent) + tiny
