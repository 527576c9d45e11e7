"""A bundle method with a metric that is learned: for norms whose dual has edges at the optimum.

The next dual weights minimise max_j ⟨cut_j, q⟩ + ½ τ (q - q̂)ᵀ B (q - q̂) over the simplex, q̂ the best point so
far. The cuts model the edges of the dual norm, and B its curvature along them: it is updated by the changes
of the aggregate of the cuts between one descent and the next, as in sequential quadratic programming
(Powell's damped BFGS). Where the ball is polyhedral B matters little and the end is finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.maxmargin.cutting_planes.game import Game
from steepest.maxmargin.cutting_planes.master import Curvature, Master, solve_master

__all__ = ["Bundle"]

_DESCENT = 0.1
"""Share of the predicted decrease that makes a point the next centre."""
_DAMPED = 0.2
"""Powell's: updates keep at least this share of the curvature."""
_CALM, _TIGHTER, _LOOSER, _TIGHTEST = 3, 1.2, 0.7, 100.0
"""Failures in a row before τ grows, by which factor; by which it falls after a descent; its largest value."""
_FIRST_CURVATURE = 0.02
"""Of B at the start, times P and the dual norm: the curvature of a ball seen from its centre is one."""
_OF_PREDICTED = 1e-2
"""Share of the predicted decrease to which the master problem is solved."""


@dataclass
class Bundle:
    """The state of the method: centre, metric, and the last descent."""

    game: Game
    q: np.ndarray
    value: float
    B: np.ndarray
    tau: float = 1.0
    predicted: float = np.inf
    failures: int = 0
    last: tuple[np.ndarray, np.ndarray] | None = None
    """Step of the last descent, and the weights that combined the cuts at it."""

    @classmethod
    def start(cls, game: Game, q: np.ndarray) -> Bundle:
        """Start at dual weights of the chosen pairs."""
        value, size = game.cut(q).value, len(q)
        return cls(game, q, value, _FIRST_CURVATURE * size * value * np.eye(size))

    def advance(self) -> Master:
        """One master problem, and cuts on the way to its dual weights."""
        game, M = self.game, self.game.matrix()
        expected = min(abs(self.predicted), game.left)
        metric = Curvature(self.tau * self.B, self.q)
        master = solve_master(M, metric, max(_OF_PREDICTED * expected, 1e-15 * self.value))
        W = game.combined(master.shares)
        game.take_weights(W)
        step = master.q - self.q
        model = float((M @ master.q).max())
        self.predicted = self.value - model - 0.5 * self.tau * float(step @ (self.B @ step))
        q, cut = game.cut_on_the_way(self.q, master.q)
        value = cut.value
        if value <= self.value - _DESCENT * self.predicted:
            self._learn(W)
            self.last, self.failures = (q - self.q, W), 0
            self.q, self.value, self.tau = q, value, max(1.0, _LOOSER * self.tau)
        else:
            self.failures += 1
            if value > self.value and self.failures > _CALM:
                self.tau = min(_TIGHTEST, _TIGHTER * self.tau)
        return master

    def _learn(self, W: np.ndarray) -> None:
        if self.last is None:
            return
        step, before = self.last
        turned, image = self.game.margins(W - before), self.B @ step
        curvature = float(step @ image)
        if not curvature > 0.0:
            return
        product = float(step @ turned)
        share = 1.0 if product >= _DAMPED * curvature else (1.0 - _DAMPED) * curvature / (curvature - product)
        turned = share * turned + (1.0 - share) * image
        self.B += np.outer(turned, turned / float(step @ turned)) - np.outer(image, image / curvature)

    def choose(self, kept: np.ndarray) -> None:
        """Go on with the pairs that the game has now: those kept, by their old places, and new ones."""
        size = self.game.size
        B = float(np.diagonal(self.B).mean()) * np.eye(size)
        B[: len(kept), : len(kept)] = self.B[np.ix_(kept, kept)]
        self.B, self.q = B, _placed(self.q[kept], size)
        self.q /= self.q.sum()
        self.value = self.game.cut(self.q).value
        if self.last is not None:
            step, W = self.last
            self.last = _placed(step[kept], size), W


def _placed(values: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([values, np.zeros(size - len(values))])
