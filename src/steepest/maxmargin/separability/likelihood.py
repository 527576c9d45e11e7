"""Logistic regression by Newton's method: its probabilities are dual weights, and what runs off separates.

At the maximum of the likelihood the probabilities p_ic of the wrong classes satisfy Σ p_ic (e_{y_i} - e_c)
x_iᵀ = 0: they are dual weights, positive at every pair, with A(p) = 0, and the only weights without a
negative margin are those whose margins are all 0 (Albert and Anderson, "On the existence of maximum
likelihood estimates in logistic regression models", Biometrika 71, 1984). Where there is no maximum the
iterates run off to weights that separate all or some pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from steepest.maxmargin.forms.candidate import Deadline

__all__ = ["Fit", "fit_likelihood"]

_MOST_STEPS = 60
_MOST_HALVINGS = 30
_MOST_OPERATIONS = 4e9
"""Of one step, which then takes a second or two."""
_SECONDS = 2.5e-10
"""That an operation takes: a step that would end after the deadline is not begun."""
_CONVERGED = 1e-22
"""Share of the loss that a further step would gain: the gradient is then zero to rounding."""
_RIDGE = 1e-13


@dataclass(frozen=True)
class Fit:
    """Where Newton's method ended."""

    weights: np.ndarray
    """V, shape [k, r], zero for the first class."""
    probabilities: np.ndarray
    """p, shape [n, k], 0 at the true class."""
    separating: bool
    """Whether all margins of V are positive, to rounding."""
    converged: bool
    """Whether V is the maximum of the likelihood, its gradient being zero to rounding."""


def fit_likelihood(Z: np.ndarray, y: np.ndarray, classes: int, deadline: Deadline) -> Fit | None:
    """Return the maximum of the likelihood, or weights on the way to infinity; None where it would take long.

    >>> fit_likelihood(np.array([[1.0], [2.0], [-1.0]]), np.array([0, 0, 1]), 2, Deadline()).separating
    True
    >>> found = fit_likelihood(np.array([[1.0], [2.0], [-1.0]]), np.array([0, 1, 1]), 2, Deadline())
    >>> found.converged, bool(found.probabilities[0, 1] > 0)
    (True, True)
    """
    n, r = Z.shape
    unknowns = (classes - 1) * r
    operations = n * float(unknowns) ** 2 / 2 + float(unknowns) ** 3 / 3
    if operations > _MOST_OPERATIONS or operations * _SECONDS > deadline.remaining:
        return None
    V = np.zeros((classes, r))
    loss, p = _loss(Z, y, V)
    for _ in range(_MOST_STEPS):
        gradient = _towards(p, y).T @ Z
        hessian = _hessian(Z, p, y)
        hessian[np.diag_indices(unknowns)] += _RIDGE * hessian.diagonal().max()
        step = scipy.linalg.solve(hessian, gradient[1:].ravel(), assume_a="sym", check_finite=False)
        gain = float(step @ gradient[1:].ravel())
        if gain <= _CONVERGED * max(loss, 1.0) or not np.isfinite(step).all():
            return Fit(V, p, False, bool(np.isfinite(gain)))
        size = 1.0
        for _ in range(_MOST_HALVINGS):
            new = V.copy()
            new[1:] += size * step.reshape(classes - 1, r)
            new_loss, new_p = _loss(Z, y, new)
            if new_loss <= loss - 1e-4 * size * gain:
                break
            size *= 0.5
        else:
            return Fit(V, p, False, gain <= 1e-12 * loss)
        V, loss, p = new, new_loss, new_p
        if loss < np.log(2.0) and _all_correct(Z, y, V):
            return Fit(V, p, True, False)
        if operations * _SECONDS > deadline.remaining:
            break
    return Fit(V, p, False, False)


def _loss(Z: np.ndarray, y: np.ndarray, V: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the sum of log(Σ_c exp(logit_c - logit_y)) and the probabilities of the wrong classes."""
    logits = Z @ V.T
    odds = logits - logits[np.arange(len(y)), y][:, None]
    top = odds.max(axis=1, keepdims=True)
    with np.errstate(under="ignore"):
        shares = np.exp(odds - top)
    totals = shares.sum(axis=1, keepdims=True)
    p = shares / totals
    shares[np.arange(len(y)), y] = 0.0
    # log1p keeps the digits of samples that are almost sure.
    others = shares.sum(axis=1)
    sure = top[:, 0] == 0.0
    losses = np.where(sure, np.log1p(others), top[:, 0] + np.log(totals[:, 0]))
    p[np.arange(len(y)), y] = 0.0
    return float(losses.sum()), p


def _towards(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    T = -p
    T[np.arange(len(y)), y] = p.sum(axis=1)
    return T


def _hessian(Z: np.ndarray, p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Σ_i (diag(P_i) - P_i P_iᵀ) ⊗ z_i z_iᵀ without the first class, shape [(k-1) r, (k-1) r]."""
    n, r = Z.shape
    wrong = p.sum(axis=1)
    full = p.copy()
    full[np.arange(n), y] = 1.0 - wrong
    k = p.shape[1]
    blocks = np.empty((k - 1, r, k - 1, r))
    for a in range(1, k):
        for b in range(a, k):
            factor = -full[:, a] * full[:, b]
            if a == b:
                # P (1 - P), where 1 - P of the true class is what the others have.
                factor = full[:, a] * np.where(y == a, wrong, 1.0 - full[:, a])
            block = (Z * factor[:, None]).T @ Z
            blocks[a - 1, :, b - 1] = block
            blocks[b - 1, :, a - 1] = block.T
    return blocks.reshape((k - 1) * r, (k - 1) * r)


def _all_correct(Z: np.ndarray, y: np.ndarray, V: np.ndarray) -> bool:
    logits = Z @ V.T
    margins = logits[np.arange(len(y)), y][:, None] - logits
    margins[np.arange(len(y)), y] = np.inf
    return float(margins.min()) > 0.0
