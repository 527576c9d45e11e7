"""Where logits are too large for any residual to be known, descent ends in an error instead of in NaN."""

from __future__ import annotations

import numpy as np

from steepest.errors import InvalidData
from steepest.problem import Classification

__all__ = ["require_known_residuals"]

_LARGEST_LOGIT = 2.0**62
"""Beyond this the second half of a logit in doubled precision exceeds what exponentials take."""


def require_known_residuals(problem: Classification, weights: np.ndarray, step: int) -> None:
    """Raise InvalidData where logits may exceed 2^62: |z_ic| ≤ max |W| · max_i ‖x_i‖₁.

    Args:
        problem: the data.
        weights: W, shape [..., k, d].
        step: after how many steps they stand.
    """
    largest = float(np.max(np.abs(weights))) * problem.feature_bound
    # Weights that have overflowed compare as false.
    if not np.any(weights) or largest <= _LARGEST_LOGIT:
        return
    raise InvalidData(
        "features",
        f"samples of ‖x‖₁ up to {problem.feature_bound:.3g}",
        f"by step {step} logits may reach {largest:.2g}, and beyond {_LARGEST_LOGIT:.2g} doubled precision "
        "tells no residuals apart; divide each feature by its size and subtract what all samples share, "
        "or take smaller or fewer steps",
    )
