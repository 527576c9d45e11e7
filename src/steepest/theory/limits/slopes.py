"""The derivative of a mean field, and V ↦ (I - R F')⁻¹ V by whichever way is affordable.

F depends on the weights through the logits Z = X Wᵀ alone, so F' = L A with A V = X Vᵀ and a map L of
changes of logits [n, k] to changes of the field [k, d]. Once weights are large nearly all columns of L
vanish: a batch that one sample and one wrong class decide does not turn. Nothing depends on what all logits
of a sample have in common, so the columns of true classes are minus the sum of the others and stay out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import lu_factor, lu_solve
from scipy.sparse.linalg import LinearOperator, gmres

__all__ = ["MOST_DENSE", "Slopes", "solver"]

MOST_DENSE = 1500
"""Weights up to which I - R F' is formed."""
_MOST_COLUMNS = 2500
"""Of L that are solved for directly."""
_NEGLIGIBLE = 1e-4
"""What a column may add to the identity and be left out: Newton's method corrects for it."""
_PRECISION, _KRYLOV, _RESTARTS = 1e-3, 60, 4


@dataclass(frozen=True)
class Slopes:
    """F' at some weights, in parts that can be had without forming it."""

    features: np.ndarray
    """X, shape [n, d]."""
    labels: np.ndarray
    """True classes, shape [n]."""
    push: Callable[[np.ndarray], np.ndarray]
    """L: changes of logits [n, k] to changes of the field [k, d]."""
    columns: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """The columns of L of some samples [p] and classes [p], shape [p, k, d]."""
    sizes: Callable[[], np.ndarray]
    """At least the Frobenius norm of each column of L, shape [n, k]."""
    weights: int
    """k d."""
    matrix: Callable[[], np.ndarray]
    """F' itself, shape [k d, k d], in row-major order of the entries."""

    def __call__(self, V: np.ndarray) -> np.ndarray:
        """Return F' V for V [k, d]."""
        return self.push(self.features @ V.T)


def solver(slopes: Slopes, step: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return V ↦ (I - step F')⁻¹ V for matrices V [k, d], to a precision that serves Newton's method.

    By a factorisation of I - step F' where there are few weights. With more of them by Woodbury's identity
    from the columns of L that matter; and where these are too many, by GMRES, for which the strongest of them
    are the preconditioner.
    """
    if slopes.weights <= MOST_DENSE:
        return _dense(slopes.matrix(), step)
    weights = slopes.sizes() * np.sqrt(np.sum(slopes.features**2, axis=1))[:, None]
    weights[np.arange(len(weights)), slopes.labels] = 0.0
    order = np.argsort(weights, axis=None)[::-1]
    matter = int(np.count_nonzero(step * weights > _NEGLIGIBLE))
    kept = order[: min(matter, _MOST_COLUMNS)]
    samples, classes = np.unravel_index(kept, weights.shape)
    direct = _by_columns(slopes, step, samples, classes)
    return direct if matter <= _MOST_COLUMNS else _by_krylov(slopes, step, direct)


def _dense(matrix: np.ndarray, step: float) -> Callable[[np.ndarray], np.ndarray]:
    matrix = -step * matrix
    matrix.flat[:: len(matrix) + 1] += 1.0
    factors = lu_factor(matrix, overwrite_a=True, check_finite=False)
    return lambda V: lu_solve(factors, V.ravel(), check_finite=False).reshape(V.shape)


def _by_columns(
    slopes: Slopes, step: float, samples: np.ndarray, classes: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return V ↦ V + step L (I - step A L)⁻¹ A V of some columns of L and the rows of A that are theirs."""
    L, X, labels = slopes.columns(samples, classes), slopes.features[samples], slopes.labels[samples]
    product = np.zeros((len(samples), len(samples)))
    for c in range(L.shape[1]):
        own, true = np.flatnonzero(classes == c), np.flatnonzero(labels == c)
        product[own] += X[own] @ L[:, c, :].T
        product[true] -= X[true] @ L[:, c, :].T
    solve = _dense(product, step)

    def direct(V: np.ndarray) -> np.ndarray:
        odds = np.sum(X * (V[classes] - V[labels]), axis=1)
        return V + step * np.tensordot(solve(odds), L, axes=1)

    return direct


def _by_krylov(
    slopes: Slopes, step: float, direct: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    def solve(V: np.ndarray) -> np.ndarray:
        def product(flat: np.ndarray) -> np.ndarray:
            U = direct(flat.reshape(V.shape))
            return (U - step * slopes(U)).ravel()

        operator = LinearOperator((V.size, V.size), matvec=product, dtype=V.dtype)  # type: ignore[call-arg]
        # What it is short of its precision is left to Newton's method, which damps a step that does not help.
        found, _ = gmres(operator, V.ravel(), rtol=_PRECISION, restart=_KRYLOV, maxiter=_RESTARTS)
        return direct(found.reshape(V.shape))

    return solve
