"""The Newton system in the space of samples, for entry-wise norms and fewer samples than features.

With T = towards(dq), whose rows sum to zero, the classes decouple (H is diagonal, H = diag(h)):

    (K_c + D_c) T_c = u - dγ o_c - f_c,   K_c = X diag(1/h_c) Xᵀ,   D_c = s/q at pairs, 0 at the true class,

where o_c is 1 at pairs and u_i is the change of the logit of sample i at its true class. The inverses S_c are
n × n; Σ_c T_c = 0 is one more such system for u, and Σ dq = r2 gives dγ. That costs k (n² d + n³) operations,
instead of the (k d)³ / 3 of the system in the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.pairs import Pairs
from steepest.maxmargin.interior.balls import EntryPoint
from steepest.maxmargin.interior.newton import Step, cholesky, solved

__all__ = ["SamplesSystem"]

# Compiled modules without type stubs.
blas: Any = scipy.linalg.blas
lapack: Any = scipy.linalg.lapack


class SamplesSystem:
    """Solves with the inverses S_c of all classes, for an entry-wise Hessian diag(h) + w u uᵀ."""

    def __init__(self, pairs: Pairs, ball: EntryPoint, q: np.ndarray, s: np.ndarray):
        self.pairs, self.s = pairs, s
        self.h = ball.barrier.curvature.reshape(ball.shape)
        self.X = pairs.size * pairs.features
        n, k = pairs.mask.shape
        self.delay = np.where(pairs.mask, s / np.where(pairs.mask, q, 1.0), 0.0)
        self.inverses = np.empty((k, n, n))
        self.factor: np.ndarray | None = None
        total = np.zeros((n, n))
        for c in range(k):
            inverse = _inverse(self.X, 1.0 / self.h[c], self.delay[:, c])
            if inverse is None:
                return
            self.inverses[c] = inverse
            total += inverse
        self.factor = cholesky(total)
        if self.factor is not None:
            self._prepare(ball)

    @property
    def factored(self) -> bool:
        """Whether the factorisation exists."""
        return self.factor is not None

    def _prepare(self, ball: EntryPoint) -> None:
        """The parts of T that go with dγ and with the scalar τ of the border, and what they do to both."""
        weight, u = ball.barrier.weight, ball.barrier.u.reshape(ball.shape)
        self.u, self.E = u, u / self.h
        pulls = [self.pairs.mask.astype(float)]
        if weight > 0.0:
            pulls.append(-self.X @ self.E.T)
        self.parts = [self._balanced(pull) for pull in pulls]
        self.bordered = weight > 0.0
        self.sums = np.array([self._sums(part) for part in self.parts]).T
        if self.bordered:
            self.sums[1, 1] -= 1.0 / weight + float(np.sum(self.E * u))

    def _sums(self, T: np.ndarray) -> tuple[float, ...]:
        """Σ dq of T, and ⟨E, A⟩ where there is a border."""
        count = -float(T.sum(where=self.pairs.mask))
        return (count, float(np.sum(self.E * (T.T @ self.X)))) if self.bordered else (count,)

    def _balanced(self, f: np.ndarray) -> np.ndarray:
        """T_c = S_c (u - f_c) with the u for which the T_c sum to zero, shape [n, k]."""
        right = self._times(f).sum(axis=1)
        u = solved(self.factor, right)
        return self._times(u[:, None] - f)

    def _times(self, F: np.ndarray) -> np.ndarray:
        """S_c F_c for every class c, shape [n, k]."""
        return np.matmul(self.inverses, F.T[:, :, None])[:, :, 0].T

    def solve(self, r1: np.ndarray, pull: np.ndarray, r2: float, r3: np.ndarray, r4: float) -> Step:
        """Solve once."""
        pairs = self.pairs
        b = r1 + pull
        ratio = r3 / self.s
        T = self._balanced(self.X @ (b / self.h).T + self.delay * ratio)
        count, *along = self._sums(T)
        wanted = np.array([r2 - count, *(r4 - each - float(np.sum(self.E * b)) for each in along)])
        scalars = np.linalg.solve(self.sums, wanted) if self.bordered else wanted / self.sums[0]
        for scalar, part in zip(scalars, self.parts, strict=True):
            T = T + scalar * part
        dq = np.where(pairs.mask, -T, 0.0)
        dsum = pairs.towards(dq)
        dgamma, tau = float(scalars[0]), float(scalars[1]) if len(scalars) > 1 else 0.0
        dV = (b + dsum - tau * self.u if self.bordered else b + dsum) / self.h
        ds = np.where(pairs.mask, pairs.margins(dV) - dgamma, 0.0)
        return Step(dV, dgamma, dq, ds, dsum, tau)


def _inverse(X: np.ndarray, weights: np.ndarray, diagonal: np.ndarray) -> np.ndarray | None:
    """Inverse of X diag(weights) Xᵀ + diag(diagonal), or None where rounding leaves it indefinite."""
    half = X * np.sqrt(weights)
    # half is C-contiguous [n, d], so its transpose goes to BLAS without a copy.
    gram = blas.dsyrk(1.0, half.T, trans=1, lower=1)
    places = np.arange(len(gram))
    gram[places, places] += diagonal
    factor = cholesky(gram)
    if factor is None:
        return None
    # Above its diagonal the factor is 0, and stays so in its place.
    lower = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    inverse = lower + lower.T
    inverse[places, places] = lower[places, places]
    return inverse
