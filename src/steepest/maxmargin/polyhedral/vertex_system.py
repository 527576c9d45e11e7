"""The Newton system near a vertex of a linear program: only free weights and active pairs are coupled.

Close to the optimum most weights stand at a bound of the ball, where h is huge, and most pairs have slack,
where Θ = q/s is tiny. The system of the others,

    H_F + A_PFᵀ (Θ_P - θ_P θ_Pᵀ / Σθ_P) A_PF,

is small and well conditioned where those of all weights or of all samples are not. What it leaves out is
smaller by the square of the cut-offs, and refinement puts it back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.interior.balls import EntryPoint
from steepest.maxmargin.interior.newton import Step, cholesky, solved

__all__ = ["VertexSystem"]

blas: Any = scipy.linalg.blas  # a compiled module without type stubs

_FREE = 1e2
"""As many weights are free as pairs are active, by h over the diagonal of AᵀΘA; more up to this factor."""
_ACTIVE = 1e-12
"""A pair is active where Θ is above this fraction of the largest."""


class VertexSystem:
    """The system of free weights and active pairs, factored, for an entry-wise Hessian."""

    def __init__(self, pairs: Pairs, ball: EntryPoint, q: np.ndarray, s: np.ndarray, largest: int):
        self.pairs, self.s = pairs, s
        self.h, self.u = (each.reshape(ball.shape) for each in (ball.barrier.curvature, ball.barrier.u))
        theta = np.where(pairs.mask, q / s, 0.0)
        active = theta > _ACTIVE * theta.max()
        self.every_theta, self.theta = theta, np.where(active, theta, 0.0)
        self.total = float(self.theta.sum())
        self.g = pairs.towards(self.theta)
        places = np.argwhere(active)
        self.free = self._free(len(places))
        self.weight = _without(ball.barrier.weight, self.u, self.h, ~self.free)
        fits = np.count_nonzero(self.free) <= largest and len(places) <= largest
        self.factor = cholesky(self._matrix(places)) if fits else None

    @property
    def factored(self) -> bool:
        """Whether the factorisation exists."""
        return self.factor is not None

    def _free(self, active: int) -> np.ndarray:
        """Mask of the free weights: those of least h over the diagonal of AᵀΘA."""
        T = np.array(self.theta)
        T[np.arange(len(T)), self.pairs.y] = self.theta.sum(axis=1)
        diagonal = self.pairs.size**2 * (T.T @ self.pairs.features**2)
        ratio = np.divide(
            self.h, diagonal, out=np.full_like(self.h, np.inf), where=diagonal > self.h * 1e-300
        )
        needed = min(active, ratio.size) - 1
        return ratio <= _FREE * np.partition(ratio.ravel(), needed)[needed]

    def _matrix(self, places: np.ndarray) -> np.ndarray:
        samples, other = places.T
        classes, features = np.nonzero(self.free)
        sign = (self.pairs.y[samples][:, None] == classes).astype(float) - (other[:, None] == classes)
        rows = self.pairs.size * self.pairs.features[np.ix_(samples, features)] * sign
        weighted = np.sqrt(self.theta[tuple(places.T)])[:, None] * rows
        # C-contiguous rows go to BLAS as their transpose, without a copy.
        M = blas.dsyrk(1.0, weighted.T, lower=1)
        g, u = self.g[self.free], self.u[self.free]
        M -= np.outer(g / self.total, g)
        M += np.outer(self.weight * u, u)
        M[np.diag_indices(len(M))] += self.h[self.free]
        return M

    def solve(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray, r4: float) -> Step:
        """Solve without the couplings that are left out."""
        pairs, free = self.pairs, self.free
        ratio = r3 / self.s
        missing = (r2 - float(ratio.sum())) / self.total
        b = r1 + pull
        right = b + pairs.towards(ratio) + missing * self.g
        E = self.u / self.h
        # The rank-one part sees the weights at a bound too.
        bound = float(np.sum(E * right, where=~free)) - r4
        dV = np.zeros_like(self.h)
        dV[free] = solved(self.factor, (right - self.weight * bound * self.u)[free])
        dgamma = missing + float(np.sum(self.g * dV)) / self.total
        dq = ratio - self.every_theta * np.where(pairs.mask, pairs.margins(dV) - dgamma, 0.0)
        dsum = pairs.towards(dq)
        # Pairs with slack and weights at a bound follow; what they act on is left to refinement.
        moved = float(np.sum(self.u * dV)) + float(np.sum(E * (b + dsum), where=~free)) - r4
        tau = self.weight * moved
        dV = np.where(free, dV, (b + dsum - tau * self.u) / self.h)
        ds = np.where(pairs.mask, pairs.margins(dV) - dgamma, 0.0)
        return Step(dV, dgamma, dq, ds, dsum, tau)


def _without(weight: float, u: np.ndarray, h: np.ndarray, where: np.ndarray) -> float:
    """The weight w of w u uᵀ on the other unknowns once those of ``where`` are eliminated from h + w u uᵀ."""
    return weight / (1.0 + weight * float(np.sum(u * u / h, where=where)))
