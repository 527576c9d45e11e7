"""What a run did between two points of its way, and by how much that surely lowered log(e^{nL} - 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm, norm
from steepest.losses import Loss, Samples, log_mean_exp, loss, normalized_residuals, residuals
from steepest.problem import Classification
from steepest.theory.constants import effective_samples, feature_radius
from steepest.theory.lemma_constants import LemmaConstants, lemma_constants
from steepest.theory.loss_lemmas import curvature

_CHUNK_ENTRIES = 1 << 15


@dataclass(frozen=True)
class Ground:
    """The data, the norm and the loss that stretches are measured on."""

    problem: Classification
    norm: Norm
    loss: Loss
    lemmas: LemmaConstants
    radius: float
    """R(‖·‖)."""

    @classmethod
    def of(cls, problem: Classification, norm_: Norm | str, loss_: Loss | str) -> Ground:
        """Return the ground for a method; MissingCapability if the loss offers no lemma constants."""
        return cls(problem, norm(norm_), loss(loss_), lemma_constants(loss_), feature_radius(problem, norm_))

    def total_odds(self, log_losses: np.ndarray) -> np.ndarray:
        """Return Y with margin ≥ -Y for losses log L."""
        return self.lemmas.log_total_odds(self.log_totals(log_losses))

    def log_totals(self, log_losses: np.ndarray) -> np.ndarray:
        """Return log y of losses log L: y = nL, or n L / min v with sample weights v of mean 1."""
        return math.log(effective_samples(self.problem)) + np.asarray(log_losses, dtype=float)

    def rounding(self, sizes: np.ndarray) -> np.ndarray:
        """Return a bound on the relative rounding of residuals and their sums at weights of these norms."""
        k, d, n = self.problem.n_classes, self.problem.dimension, self.problem.samples
        return np.finfo(np.float64).eps * (n * k + k * d + 16.0 * self.radius * sizes)


@dataclass(frozen=True)
class Stretches:
    """Moves ΔW from each of r points to the next, shape [r - 1], and the losses at the points, shape [r]."""

    forward: np.ndarray
    """⟨-∇L, ΔW⟩ / G at the point that the move leaves."""
    backward: np.ndarray
    """The same at the point where it ends."""
    lengths: np.ndarray
    """‖ΔW‖."""
    log_loss: np.ndarray
    log_proxy: np.ndarray


def measured_stretches(ground: Ground, weights: np.ndarray) -> Stretches:
    """Return the stretches between weights W [r, k, d]; costs a full gradient for each of them."""
    problem, samples = ground.problem, Samples.of(ground.problem)
    count = max(1, _CHUNK_ENTRIES // (problem.samples * problem.n_classes))
    moves = np.diff(weights, axis=0)
    ascents: list[Any] = []
    losses, proxies = np.empty(len(weights)), np.empty(len(weights))
    for first in range(0, len(weights), count):
        here = slice(first, first + count)
        W = problem.weights_like_features(weights[here])
        found = residuals(ground.loss, samples, W)
        losses[here] = as_numpy(log_mean_exp(found.log_losses))
        proxies[here] = as_numpy(log_mean_exp(found.log_weights))
        ascents.append(as_numpy(problem.pair_sum(normalized_residuals(found))))
    ascent = np.concatenate(ascents)
    return Stretches(
        forward=np.einsum("rkd,rkd->r", ascent[:-1], moves),
        backward=np.einsum("rkd,rkd->r", ascent[1:], moves),
        lengths=as_numpy(ground.norm(moves)) if len(moves) else np.zeros(0),
        log_loss=losses,
        log_proxy=proxies,
    )


def least_falls(ground: Ground, stretches: Stretches, sizes: np.ndarray) -> np.ndarray:
    """Return by how much Y surely falls along each stretch, shape [r - 1], rounding allowed for.

    The larger of the forward and of the backward gain of :func:`~steepest.theory.realised_bound`; of the
    forward one alone where the loss does not state that Y is convex in W. ``sizes`` are ‖W‖ at the points.
    """
    log_totals = ground.log_totals(stretches.log_loss)
    ratios = np.exp(stretches.log_proxy - stretches.log_loss)
    with np.errstate(divide="ignore", invalid="ignore"):
        # nG Y'(nL) = (G / L) / (1 - deficit); both vanish together where the loss overflows.
        factors = ratios / (1.0 - ground.lemmas.deficit_of(log_totals))
    slopes = 2.0 * ground.radius * stretches.lengths * ground.rounding(sizes)[1:]
    lost = curvature(ground.radius, stretches.lengths) + slopes
    with np.errstate(over="ignore", invalid="ignore"):
        falls = factors[:-1] * (stretches.forward - lost)
        if ground.lemmas.convex_odds:
            falls = np.fmax(falls, factors[1:] * (stretches.backward - slopes))
    return np.where(np.isnan(falls), -np.inf, falls)
