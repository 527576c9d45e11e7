"""Logarithms of sums, sigmoids and softplus in doubled precision: what residuals are written in.

A residual of e^-3000 exists as its logarithm alone, and at 1e5 a float64 logarithm has lost five digits of
the number that it stands for. So every function takes and returns pairs high + low.
"""

from __future__ import annotations

from steepest.arrays import Array, namespace
from steepest.doubled import Doubled
from steepest.losses.protocol import Residuals

__all__ = ["log_shares", "log_sigmoid", "log_softplus", "log_sum_exp", "summed_over_pairs"]

_TINY = 1e-290


def log_sum_exp(logs: Doubled) -> tuple[Doubled, Array]:
    """Return log Σ_c exp(logs_c) [...] for logarithms [..., k], and each term's share of the sum [..., k].

    >>> import numpy as np
    >>> total, shares = log_sum_exp(Doubled(np.array([-5000.0, -5000.0, -np.inf]), np.zeros(3)))
    >>> float(total.high), float(total.low).__round__(6), shares.tolist()
    (-5000.0, 0.693147, [0.5, 0.5, 0.0])
    """
    xp = namespace(logs.high)
    top = xp.max(logs.high + logs.low, axis=-1, keepdims=True)
    exponentials = xp.exp((logs.high - top) + logs.low)
    total = xp.sum(exponentials, axis=-1, keepdims=True)
    # At large margins only the pair (top, log(total)) keeps the digits of its sum.
    return Doubled(top[..., 0], xp.log(total[..., 0])), exponentials / total


def log_shares(logs: Doubled, total: Doubled) -> Array:
    """Return the logarithm of each term's share of its sum, as :func:`log_sum_exp` returns the sum.

    >>> import numpy as np
    >>> logs = Doubled(np.array([0.0, -8000.0]), np.zeros(2))
    >>> log_shares(logs, log_sum_exp(logs)[0]).tolist()
    [0.0, -8000.0]
    """
    return (logs.high - total.high[..., None]) + (logs.low - total.low[..., None])


def log_sigmoid(u: Doubled) -> Doubled:
    """Return log(1 / (1 + e^-u)), elementwise.

    >>> import numpy as np
    >>> log_sigmoid(Doubled(np.array([-3000.0, 0.0]), np.zeros(2))).high.tolist()
    [-3000.0, 0.0]
    """
    xp = namespace(u.high)
    value = u.high + u.low
    right = value < 0  # on the right side of the decision boundary
    softening = xp.log1p(xp.exp(-xp.abs(value)))
    return Doubled(xp.where(right, u.high, 0.0), xp.where(right, u.low - softening, -softening))


def log_softplus(u: Doubled) -> Doubled:
    """Return log log(1 + e^u), elementwise.

    >>> import numpy as np
    >>> log_softplus(Doubled(np.array([-3000.0]), np.zeros(1))).high.tolist()
    [-3000.0]
    """
    xp = namespace(u.high)
    value = u.high + u.low
    right = value < 0
    small = xp.exp(-xp.abs(value))
    softening = xp.log1p(small)
    # softplus(u) = e^u · log1p(e^u) / e^u, whose last factor tends to 1 where e^u underflows.
    ratio = xp.where(small > _TINY, softening / xp.where(small > _TINY, small, 1.0), 1.0)
    # The value of what is not used must be no -inf, whose logarithm would be NaN.
    wrong = xp.where(right, 1.0, xp.abs(value) + softening)
    return Doubled(xp.where(right, u.high, 0.0), xp.where(right, u.low + xp.log(ratio), xp.log(wrong)))


def summed_over_pairs(log_residuals: Doubled, log_losses: Doubled) -> Residuals:
    """Return the residuals of a loss ℓ(a) = Σ_c φ(a_c) from log φ'(a_c) and log φ(a_c), both [..., b, k]."""
    log_weights, shares = log_sum_exp(log_residuals)
    return Residuals(shares, log_weights, log_sum_exp(log_losses)[0], log_shares(log_residuals, log_weights))
