"""The convex cone of the directions of all optima of a max margin, and projections onto it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.optimize

from steepest.maxmargin.faces import Face
from steepest.maxmargin.reduce import Reduced
from steepest.maxmargin.refinement import pair_rows

__all__ = ["OptimaCone", "Projection"]

_ROUNDS = 400
_CUT = 1e-12
_PAIRS_A_ROUND = 30
_TARGETS_AT_ONCE = 16
_LARGEST_ROWS = 1_000_000
"""Numbers in the constraints beyond which projections end with what they have."""


@dataclass(frozen=True)
class Projection:
    """The nearest point of a cone, in the coordinates of its span."""

    point: np.ndarray
    """y, shape [s]."""
    residual: np.ndarray
    """target - y, shape [s]: a negative combination of the cone's constraints."""
    violation: float
    """By how much the worst constraint that is not imposed is broken, relative to the target's length."""


@dataclass
class OptimaCone:
    """K = {t W: t ≥ 0, W an optimum} within its span, with the constraints that have been needed so far.

    A point V of the span belongs to K where every pair margin is at least γ t, t = ⟨gauge, V⟩ being the size
    of V, and where V / t lies on the face of the ball. These are linear constraints (bounds of a spectral
    norm and of eigenvalues being infinitely many), generated where a point breaks them. Each may be broken by
    ``slack`` times t (margins: times γ t), since a set without interior would be lost to rounding.
    """

    reduced: Reduced
    face: Face
    basis: np.ndarray
    """Orthonormal matrices that span K, shape [s, r, c]."""
    margin: float
    """γ, in units of the reduced features."""
    slack: float
    rows: np.ndarray = field(init=False)
    """Constraints so far, shape [g, s]: rows @ y ≥ 0."""
    sizes: np.ndarray = field(init=False)
    """t of the basis, shape [s]."""

    def __post_init__(self):
        self.sizes = np.tensordot(self.basis, self.face.gauge, 2)
        self.rows = np.zeros((0, len(self.basis)))

    @classmethod
    def through(
        cls, reduced: Reduced, face: Face, V: np.ndarray, directions: np.ndarray, slack: float
    ) -> OptimaCone:
        """The cone of optima V + span(directions), directions of shape [f, r, c], V itself being one."""
        columns = np.concatenate([V[None], directions]).reshape(1 + len(directions), -1).T
        basis = np.linalg.qr(columns)[0].T
        margin = float(reduced.pair_margins(V).min())
        # V itself may be outside of the ball by its own error, which the set has to allow.
        slack = max(slack, 2 * (float(reduced.norm(V)) - 1))
        return cls(reduced, face, np.ascontiguousarray(basis).reshape(-1, *V.shape), margin, slack)

    @property
    def is_ray(self) -> bool:
        """Whether there is one optimum."""
        return len(self.basis) == 1

    def coordinates(self, V: np.ndarray) -> np.ndarray:
        """Coordinates in the span of the point of the span that is nearest to V."""
        return np.tensordot(self.basis, V, 2)

    def matrix(self, y: np.ndarray) -> np.ndarray:
        """The matrix of coordinates y."""
        return np.tensordot(y, self.basis, 1)

    def distances(self, directions: np.ndarray) -> np.ndarray:
        """Distances of weights of length 1, shape [m, k, d], to K, shape [m]."""
        coordinates = np.tensordot(self.reduced.coordinates(directions), self.basis, ([1, 2], [1, 2]))
        spanned = self.reduced.weights(np.tensordot(coordinates, self.basis, 1))
        outside = np.linalg.norm(directions - spanned, axis=(1, 2))
        if self.is_ray or not len(directions):
            within = np.maximum(-coordinates[:, 0] * np.sign(self.sizes[0]), 0.0)
        else:
            within = np.linalg.norm([each.residual for each in self.project_all(coordinates)], axis=-1)
        return np.minimum(np.hypot(outside, within), 1.0)

    def project(self, target: np.ndarray) -> Projection:
        """Return the point of K nearest to a target in the span, shape [s]; see :meth:`project_all`."""
        return self.project_all(target[None])[0]

    def project_all(self, targets: np.ndarray) -> list[Projection]:
        """Return the points of K nearest to targets in the span, shape [m, s], by constraint generation.

        Minimises ‖y - target‖ subject to rows @ y ≥ 0; its dual is a non-negative least-squares problem,
        solved exactly by an active-set method (Lawson and Hanson). K lies within what the constraints so far
        allow, so a distance to K is never overstated, and understated by the violation at most. Targets share
        the constraints that any of them needed.
        """
        parts = [
            targets[first : first + _TARGETS_AT_ONCE] for first in range(0, len(targets), _TARGETS_AT_ONCE)
        ]
        return [projection for part in parts for projection in self._project_some(part)]

    def _project_some(self, targets: np.ndarray) -> list[Projection]:
        lengths = np.linalg.norm(targets, axis=1)
        points, residuals = targets.copy(), np.zeros_like(targets)
        violations = np.zeros(len(targets))
        needed: list[np.ndarray] = [np.zeros(0, dtype=int)] * len(targets)
        active = np.arange(len(targets))
        for _ in range(_ROUNDS):
            new, violations[active] = self._broken(points[active], _CUT * lengths[active])
            active = active[violations[active] > _CUT * lengths[active]]
            if not len(active) or self.rows.size > _LARGEST_ROWS:
                break
            self.rows = np.concatenate([self.rows, new])
            for i in active:
                multipliers = _non_negative(self.rows.T, -targets[i])
                if multipliers is not None:
                    needed[i] = np.flatnonzero(multipliers)
                    residuals[i] = -(self.rows.T @ multipliers)
                    points[i] = targets[i] - residuals[i]
        # What no target rests on in the end would only slow down the next ones.
        self.rows = self.rows[np.unique(np.concatenate(needed))]
        relative = np.divide(violations, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return [Projection(*each) for each in zip(points, residuals, relative.tolist(), strict=True)]

    def _broken(self, points: np.ndarray, tolerances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Constraints, of length 1, that points [m, s] break, and by how much each breaks its worst one."""
        sizes = points @ self.sizes
        matrices = np.tensordot(points, self.basis, 1)
        pairs: set[tuple[int, int]] = set()
        cuts = []
        for V, t, tolerance in zip(matrices, sizes, tolerances, strict=True):
            short = self.reduced.pair_margins(V) - (1 - self.slack) * self.margin * t
            worst = np.argpartition(short, min(_PAIRS_A_ROUND, short.size - 1), axis=None)[:_PAIRS_A_ROUND]
            worst = worst[short.ravel()[worst] < 0]
            pairs.update(zip(*(each.tolist() for each in np.unravel_index(worst, short.shape)), strict=True))
            cuts.append(self.face.cuts(V, t, 0.5 * tolerance))
        every = np.concatenate(
            [
                self.sizes[None],
                self._margin_rows(np.array(sorted(pairs), dtype=int).reshape(-1, 2)),
                np.tensordot(np.concatenate(cuts), self.basis, ([1, 2], [1, 2])) + self.slack * self.sizes,
            ]
        )
        lengths = np.linalg.norm(every, axis=1)
        every = every[lengths > 0] / lengths[lengths > 0, None]
        amounts = np.maximum(-(points @ every.T), 0.0)
        needed = (amounts > tolerances[:, None]).any(axis=0)
        return every[needed], amounts.max(axis=1)

    def _margin_rows(self, pairs: np.ndarray) -> np.ndarray:
        rows = np.tensordot(pair_rows(self.reduced, pairs), self.basis, ([1, 2], [1, 2]))
        return rows - (1 - self.slack) * self.margin * self.sizes


def _non_negative(A: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    try:
        return scipy.optimize.nnls(A, b, maxiter=max(100, 10 * A.shape[1]))[0]
    except RuntimeError:
        return None
