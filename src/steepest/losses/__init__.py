"""Losses of the pair margins, through log-residuals: exact directions at losses of 1e-1000.

`loss` reads a name and `register_loss` adds one; a loss is a file of its own, `cross_entropy`, `exponential`
and `pairwise_logistic` here, and says what its residuals are as a function of log-odds. Gradients,
log-losses, proxies and certificates follow from them for every loss alike.
"""

from __future__ import annotations

from steepest.losses.cross_entropy import CrossEntropy
from steepest.losses.exponential import Exponential
from steepest.losses.log_residuals import (
    Samples,
    gradient,
    log_loss,
    log_mean_exp,
    log_proxy,
    normalized_residuals,
    residual_weights,
    residuals,
    weighted_gradient,
)
from steepest.losses.names import CROSS_ENTROPY, EXPONENTIAL, LOSSES, PAIRWISE_LOGISTIC, loss, register_loss
from steepest.losses.pairwise_logistic import PairwiseLogistic
from steepest.losses.protocol import Loss, Residuals

__all__ = [
    "CROSS_ENTROPY",
    "EXPONENTIAL",
    "LOSSES",
    "PAIRWISE_LOGISTIC",
    "CrossEntropy",
    "Exponential",
    "Loss",
    "PairwiseLogistic",
    "Residuals",
    "Samples",
    "gradient",
    "log_loss",
    "log_mean_exp",
    "log_proxy",
    "loss",
    "normalized_residuals",
    "register_loss",
    "residual_weights",
    "residuals",
    "weighted_gradient",
]
