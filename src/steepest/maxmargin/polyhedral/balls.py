"""What a polyhedral norm ball adds to the pairs of a linear program: its variables and their multipliers.

- max-norm: rooms 1 - W and 1 + W with multipliers z⁺ and z⁻, where z⁺ - z⁻ = A(q);
- sum-norm: parts P and N of W = P - N, of total 1, with multipliers t - A(q) and t + A(q).

Either way changes of the weights obey H dW = A(dq) + r with a diagonal H, plus a matrix of rank one for the
sum-norm: eliminating dt from dW = D (A(dq) + r) + E dt on budget leaves H⁻¹ = D - E Eᵀ / ΣD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from steepest.capabilities import Capability
from steepest.maxmargin.interior.barriers import BallBarrier, hessian
from steepest.maxmargin.interior.newton import Newton, Step

__all__ = ["POLYHEDRAL_BALL", "BallChange", "Box", "Budget", "PolyhedralBall", "directions"]


@dataclass(frozen=True)
class BallChange:
    """Changes of variables and multipliers, shape [2, k, d] (for both signs of every weight), and of t."""

    variables: np.ndarray
    multipliers: np.ndarray
    dt: float = 0.0


Directions = Callable[[np.ndarray, np.ndarray, np.ndarray, float, float], tuple[Step, BallChange, float]]
"""The Newton step for changes of the pairs' products [n, k], the ball's [2, k, d] and Σq at the pair sum A,
to an accuracy, and what it leaves of the right-hand side, relative to it."""


def directions(ball: PolyhedralBall, newton: Newton) -> Directions:
    """Newton steps from a system with the curvature of the ball."""

    def of(
        pairs: np.ndarray, products: np.ndarray, A: np.ndarray, rest: float, exact: float
    ) -> tuple[Step, BallChange, float]:
        right, kept, along = ball.right_side(products, A)
        step, accuracy = newton.solve(right, kept, rest, pairs, along, exact=exact)
        return step, ball.change(products, step.dv, step.dsum), accuracy

    return of


class PolyhedralBall(Protocol):
    """Variables and multipliers, all positive."""

    @property
    def variables(self) -> np.ndarray:
        """Primal variables, shape [2, k, d]."""
        ...

    @property
    def multipliers(self) -> np.ndarray:
        """Dual variables, shape [2, k, d]."""
        ...

    @property
    def weights(self) -> np.ndarray:
        """The weights, shape [k, d]."""
        ...

    @property
    def hessian(self) -> BallBarrier:
        """H of the Newton system, in flattened weights."""
        ...

    def right_side(self, products: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """What changes of the products ask of dW and of the border, with the A(q) that is kept apart."""
        ...

    def change(self, products: np.ndarray, dv: np.ndarray, dsum: np.ndarray) -> BallChange:
        """The changes that go with those of the weights and of A(q)."""
        ...

    def moved(self, change: BallChange, primal: float, dual: float, A: np.ndarray) -> PolyhedralBall:
        """The ball after steps of two lengths, where the pair sum is A."""
        ...


_OF_NOTHING = 1.0
"""Size of the multipliers where A(q) is 0, where dual weights balance all features but free ones."""

POLYHEDRAL_BALL: Capability[Callable[[np.ndarray], PolyhedralBall]] = Capability(
    "a unit ball of linear inequalities",
    "Variables and multipliers of the unit ball's inequalities, at W = 0 and a given A(q).",
)


@dataclass(frozen=True)
class Box:
    """-1 ≤ W ≤ 1, the ball of the max-norm."""

    variables: np.ndarray
    multipliers: np.ndarray

    @classmethod
    def start(cls, A: np.ndarray) -> Box:
        """W = 0, and multipliers with z⁺ - z⁻ = A."""
        size = np.abs(A)
        # Half of the mean size keeps multipliers of small entries off the boundary.
        least = 0.5 * float(np.mean(size)) or _OF_NOTHING
        return cls(np.ones((2, *A.shape)), np.stack([np.maximum(A, 0.0), np.maximum(-A, 0.0)]) + least)

    @property
    def weights(self) -> np.ndarray:
        """The weights, from the smaller room, which is the more accurate one."""
        above, below = self.variables
        return np.where(above <= below, 1.0 - above, below - 1.0)

    @property
    def hessian(self) -> BallBarrier:
        """H of the Newton system, a diagonal."""
        return hessian((self.multipliers / self.variables).sum(axis=0).ravel())

    def right_side(self, products: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Without A = z⁺ - z⁻, whose columns sum to zero and which is kept apart for that."""
        wanted = products / self.variables + self.multipliers
        return wanted[1] - wanted[0], A, 0.0

    def change(self, products: np.ndarray, dv: np.ndarray, dsum: np.ndarray) -> BallChange:  # noqa: ARG002
        """Changes of W move the two rooms in opposite directions."""
        rooms = np.stack([-dv, dv])
        return BallChange(rooms, (products - self.multipliers * rooms) / self.variables)

    def moved(self, change: BallChange, primal: float, dual: float, A: np.ndarray) -> Box:
        """The ball after steps of two lengths; the larger of two partners follows from the smaller."""
        above, below = self.variables + primal * change.variables
        up, down = self.multipliers + dual * change.multipliers
        upper, positive = above <= below, A > 0.0
        rooms = [np.where(upper, above, 2.0 - below), np.where(upper, 2.0 - above, below)]
        return Box(
            np.stack(rooms), np.stack([np.where(positive, down + A, up), np.where(positive, down, up - A)])
        )


@dataclass(frozen=True)
class Budget:
    """Σ(P + N) = 1 with P, N ≥ 0, the ball of the sum-norm."""

    variables: np.ndarray
    multipliers: np.ndarray
    t: float

    @classmethod
    def start(cls, A: np.ndarray) -> Budget:
        """W = 0 from equal parts, and t above ‖A‖_max by half, so that all multipliers are of one size."""
        t = 1.5 * float(np.abs(A).max(initial=0.0)) or _OF_NOTHING
        return cls(np.full((2, *A.shape), 0.5 / A.size), np.stack([t - A, t + A]), t)

    @property
    def weights(self) -> np.ndarray:
        """The weights P - N."""
        return self.variables[0] - self.variables[1]

    @property
    def hessian(self) -> BallBarrier:
        """H of the Newton system: diag(1/D) + u uᵀ / (Σ D - Σ E²/D) with u = E/D."""
        up, down = self.variables / self.multipliers
        h = 1.0 / (up + down)
        # D - E²/D without cancellation.
        return hessian(h.ravel(), 1.0 / float(np.sum(4.0 * up * h * down)), (h * (down - up)).ravel())

    def right_side(self, products: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """With the budget, whose multiplier is minus the change of t, as the border."""
        H = self.hessian
        h, u = (each.reshape(A.shape) for each in (H.curvature, H.u))
        wanted = products / self.multipliers
        difference = wanted[0] - wanted[1]
        along = float(np.sum(u * difference)) + self._spent(wanted)
        return h * difference, np.zeros_like(A), along

    def _spent(self, wanted: np.ndarray) -> float:
        return float(wanted.sum()) + float(self.variables.sum()) - 1.0

    def change(self, products: np.ndarray, dv: np.ndarray, dsum: np.ndarray) -> BallChange:
        """Both parts of every weight change, on budget."""
        ratios, wanted = self.variables / self.multipliers, products / self.multipliers
        spent = float(np.sum((ratios[1] - ratios[0]) * dsum))
        dt = (self._spent(wanted) - spent) / float(ratios.sum())
        rooms = np.stack([dt - dsum, dt + dsum])
        up, down = wanted - ratios * rooms
        # dP - dN = dW holds exactly if the change of the larger part follows from that of the smaller.
        positive = self.weights > 0.0
        parts = np.stack([np.where(positive, down + dv, up), np.where(positive, down, up - dv)])
        return BallChange(parts, rooms, dt)

    def moved(self, change: BallChange, primal: float, dual: float, A: np.ndarray) -> Budget:
        """The ball after steps of two lengths; what it is off the budget, the next step makes good."""
        t = self.t + dual * change.dt
        return Budget(self.variables + primal * change.variables, np.stack([t - A, t + A]), t)
