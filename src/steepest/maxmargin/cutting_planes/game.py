"""The game of dual weights against weights in the ball, over a part of the pairs, and its cuts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.pairs import Pairs, dense_dual

__all__ = ["Cut", "Game"]

_ON_THE_WAY = (1.0, 0.5, 0.2)
"""Shares of the way to a point that a master problem proposes at which cuts are made: fewer problems do."""


@dataclass(frozen=True)
class Cut:
    """Weights V = D(A(q)) of the ball: ‖A(q')‖_* ≥ ⟨q', margins of V⟩ for all q', with equality at q."""

    weights: np.ndarray
    """V, in the coordinates of the norm."""
    margins: np.ndarray
    """Of the pairs of the game, shape [P]; the gradient of ‖A(q)‖_* too."""
    value: float
    """‖A(q)‖_* = ⟨A(q), V⟩."""


@dataclass
class Game:
    """min over q in the simplex of ‖A(q)‖_* on chosen pairs, with the cuts met and the best bounds on γ."""

    pairs: Pairs
    chosen: np.ndarray
    """The pairs (i, c) of the game, shape [P, 2]; dual weights of all others are zero."""
    best: Best
    """Weights and dual weights [n, k] of the best bounds for all pairs."""
    cuts: list[Cut] = field(default_factory=list)
    calls: int = 0
    """Directions that were computed."""

    @classmethod
    def of(cls, pairs: Pairs, chosen: np.ndarray) -> Game:
        """The game on some pairs, before its first move."""
        return cls(pairs, chosen, Best(np.zeros(pairs.reduced.shape), pairs.uniform))

    @property
    def size(self) -> int:
        """Number of pairs P."""
        return len(self.chosen)

    @property
    def gap(self) -> float:
        """Relative gap of the best bounds; 1 at most."""
        return min(1.0, self.best.relative_gap) if self.best.lower > 0 else 1.0

    @property
    def left(self) -> float:
        """What is left between the bounds, at most the upper one."""
        return self.best.upper - max(self.best.lower, 0.0)

    @property
    def dual(self) -> np.ndarray:
        """Dual weights of the best upper bound, of the chosen pairs alone; of sum 1."""
        q = self.best.dual[tuple(self.chosen.T)]
        return q / q.sum()

    def pair_sum(self, q: np.ndarray) -> np.ndarray:
        """A(q) of dual weights of the chosen pairs, of any sign."""
        whole = np.zeros(self.pairs.mask.shape)
        whole[tuple(self.chosen.T)] = q
        return self.pairs.pair_sum(whole)

    def margins(self, V: np.ndarray) -> np.ndarray:
        """Margins of the chosen pairs."""
        return self.pairs.margins(V)[tuple(self.chosen.T)]

    def cut(self, q: np.ndarray) -> Cut:
        """The cut at q in the simplex, which is kept, as is q where its upper bound is the best."""
        A = self.pair_sum(q)
        V = np.asarray(self.pairs.reduced.norm.direction(A), dtype=float)
        self.calls += 1
        cut = Cut(V, self.margins(V), float(np.sum(A * V)))
        if np.isfinite(cut.value) and np.isfinite(cut.margins).all():
            self.cuts.append(cut)
            if cut.value < self.best.upper:
                self.best.take_dual(dense_dual(q, self.chosen, self.pairs.mask.shape), cut.value)
        return cut

    def cut_on_the_way(self, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, Cut]:
        """Cuts between two points, which cost little beside a master problem; the lowest and its place."""
        places = [start + share * (end - start) for share in _ON_THE_WAY]
        cuts = [self.cut(q) for q in places]
        lowest = min(range(len(cuts)), key=lambda j: cuts[j].value)
        return places[lowest], cuts[lowest]

    def matrix(self) -> np.ndarray:
        """The margins of all cuts, shape [J, P]."""
        return np.array([cut.margins for cut in self.cuts])

    def combined(self, shares: np.ndarray) -> np.ndarray:
        """The weights of the cuts in convex combination."""
        used = np.nonzero(shares > 0)[0]
        return np.tensordot(shares[used], np.array([self.cuts[j].weights for j in used]), 1)

    def take_weights(self, W: np.ndarray) -> float:
        """Their lower bound over all pairs; they are kept where it is the best."""
        size = float(self.pairs.reduced.norm(W))
        if not 0.0 < size < np.inf:
            return 0.0
        lower = self.pairs.lowest_margin(W) / size
        self.best.take_weights(W, lower)
        return lower

    def forget(self, kept: np.ndarray) -> None:
        """Keep some cuts, by their places."""
        self.cuts = [self.cuts[j] for j in kept]

    def choose(self, chosen: np.ndarray) -> None:
        """Play on other pairs; the cuts are taken along."""
        self.chosen = chosen
        self.cuts = [Cut(cut.weights, self.margins(cut.weights), cut.value) for cut in self.cuts]

    def violated(self, W: np.ndarray) -> np.ndarray:
        """Pairs outside the game whose margins are below those of all pairs in it, shape [s, 2]."""
        margins = self.pairs.margins(W)
        outside = self.pairs.mask.copy()
        outside[tuple(self.chosen.T)] = False
        return np.argwhere(outside & (margins < float(margins[tuple(self.chosen.T)].min())))
