"""Products in twice the working precision, as two numbers that add up to the result.

At a margin of 1e5 the last digit of a float64 logit is worth 1e-11, and a residual is the exponential of a
difference of logits: ordinary products would make directions wrong in the eleventh digit, and wholly wrong
at 1e16. :func:`precise_product` splits each factor into a head of few bits, whose products are exact in any
order of summation, and a small tail. Three ordinary matrix products then give what a product in doubled
precision gives, at the machine's speed (the scheme of Ozaki et al., Numer. Algorithms 59, 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steepest.arrays import Array, namespace


@dataclass(frozen=True)
class Doubled:
    """Numbers high + low, elementwise, where ``low`` is what ``high`` alone rounds away."""

    high: Array
    low: Array

    def __sub__(self, other: Doubled) -> Doubled:
        """Return the difference in doubled precision (an exact subtraction of the high parts)."""
        high, error = two_sum(self.high, -other.high)
        return Doubled(high, error + (self.low - other.low))


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the rounded sum of a and b, of one shape, and its exact rounding error (Knuth).

    >>> two_sum(1.0, 2.0**-60) == (1.0, 2.0**-60)
    True
    """
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def head_bits(terms: int) -> int:
    """Bits that each factor may keep so that a sum of ``terms`` products is exact in float64.

    >>> head_bits(2), head_bits(1000)
    (26, 21)
    """
    return (53 - max(1, math.ceil(math.log2(max(terms, 2))))) // 2


def head(rows: Array) -> Array:
    """Round each row [..., d] to multiples of one power of two, with few enough bits for exact products.

    The rest, ``rows - head(rows)``, is exact too.

    >>> import numpy as np
    >>> row = np.array([[1 / 3, 1e-9]])
    >>> bool(np.all(head(row) + (row - head(row)) == row))
    True
    """
    xp = namespace(rows)
    largest = xp.max(xp.abs(rows), axis=-1, keepdims=True)
    exponent = xp.ceil(xp.log2(xp.where(largest > 0, largest, 1.0)))
    # Adding and subtracting 1.5 · 2^52 units rounds to a multiple of the unit.
    lift = 1.5 * 2.0 ** (xp.clip(exponent - head_bits(rows.shape[-1]) + 52, -1000.0, 1000.0))
    return (rows + lift) - lift


def precise_product(rows: Array, rows_head: Array, columns: Array) -> Doubled:
    """Return rows · columnsᵀ [..., n, k] in doubled precision, for rows [..., n, d], columns [..., k, d].

    ``rows_head`` is ``head(rows)``, which callers keep where the rows stay the same. The error is below
    2^-70 of Σ_j |rows_j| |columns_j| for rows of one scale, and never above that of an ordinary product.

    >>> import numpy as np
    >>> rows, columns = np.array([[1e8, 1.0]]), np.array([[1e8, 1e-9]])
    >>> product = precise_product(rows, head(rows), columns)
    >>> float(product.high[0, 0] - 1e16), float(product.low[0, 0])
    (0.0, 1e-09)
    """
    xp = namespace(rows, columns)
    columns_head = head(columns)
    exact = xp.matmul(rows_head, xp.matrix_transpose(columns_head))
    rest = xp.matmul(rows_head, xp.matrix_transpose(columns - columns_head)) + xp.matmul(
        rows - rows_head, xp.matrix_transpose(columns)
    )
    return Doubled(*two_sum(exact, rest))
