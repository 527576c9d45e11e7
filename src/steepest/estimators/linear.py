"""What every linear classifier predicts: scores of its weights, and the label of the largest one."""

from __future__ import annotations

import numpy as np
from array_api_compat import device, is_torch_array

from steepest.arrays import Array, namespace

__all__ = ["coefficients", "labels", "log_probabilities", "probabilities", "scores"]


def coefficients(weights: np.ndarray, intercept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return coef_ [k, d] and intercept_ [k] as scikit-learn has them: one row for two classes.

    >>> coefficients(np.array([[1.0, 0.0], [0.0, 2.0]]), None)
    (array([[-1.,  2.]]), array([0.]))
    """
    b = np.zeros(len(weights)) if intercept is None else np.asarray(intercept)
    if len(weights) > 2:
        return np.array(weights), np.array(b)
    return (weights[1] - weights[0])[None], (b[1] - b[0])[None]


def scores(X: Array, coef: np.ndarray, intercept: np.ndarray) -> Array:
    """Return X coefᵀ + intercept beside the features: [n] for two classes, [n, k] for more."""
    if is_torch_array(X):
        xp = namespace(X)
        found = xp.matmul(xp.astype(X, xp.float64), xp.asarray(coef.T.copy(), device=device(X)))
        found = found + xp.asarray(intercept, device=device(X))
    else:
        found = X @ coef.T + intercept
    return found[:, 0] if coef.shape[0] == 1 else found


def labels(scores: Array, classes: np.ndarray) -> Array:
    """Return the class of the largest score, shape [n]; a tensor where scores are one and labels numbers."""
    xp = namespace(scores)
    chosen = xp.astype(scores > 0, xp.int64) if scores.ndim == 1 else xp.argmax(scores, axis=1)
    if is_torch_array(scores):
        if classes.dtype.kind in "iufb":
            return xp.asarray(classes, device=device(scores))[chosen]
        chosen = chosen.cpu().numpy()
    return classes[chosen]


def log_probabilities(scores: Array) -> Array:
    """Return the logarithm of the softmax of scores [n, k], or for two classes of (0, score) [n, 2].

    >>> log_probabilities(np.array([5000.0])).tolist()
    [[-5000.0, 0.0]]
    """
    xp = namespace(scores)
    if scores.ndim == 1:
        scores = xp.stack([xp.zeros_like(scores), scores], axis=1)
    scores = scores - xp.max(scores, axis=1, keepdims=True)
    return scores - xp.log(xp.sum(xp.exp(scores), axis=1, keepdims=True))


def probabilities(scores: Array) -> Array:
    """Return the softmax of scores [n, k], or for two classes that of (0, score) [n, 2].

    >>> probabilities(np.array([0.0])).tolist()
    [[0.5, 0.5]]
    """
    logarithms = log_probabilities(scores)
    return namespace(logarithms).exp(logarithms)
