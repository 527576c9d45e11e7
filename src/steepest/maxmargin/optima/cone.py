"""The convex cone of the directions of all optima of a max margin, and projections onto it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from steepest.maxmargin.forms.non_negative import non_negative
from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.forms.reduced import Reduced
from steepest.maxmargin.optima.faces import Face

__all__ = ["OptimaCone", "Projection"]

_ROUNDS = 400
"""Rounds of constraints; curved faces need the most, some hundred."""
_CUT = 1e-12
"""By how much the nearest point may break a constraint, relative to the target: rounding of the margins."""
_PAIRS_A_ROUND = 30
"""Pairs that join at a time: few rest on the end, and each costs a column of the least-squares problem."""
_LARGEST_ROWS = 1_000_000
"""Numbers in the constraints that are kept at a time; beyond that their projection would take minutes."""


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
    """K = {t W: t ≥ 0, W an optimum} within its span.

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
    sizes: np.ndarray = field(init=False)
    """t of the basis, shape [s]."""

    def __post_init__(self):
        self.pairs = Pairs(self.reduced)
        self.sizes = np.tensordot(self.basis, self.face.gauge, 2)

    @classmethod
    def through(
        cls, reduced: Reduced, face: Face, V: np.ndarray, directions: np.ndarray, slack: float
    ) -> OptimaCone:
        """The cone of optima V + span(directions), directions of shape [f, r, c], V itself being one."""
        columns = np.concatenate([V[None], directions]).reshape(1 + len(directions), -1).T
        basis = np.linalg.qr(columns)[0].T
        margin = Pairs(reduced).lowest_margin(V)
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

    def distances(self, directions: np.ndarray, accuracy: float) -> np.ndarray:
        """Distances of weights of length 1, shape [m, k, d], to K, shape [m]; see :meth:`project_all`."""
        coordinates = np.tensordot(self.reduced.coordinates(directions), self.basis, ([1, 2], [1, 2]))
        spanned = self.reduced.weights(np.tensordot(coordinates, self.basis, 1))
        outside = np.linalg.norm(directions - spanned, axis=(1, 2))
        if self.is_ray or not len(directions):
            within = np.maximum(-coordinates[:, 0] * np.sign(self.sizes[0]), 0.0)
        else:
            within = np.linalg.norm(
                [each.residual for each in self.project_all(coordinates, accuracy)], axis=-1
            )
        return np.minimum(np.hypot(outside, within), 1.0)

    def project(self, target: np.ndarray) -> Projection:
        """Return the point of K nearest to a target in the span, shape [s]; see :meth:`project_all`."""
        return self.project_all(target[None])[0]

    def project_all(self, targets: np.ndarray, accuracy: float = _CUT) -> list[Projection]:
        """Return the points of K nearest to targets in the span, shape [m, s], by constraint generation.

        Minimises ‖y - target‖ subject to rows @ y ≥ 0; its dual is a non-negative least-squares problem,
        solved exactly by an active-set method (Lawson and Hanson). K lies within what the constraints so far
        allow, so a distance to K is never overstated, and understated by little more than the violation,
        which ends at ``accuracy`` times the target's length. A target starts with the constraints on which
        the one before it rests, so neighbours should be neighbours.
        """
        found = []
        rows = np.zeros((0, len(self.basis)))
        for target in targets:
            projection, rows = self._project(target, rows, accuracy)
            found.append(projection)
        return found

    def _project(
        self, target: np.ndarray, rows: np.ndarray, accuracy: float
    ) -> tuple[Projection, np.ndarray]:
        """Project with constraints [g, s] to begin with; return also those that the point rests on."""
        length = float(np.linalg.norm(target))
        point, residual, violation, new = target, np.zeros_like(target), np.inf, rows
        rows = rows[:0]
        for _ in range(_ROUNDS):
            if len(new):
                rows = np.concatenate([rows, new])
                if rows.size > _LARGEST_ROWS:
                    break
                multipliers = non_negative(rows.T, -target)
                if multipliers is None:
                    break
                # Dropping what the point does not rest on leaves it where it is, so distances still grow.
                rows, multipliers = rows[multipliers > 0], multipliers[multipliers > 0]
                residual = -(rows.T @ multipliers)
                point = target - residual
            new, violation = self._broken(point, accuracy * length)
            if not len(new):
                break
        return Projection(point, residual, violation / length if length > 0 else 0.0), rows

    def _broken(self, point: np.ndarray, tolerance: float) -> tuple[np.ndarray, float]:
        """Constraints, of length 1, that a point breaks, and by how much it breaks the worst one."""
        V, t = self.matrix(point), float(self.sizes @ point)
        margins = np.where(self.pairs.mask, self.pairs.margins(V), np.inf)
        short = (margins - (1 - self.slack) * self.margin * t).ravel()
        worst = np.argpartition(short, min(_PAIRS_A_ROUND, short.size - 1))[:_PAIRS_A_ROUND]
        pairs = np.divmod(worst[short[worst] < 0], self.reduced.classes)
        cuts = self.face.cuts(V, t, 0.5 * tolerance)
        every = np.concatenate(
            [
                self.sizes[None],
                self._margin_rows(np.stack(pairs, axis=1)),
                np.tensordot(cuts, self.basis, ([1, 2], [1, 2])) + self.slack * self.sizes,
            ]
        )
        lengths = np.linalg.norm(every, axis=1)
        every = every[lengths > 0] / lengths[lengths > 0, None]
        amounts = -(every @ point)
        return every[amounts > tolerance], float(np.max(amounts, initial=0.0))

    def _margin_rows(self, pairs: np.ndarray) -> np.ndarray:
        rows = np.tensordot(self.pairs.rows(pairs), self.basis, ([1, 2], [1, 2]))
        return rows - (1 - self.slack) * self.margin * self.sizes
