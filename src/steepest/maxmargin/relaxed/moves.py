"""How dual weights may change within their caps, and what that does to A(q).

A sample below its cap may give more or less to any of its pairs. One at its cap keeps its sum, and moves
weight from its largest pair to others. In both ways a class c+ gains what another class c- loses of x_i.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Moves", "moves_of"]

_TIGHT = 1e-6
"""A sample whose dual weights are below its cap by less than this share of it is at its cap."""
_NOTHING = 1e-12
"""Dual weights below this share of the largest are none."""


@dataclass(frozen=True)
class Moves:
    """Changes of dual weights, one a row."""

    samples: np.ndarray
    """Shape [v]."""
    gains: np.ndarray
    """The class whose row of A(q) gains x_i, shape [v]."""
    loses: np.ndarray
    """The class whose row loses it: that of the pair that grows, shape [v]."""
    room: np.ndarray
    """Any changes by less than this, all at once, keep every dual weight positive and below its cap,
    shape [v]."""
    grows: np.ndarray
    """Whether the sum of all dual weights grows with it, shape [v]."""
    tight: np.ndarray
    """Which samples are at their caps, shape [m]."""
    largest: np.ndarray
    """The class of each sample's largest dual weight, from which it moves, shape [m]."""
    support: np.ndarray
    """Which pairs have dual weight, shape [m, k]."""

    def taken(self, chosen: np.ndarray) -> Moves:
        """Some of the moves."""
        return replace(
            self,
            samples=self.samples[chosen],
            gains=self.gains[chosen],
            loses=self.loses[chosen],
            room=self.room[chosen],
            grows=self.grows[chosen],
        )

    def columns(self, X: np.ndarray, k: int) -> np.ndarray:
        """What each does to A(q) without its last row, and to the sum of q, shape [(k - 1) d + 1, v]."""
        classes = np.eye(k)[:, : k - 1]
        signs = classes[self.gains] - classes[self.loses]
        parts = (signs[:, :, None] * X[self.samples][:, None, :]).reshape(len(signs), (k - 1) * X.shape[1])
        return np.concatenate([parts, self.grows[:, None].astype(float)], axis=1).T


def moves_of(q: np.ndarray, y: np.ndarray, caps: np.ndarray | None, *, tight: float = _TIGHT) -> Moves:
    """Return the moves of dual weights q [m, k] within caps [m].

    >>> found = moves_of(np.array([[0.0, 0.5], [0.25, 0.0]]), np.array([0, 1]), np.array([0.5, 0.5]))
    >>> found.samples.tolist(), found.room.tolist(), found.tight.tolist()
    ([1], [0.125], [True, False])
    """
    m, k = q.shape
    caps = np.full(m, np.inf) if caps is None else caps
    sums = q.sum(axis=1)
    full = sums >= caps * (1.0 - tight)
    support = q > _NOTHING * q.max()
    largest = np.argmax(q, axis=1)
    i, c = np.nonzero(support)
    held = full[i]
    shifted = held & (c != largest[i])
    i, c, held = (each[shifted | ~held] for each in (i, c, held))
    sources = np.where(held, q[i, largest[i]], caps[i] - sums[i])
    room = np.maximum(np.minimum(q[i, c], sources / k), 0.0)
    return Moves(i, np.where(held, largest[i], y[i]), c, room, ~held, full, largest, support)
