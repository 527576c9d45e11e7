"""Signs of the entries of batch gradients, smoothed, with what each sample contributes to their slopes.

An entry of a batch's gradient is s = Σ_i T_ic x_ij; with a = Σ_i |T_ic x_ij| its smoothed sign at the width ε
is

    φ(s/a) = ρ sqrt((1 + ε²) / (ρ² + ε²)),  ρ = s/a,

which is ±1 where one sample decides and smooth only where samples of both signs are about equal. The scale a
is the entry's own: at ε = 0 the sign is exact even of an entry that only a sample of weight e^-8000 decides,
because all others have a zero there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from steepest.theory.limits.batches import Batches
from steepest.theory.limits.pulls import Pulls

__all__ = ["Signs", "batch_signs", "signs_jacobian"]

_SMALL = 1e-200
"""Of the row's largest pull: entries below are decided by samples whose ratio may have left float64."""


@dataclass(frozen=True)
class Lone:
    """Entries (batch, class, feature) that small pulls decide, with the samples that decide them."""

    entries: np.ndarray
    """Flat positions among [M, k, d], shape [e]."""
    rows: np.ndarray
    """The entry of each contribution, shape [r]."""
    samples: np.ndarray
    """The sample of each contribution, shape [r]."""
    ratios: np.ndarray
    """Its pull relative to the largest at that entry, shape [r]."""


@dataclass(frozen=True)
class Signs:
    """Smoothed signs of every entry of every batch, and what their slopes are made of."""

    values: np.ndarray
    """Shape [M, k, d]."""
    balance: np.ndarray
    """ρ = s/a, shape [M, k, d]; 0 where no sample of the batch has the feature."""
    steepness: np.ndarray
    """Share of the batch times φ'(ρ)/a, shape [M, k, d]; 0 where nothing depends on weights."""
    signed: np.ndarray
    """Sign of T_ic, shape [n, k]."""
    features: np.ndarray
    weights: list[sparse.csr_array]
    """Pulls relative to the batch's largest in that row, for each class [M, n]."""
    lone: Lone | None


def batch_signs(
    features: np.ndarray, one_hot: np.ndarray, batches: Batches, pull: Pulls, width: float
) -> Signs:
    """Return the smoothed signs of all entries of -∇L_B for all batches."""
    signed = np.where(one_hot, 1.0, -1.0)
    moduli = np.abs(features)
    weights, sums, sizes = [], [], []
    for c in range(one_hot.shape[1]):
        weights.append(batches.ratios(pull.logs[:, c]))
        sums.append(weights[c] @ (signed[:, [c]] * features))
        sizes.append(weights[c] @ moduli)
    s, a = np.stack(sums, axis=1), np.stack(sizes, axis=1)
    lone = _lone(features, batches, pull, a)
    if lone is not None:
        _replace(s, a, lone, features, signed)
    balance = np.divide(s, a, out=np.zeros_like(s), where=a > 0)
    roots = np.sqrt(balance**2 + width**2)
    scale = np.sqrt(1.0 + width**2)
    values = scale * np.divide(balance, roots, out=np.zeros_like(s), where=roots > 0)
    slopes = scale * np.divide(width**2, roots**3 * a, out=np.zeros_like(s), where=(a > 0) & (roots > 0))
    return Signs(values, balance, batches.shares[:, None, None] * slopes, signed, features, weights, lone)


def signs_jacobian(signs: Signs) -> np.ndarray:
    """Return Σ_B of each sample's part in ∂φ/∂ log |T_ic|, shape [n, k, d]."""
    n, k = signs.signed.shape
    X = signs.features
    moduli = np.abs(X)
    steep = signs.steepness
    if signs.lone is not None:
        steep = steep.copy()
        steep.reshape(-1)[signs.lone.entries] = 0.0
    parts = np.empty((n, k, X.shape[1]))
    for c in range(k):
        by_sum = signs.weights[c].T @ steep[:, c]
        by_size = signs.weights[c].T @ (steep[:, c] * signs.balance[:, c])
        parts[:, c] = signs.signed[:, [c]] * X * by_sum - moduli * by_size
    if signs.lone is not None:
        _add_lone(parts, signs, signs.lone)
    return parts


def _lone(features: np.ndarray, batches: Batches, pull: Pulls, sizes: np.ndarray) -> Lone | None:
    seen = (batches.members @ (features != 0)) > 0
    entries = np.flatnonzero((sizes < _SMALL) & seen[:, None, :])
    if not len(entries):
        return None
    M, k, d = sizes.shape
    batch, c, j = np.unravel_index(entries, (M, k, d))
    starts, counts = batches.members.indptr[batch], np.diff(batches.members.indptr)[batch]
    rows = np.repeat(np.arange(len(entries)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = starts[rows] + within
    samples = batches.samples[places]
    has = features[samples, j[rows]] != 0
    rows, samples, places = rows[has], samples[has], places[has]
    logs = pull.logs[samples, c[rows]] + (0.0 if batches.logs is None else batches.logs[places])
    top = np.maximum.reduceat(logs, np.flatnonzero(np.diff(rows, prepend=-1)))
    return Lone(entries, rows, samples, np.exp(logs - top[rows]))


def _replace(s: np.ndarray, a: np.ndarray, lone: Lone, features: np.ndarray, signed: np.ndarray) -> None:
    _, c, j = np.unravel_index(lone.entries, s.shape)
    terms = lone.ratios * features[lone.samples, j[lone.rows]]
    e = len(lone.entries)
    s.reshape(-1)[lone.entries] = np.bincount(
        lone.rows, terms * signed[lone.samples, c[lone.rows]], minlength=e
    )
    a.reshape(-1)[lone.entries] = np.bincount(lone.rows, np.abs(terms), minlength=e)


def _add_lone(parts: np.ndarray, signs: Signs, lone: Lone) -> None:
    _, c, j = np.unravel_index(lone.entries, signs.values.shape)
    c, j = c[lone.rows], j[lone.rows]
    steep = signs.steepness.reshape(-1)[lone.entries][lone.rows]
    balance = signs.balance.reshape(-1)[lone.entries][lone.rows]
    x = signs.features[lone.samples, j]
    terms = steep * lone.ratios * (signs.signed[lone.samples, c] * x - balance * np.abs(x))
    flat = np.ravel_multi_index((lone.samples, c, j), parts.shape)
    parts += np.bincount(flat, terms, minlength=parts.size).reshape(parts.shape)
