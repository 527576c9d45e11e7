"""The losses once more, in plain NumPy and straight from their definitions: an independent check."""

import numpy as np


def logits(X, W):
    return X @ W.T


def residuals(X, y, W, name):
    """r_ic for c ≠ y_i, 0 at the true class, shape [n, k]."""
    Z = logits(X, W)
    rows = np.arange(len(y))
    relative = Z - Z[rows, y][:, None]
    if name == "exponential":
        r = np.exp(relative)
    elif name == "pairwise-logistic":
        r = np.exp(-np.logaddexp(0.0, -relative))
    else:
        shifted = np.exp(Z - Z.max(axis=1, keepdims=True))
        r = shifted / shifted.sum(axis=1, keepdims=True)
    r = r.copy()
    r[rows, y] = 0.0
    return r


def loss(X, y, W, name):
    Z = logits(X, W)
    rows = np.arange(len(y))
    if name == "exponential":
        return float(np.mean(residuals(X, y, W, name).sum(axis=1)))
    if name == "pairwise-logistic":
        each = np.logaddexp(0.0, Z - Z[rows, y][:, None])
        each[rows, y] = 0.0
        return float(np.mean(each.sum(axis=1)))
    top = Z.max(axis=1)
    return float(np.mean(np.log(np.exp(Z - top[:, None]).sum(axis=1)) + top - Z[rows, y]))


def proxy(X, y, W, name):
    return float(np.mean(residuals(X, y, W, name).sum(axis=1)))


def sample_gradients(X, y, W, name):
    """∇ℓ_i(W), shape [n, k, d]."""
    r = residuals(X, y, W, name)
    outer = r.copy()
    outer[np.arange(len(y)), y] = -r.sum(axis=1)
    return outer[:, :, None] * X[:, None, :]


def gradient(X, y, W, name, batch=None, batches=1):
    """(m/n) Σ_{i in batch} ∇ℓ_i, or the full gradient."""
    each = sample_gradients(X, y, W, name)
    return each.mean(axis=0) if batch is None else batches / len(y) * each[batch].sum(axis=0)
