"""What a method for relaxed max margins proposes: nothing of it is certified yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Proposal"]


@dataclass(frozen=True)
class Proposal:
    """Weights of levelled and of free features, and dual weights, with where they came from."""

    weights: np.ndarray
    free: np.ndarray
    dual: np.ndarray
    iterations: int
    method: str
