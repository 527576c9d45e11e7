"""What each sample pulls at given logits, as logarithms, and how that changes with the logits.

The negative gradient of a sample is T_i x_iᵀ with T_iy = Σ_c r_ic and T_ic = -r_ic for the wrong classes c.
At R = 1e5 residuals are e^-100000, so only logarithms and ratios of them are ever formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit, logsumexp

from steepest.capabilities import Capability
from steepest.losses import CrossEntropy, Exponential, Loss, PairwiseLogistic

__all__ = ["LOG_RESIDUALS", "LogResiduals", "Pulls", "pulls"]


@dataclass(frozen=True)
class LogResiduals:
    """Residuals r_ic as logarithms with d log r_ic = own_ic da_ic - Σ_c' shared_ic' da_ic', all [n, k].

    The log-odds a_ic of the true class are -inf, and so is the logarithm of its residual.
    """

    logs: np.ndarray
    own: np.ndarray
    shared: np.ndarray


LOG_RESIDUALS: Capability[Callable[[np.ndarray], LogResiduals]] = Capability(
    "its residuals as logarithms with their slopes",
    "The logarithm of each residual and how it changes with the log-odds, from log-odds [n, k].",
)


@LOG_RESIDUALS.offered_by(CrossEntropy)
def _cross_entropy(_loss: CrossEntropy) -> Callable[[np.ndarray], LogResiduals]:
    def found(odds: np.ndarray) -> LogResiduals:
        logs = odds - np.logaddexp(0.0, logsumexp(odds, axis=1, keepdims=True))
        return LogResiduals(logs, np.ones_like(odds), np.exp(logs))

    return found


@LOG_RESIDUALS.offered_by(Exponential)
def _exponential(_loss: Exponential) -> Callable[[np.ndarray], LogResiduals]:
    return lambda odds: LogResiduals(odds, np.ones_like(odds), np.zeros_like(odds))


@LOG_RESIDUALS.offered_by(PairwiseLogistic)
def _pairwise_logistic(_loss: PairwiseLogistic) -> Callable[[np.ndarray], LogResiduals]:
    return lambda odds: LogResiduals(log_expit(odds), expit(-odds), np.zeros_like(odds))


@dataclass(frozen=True)
class Pulls:
    """T_ic of every sample at some logits: |T_ic| = exp(logs_ic), of sign +1 at the true class, else -1."""

    logs: np.ndarray
    """log |T_ic|, shape [n, k]."""
    largest: np.ndarray
    """log T_iy, the largest of a sample, shape [n]."""
    relative: np.ndarray
    """T_ic / T_iy, shape [n, k]: 1 at the true class, minus the shares of the residuals elsewhere."""
    slopes: Callable[[], np.ndarray]
    """Derivatives of log |T_ic| by the logits z_ic', shape [n, k, k], when they are asked for."""


def pulls(loss_: Loss, logits: np.ndarray, one_hot: np.ndarray, log_weights: np.ndarray | None) -> Pulls:
    """Return the pulls of all samples at logits [n, k].

    Raises:
        MissingCapability: the loss does not offer :data:`LOG_RESIDUALS`.
    """
    residuals_at = LOG_RESIDUALS.required_of("loss", loss_, "the mean field", "use cross-entropy")
    true = np.sum(np.where(one_hot, logits, 0.0), axis=1, keepdims=True)
    found = residuals_at(np.where(one_hot, -np.inf, logits - true))
    largest = logsumexp(found.logs, axis=1)
    shares = np.exp(found.logs - largest[:, None])
    logs = np.where(one_hot, largest[:, None], found.logs)
    if log_weights is not None:
        logs, largest = logs + log_weights[:, None], largest + log_weights
    return Pulls(logs, largest, np.where(one_hot, 1.0, -shares), lambda: _slopes(found, shares, one_hot))


def _slopes(found: LogResiduals, shares: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Return ∂ log |T_ic| / ∂ z_ic', shape [n, k, k]."""
    own, shared = np.where(one_hot, 0.0, found.own), np.where(one_hot, 0.0, found.shared)
    by_odds = own[:, :, None] * np.eye(shares.shape[1]) - shared[:, None, :]
    # T_iy is the sum of the residuals.
    at_true = np.einsum("ic,icd->id", shares, by_odds)
    by_odds = np.where(one_hot[:, :, None], at_true[:, None, :], by_odds)
    # a_ic' = z_ic' - z_iy: what moves the true logit moves all log-odds the other way.
    return by_odds - np.where(one_hot[:, None, :], by_odds.sum(axis=2, keepdims=True), 0.0)
