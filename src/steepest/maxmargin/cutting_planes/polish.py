"""The last digits: margins of the active pairs made equal, by weights or by dual weights.

Near the optimum the upper bound is right to second order in what is left, the lower bound only to first: its
weights violate some of the pairs whose margins are equal at the optimum. Two corrections mend it to second
order too, the first where the norm is smooth at the weights, the second where its dual is smooth at A(q).
What either proposes is evaluated like everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from steepest.maxmargin.cutting_planes.game import Game

__all__ = ["Polish", "equalise_by_dual_weights", "equalise_by_weights"]

_CLOSE = 1e-2
"""Gap below which corrections begin: before, the active pairs are not known."""
_GAINED = 0.7
"""Share to which a correction must bring the gap not to pause."""
_LONGEST_PAUSE = 8

_ACTIVE = 1e-7
"""Dual weights above this share of the largest are those of active pairs."""
_MOST_ACTIVE = 1200
"""Active pairs up to which their matrices are made and factored."""
_ROUNDS = 6
"""Corrections in a row: violated pairs are taken in, and Newton's steps repeated."""
_RANK = 1e-11
"""Relative size below which directions of a matrix of active pairs are rounding."""
_DIFFERENCE = 1e-5
"""Relative step of central differences: errors of 1e-10 by curvature, 1e-11 by rounding."""
_NUMBERS = 1 << 21
"""Numbers in the matrices whose directions are computed at once."""


@dataclass
class Polish:
    """Both corrections, each with pauses that double while it gains nothing."""

    game: Game
    pauses: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For each: looks to wait, and how long the pause is that it is in."""

    def correct(self, W: np.ndarray, q: np.ndarray) -> None:
        """Correct weights W, of dual weights q, and the dual weights of the best upper bound."""
        if self.game.gap > _CLOSE:
            return
        self._unless_paused("weights", lambda: equalise_by_weights(self.game, W, q))
        self._unless_paused("dual weights", lambda: equalise_by_dual_weights(self.game, self.game.dual))

    def _unless_paused(self, name: str, correction: Callable[[], None]) -> None:
        left, pause = self.pauses.get(name, (0, 0))
        if left > 0:
            self.pauses[name] = (left - 1, pause)
            return
        before = self.game.gap
        correction()
        pause = 0 if self.game.gap <= _GAINED * before else min(_LONGEST_PAUSE, max(1, 2 * pause))
        self.pauses[name] = (pause, pause)


def equalise_by_weights(game: Game, W: np.ndarray, q: np.ndarray) -> None:
    """Change W by as little as makes the margins of active pairs equal, and keep what is best.

    Margins along A(q) stay the same, so that a norm that is smooth at W grows by the square of the change.
    """
    pairs, whole = game.pairs, np.zeros(game.pairs.mask.shape)
    whole[tuple(game.chosen.T)] = q
    active = whole > _ACTIVE * whole.max()
    for _ in range(_ROUNDS):
        places = np.argwhere(active)
        if len(places) > _MOST_ACTIVE:
            return
        rows = pairs.matrix(places)
        margins = pairs.margins(W)
        level = float(np.sum(whole * margins))
        gram = (rows @ rows.T).toarray()
        change = rows.T @ _least_squares(gram, level - margins[active])
        new = W + change.reshape(W.shape)
        if not np.isfinite(new).all():
            return
        game.take_weights(new)
        violated = pairs.mask & ~active & (pairs.margins(new) < level)
        if not violated.any():
            return
        active |= violated


def equalise_by_dual_weights(game: Game, q: np.ndarray) -> None:
    """Newton's method on the active pairs, by differences of the direction: their margins become equal."""
    active, before = q > _ACTIVE * q.max(), np.inf
    for _ in range(_ROUNDS):
        if np.count_nonzero(active) > _MOST_ACTIVE:
            return
        moved = _newton(game, q, active)
        if moved is None:
            return
        q = moved
        cut = game.cut(q)
        # The first step may lose much, where it finds out which pairs are active.
        gap = 1.0 - game.take_weights(cut.weights) / cut.value if cut.value > 0.0 else 0.0
        if not 0.0 < gap < before:
            return
        active, before = (q > 0.0) | (cut.margins < float(q @ cut.margins)), gap


def _newton(game: Game, q: np.ndarray, active: np.ndarray) -> np.ndarray | None:
    """Dual weights of sum 1 where the linearised margins of active pairs are equal; no pair joins."""
    places = np.nonzero(active)[0]
    A = game.pair_sum(q)
    margins = game.margins(np.asarray(game.pairs.reduced.norm.direction(A)))[places]
    K = _differences(game, A, places)
    if not np.isfinite(K).all():
        return None
    free = np.arange(len(places))
    while len(free) > 1:
        s = len(free)
        system = np.zeros((s + 1, s + 1))
        # The last equation has the size of the others, so that neither is rounding of the other.
        size = float(np.abs(K[np.ix_(free, free)]).max()) or 1.0
        system[:s, :s] = K[np.ix_(free, free)]
        system[s, :s] = system[:s, s] = size
        left_out = 1.0 - float(q[places[free]].sum())
        right = np.append(-margins[free], size * left_out)
        step = _least_squares(system, right)[:s]
        new = q[places[free]] + step
        if not np.isfinite(new).all():
            return None
        if (new >= 0.0).all():
            q = np.zeros_like(q)
            q[places[free]] = new
            return q / q.sum() if q.any() else None
        free = free[new > 0.0]
    return None


def _differences(game: Game, A: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Derivatives of the margins of pairs by their dual weights, shape [s, s], made symmetric."""
    pairs, norm = game.pairs, game.pairs.reduced.norm
    chosen = game.chosen[places]
    rows = pairs.matrix(chosen)
    sizes = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    steps = _DIFFERENCE * float(np.linalg.norm(A)) / np.where(sizes > 0, sizes, 1.0)
    K = np.zeros((len(places), len(places)))
    at_once = max(1, _NUMBERS // (2 * A.size))
    for start in range(0, len(places), at_once):
        part = slice(start, start + at_once)
        moves = (rows[part].toarray() * steps[part, None]).reshape(-1, *A.shape)
        ends = np.asarray(norm.direction(np.concatenate([A + moves, A - moves])))
        game.calls += len(ends)
        turned = (ends[: len(moves)] - ends[len(moves) :]).reshape(len(moves), -1)
        K[part] = (rows @ turned.T).T / (2.0 * steps[part, None])
    return 0.5 * (K + K.T)


def _least_squares(K: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solution of least size of a symmetric system, directions of relative size below a cut-off left out."""
    values, vectors = scipy.linalg.eigh(K, check_finite=False)
    kept = np.abs(values) > _RANK * np.abs(values).max()
    vectors = vectors[:, kept]
    return vectors @ ((vectors.T @ right) / values[kept])
