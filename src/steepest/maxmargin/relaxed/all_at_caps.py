"""Soft margins whose caps sum to 1, as with ν = 1: every sample has all the dual weight that it may have.

The level of the margins plays no part then: γ_1 = max_{‖W‖ ≤ 1} Σ_i cap_i (smallest margin of sample i) is
the mean of all margins. Of two classes the dual weights are the caps, and W is the direction of A(caps).
"""

from __future__ import annotations

import numpy as np

__all__ = ["are_all_at_caps", "only_dual"]

_TIGHT = 1e-12
"""What caps leave to dual weights of sum 1 where they leave none but for rounding."""


def are_all_at_caps(caps: np.ndarray, total: float = 1.0) -> bool:
    """Whether dual weights of a sum must be at their caps, to rounding.

    >>> are_all_at_caps(np.full(3, 1 / 3)), are_all_at_caps(np.full(3, 0.5))
    (True, False)
    """
    return bool(caps.sum() <= total * (1.0 + _TIGHT))


def only_dual(labels: np.ndarray, k: int, caps: np.ndarray | None) -> np.ndarray | None:
    """Return the dual weights [m, k] that alone are within caps [m]; None where there are others.

    Two classes have samples, and all caps bind.

    >>> only_dual(np.array([0, 1, 1]), 2, np.full(3, 1 / 3)).round(2).tolist()
    [[0.0, 0.33], [0.33, 0.0], [0.33, 0.0]]
    """
    if k != 2 or caps is None or not are_all_at_caps(caps):
        return None
    q = np.zeros((len(labels), k))
    q[np.arange(len(labels)), 1 - labels] = caps
    return q
