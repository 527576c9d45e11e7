"""The interior point for pairs whose margins are any rows times unknowns v, in a part of a norm's ball.

Pairs of samples and classes share features, and a change of variables that differs from class to class ends
that. Then weights are W = Σ v_l L_l with given matrices L_l, and unknowns that cost nothing of the norm are
in a large ball beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.interior.balls import Ball, BallPoint, EntryBall, EntryPoint
from steepest.maxmargin.interior.central_path import Path
from steepest.maxmargin.interior.newton import Step, cholesky

__all__ = ["RowsOptimum", "solve_rows"]

_RADIUS = 100.0
"""Size of the ball of unknowns that cost nothing, in a problem of size 1."""
_MOST_ITERATIONS = 150
_CENTRINGS = 3
"""Steps to the path at its end, each of which has the square of the distance before."""
_SHARE = 0.02
"""Of the gap that is asked for: where the path ends."""


@dataclass(frozen=True)
class RowsOptimum:
    """The end of a central path."""

    unknowns: np.ndarray
    """v of those that the norm measures, shape [l]."""
    free: np.ndarray
    """v of those that cost nothing, shape [f]."""
    dual: np.ndarray
    """Dual weights of the rows, of sum 1, shape [s]."""
    pair_sum: np.ndarray
    """A(q) as the ball has it: the slope of the norm times the margin, shape [r, c]."""
    iterations: int


def solve_rows(
    rows: np.ndarray, free: np.ndarray, basis: np.ndarray, ball: Ball, gap: float, deadline: Deadline
) -> RowsOptimum | None:
    """Return the weights of the largest smallest margin of rows [s, l] v + free [s, f] u, or None.

    Args:
        rows: what unknowns that the norm measures add to the margins, shape [s, l].
        free: what those add that it does not, shape [s, f].
        basis: the matrices L of which the weights are sums, shape [l, r, c].
        ball: the ball of the norm, with a barrier.
        gap: relative gap at which the path ends.
        deadline: when to stop.
    """
    part = _PartOfBall(ball, basis, 0)
    centre = part.at(np.zeros((1, len(basis))))
    if centre is None:
        return None
    sizes = np.array([centre.inverse_norm(row[None]) for row in rows])
    size = float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 0.0
    if not 0.0 < size < np.inf:
        return None
    # A change of free ones by 1 is to be one of the margins by no less than their size.
    radii = _RADIUS * size / np.maximum(np.minimum(np.max(np.abs(free), axis=0), size), np.finfo(float).tiny)
    pairs = _RowPairs(np.concatenate([rows, radii * free], axis=1) / size)
    path = Path.of(pairs, _PartOfBall(ball, basis, free.shape[1]), _RowsSystem)
    point, iterations = path.start(), 0
    for iterations in range(_MOST_ITERATIONS):
        mu = float(point.products.mean())
        left = pairs.count * mu + path.kappa * mu * path.ball.parameter(pairs.reduced.shape)
        deadline.tell("interior point", iterations, min(1.0, left / max(abs(point.gamma), left)))
        if left <= _SHARE * gap * abs(point.gamma) or deadline.passed:
            break
        directions = path.directions(point)
        following = None if directions is None else path.follow(point, directions)
        if following is None:
            break
        point = following
    for _ in range(_CENTRINGS):
        # The slope of the norm is that of the barrier on the path alone.
        directions = path.directions(point)
        point = (None if directions is None else path.centred(point, directions)) or point
    v, here = point.V[0], point.ball
    assert isinstance(here, _PartPoint)
    scale = path.kappa * float(point.products.mean()) * size
    return RowsOptimum(
        v[: len(basis)], radii * v[len(basis) :], point.q[:, 0], scale * here.first.gradient, iterations
    )


@dataclass(frozen=True)
class _Shape:
    """What the path asks of a reduced problem."""

    shape: tuple[int, int]
    caps: None = None


@dataclass(frozen=True)
class _RowPairs:
    """Pairs of which each has a row of its own."""

    rows: np.ndarray
    """Shape [s, l]."""

    @property
    def reduced(self) -> _Shape:
        """Its unknowns are one row."""
        return _Shape((1, self.rows.shape[1]))

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.rows)

    @cached_property
    def mask(self) -> np.ndarray:
        """All are pairs, shape [s, 1]."""
        return np.ones((len(self.rows), 1), dtype=bool)

    @property
    def slots(self) -> np.ndarray:
        """Dual weights are at pairs alone."""
        return self.mask

    @property
    def uniform(self) -> np.ndarray:
        """Equal dual weights, shape [s, 1]."""
        return np.full((len(self.rows), 1), 1.0 / len(self.rows))

    def margins(self, V: np.ndarray) -> np.ndarray:
        """Margins of unknowns [1, l], shape [s, 1]."""
        return self.rows @ V.T

    def pair_sum(self, q: np.ndarray) -> np.ndarray:
        """A(q), shape [1, l]."""
        return q.T @ self.rows


@dataclass(frozen=True)
class _PartOfBall:
    """The unknowns whose weights are in a ball, and free ones beside it in the Euclidean unit ball."""

    ball: Ball
    basis: np.ndarray
    free: int
    wide = False

    @cached_property
    def flat(self) -> np.ndarray:
        """The basis as rows, shape [l, r c]."""
        return self.basis.reshape(len(self.basis), -1)

    def parameter(self, shape: tuple[int, int]) -> float:  # noqa: ARG002 (part of the protocol)
        """The sum of both parameters."""
        rows, columns = self.basis.shape[1:]
        return self.ball.parameter((rows, columns)) + (1.0 if self.free else 0.0)

    def at(self, V: np.ndarray) -> _PartPoint | None:
        """The barrier at unknowns [1, l + f], or None outside."""
        count = len(self.basis)
        first = self.ball.at((V[0, :count] @ self.flat).reshape(self.basis.shape[1:]))
        second = EntryBall(2.0).at(V[:, count:]) if self.free else None
        return None if first is None or (self.free and second is None) else _PartPoint(first, second, self)


@dataclass(frozen=True)
class _PartPoint:
    """The barrier at a point, with its Hessian as a matrix."""

    first: BallPoint
    second: EntryPoint | None
    part: _PartOfBall

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of the barrier, shape [1, l + f]."""
        found = self.part.flat @ self.first.gradient.ravel()
        return found[None] if self.second is None else np.append(found, self.second.gradient)[None]

    @cached_property
    def matrix(self) -> np.ndarray:
        """The Hessian, shape [l + f, l + f]."""
        images = [self.first.hessian(np.ascontiguousarray(each)).ravel() for each in self.part.basis]
        H = np.array(images) @ self.part.flat.T
        if self.second is not None:
            of_free = [self.second.hessian(unit[None])[0] for unit in np.eye(self.part.free)]
            both: Any = scipy.linalg.block_diag(H, np.array(of_free))
            H = np.asarray(both)
        return 0.5 * (H + H.T)

    @cached_property
    def _factor(self) -> tuple[np.ndarray, np.ndarray | None]:
        return _scaled_factor(self.matrix)

    def hessian(self, E: np.ndarray) -> np.ndarray:
        """Hessian times a direction."""
        return E @ self.matrix

    def inverse_norm(self, G: np.ndarray) -> float:
        """Length of a gradient in the inverse of the Hessian."""
        return float(np.linalg.norm(self.whitened(G)))

    def whitened(self, G: np.ndarray) -> np.ndarray:
        """A gradient times the inverse of the Hessian's root."""
        sizes, factor = self._factor
        if factor is None:
            return np.full(G.shape, np.inf)
        found: Any = scipy.linalg.solve_triangular(factor, G[0] / sizes, lower=True, check_finite=False)
        return np.asarray(found)


class _RowsSystem:
    """The Newton system in the unknowns of all rows."""

    def __init__(self, pairs: _RowPairs, ball: _PartPoint, scale: float, q: np.ndarray, s: np.ndarray):
        self.pairs, self.s, self.theta = pairs, s, q / s
        self.total = float(self.theta.sum())
        self.g = self.theta[:, 0] @ pairs.rows
        M = scale * ball.matrix + (pairs.rows.T * self.theta[:, 0]) @ pairs.rows
        self.sizes, self.factor = _scaled_factor(M - np.outer(self.g, self.g / self.total))

    @property
    def factored(self) -> bool:
        """Whether the factorisation exists."""
        return self.factor is not None

    def solve(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray, r4: float) -> Step:  # noqa: ARG002
        """Solve once; ``r4`` is that of a border, and there is none."""
        own = r3 / self.s
        missing = (r2 - float(own.sum())) / self.total
        right = (r1 + pull + self.pairs.pair_sum(own))[0] + missing * self.g
        solved = scipy.linalg.cho_solve((self.factor, True), right / self.sizes, check_finite=False)
        dv = (solved / self.sizes)[None]
        dgamma = missing + float(self.g @ dv[0]) / self.total
        ds = self.pairs.margins(dv) - dgamma
        dq = own - self.theta * ds
        return Step(dv, dgamma, dq, ds, self.pairs.pair_sum(dq), 0.0)


def _scaled_factor(M: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the root of the diagonal, and the Cholesky factor of M with its diagonal brought to 1."""
    diagonal = np.diagonal(M)
    if not (diagonal > 0).all():
        return np.ones(len(M)), None
    sizes = np.sqrt(diagonal)
    return sizes, cholesky(M / sizes / sizes[:, None])
