"""Lemmas C.11 to C.14: sampling noise, momentum and variance reduction, as inequalities to evaluate.

An epoch splits the samples into m batches. The gradient of a batch B is (m/n) Σ_{i in B} ∇ℓ_i, its mean where
all batches have the same size, so that the errors Ξ_B = ∇L_B - ∇L of an epoch sum to zero at any fixed W.
Sides are divided by G(W), with W the latest weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from steepest.arrays import Array
from steepest.geometry import Norm, norm
from steepest.losses import Loss, log_proxy
from steepest.problem import Classification
from steepest.theory.constants import feature_radius, noise_factor
from steepest.theory.inequality import Inequality
from steepest.theory.lemma_constants import lemma_constants
from steepest.theory.loss_lemmas import relative_gradient


def batch_weights(samples: int, batch: np.ndarray, batches: int) -> np.ndarray:
    """Return c with ∇L_B = (1/n) Σ_i c_i ∇ℓ_i: m for samples of the batch and 0 for others, shape [n]."""
    weights = np.zeros(samples)
    weights[batch] = batches
    return weights


def sampling_noise(
    problem: Classification,
    loss_: Loss | str,
    W: Array,
    batch: np.ndarray,
    batches: int,
    norm_: Norm | str = "max",
) -> Inequality:
    """Lemma C.11: ‖Ξ_B(W)‖_* / G(W) ≤ 2 (m-1) R, and 0 for the full batch.

    Ξ_B = (1/n) Σ_i c_i ∇ℓ_i with c_i = m - 1 inside the batch and -1 outside, and the ‖∇ℓ_i‖_* average to at
    most 2R G. Tight where one sample of the batch has all of the loss.
    """
    weights = batch_weights(problem.samples, batch, batches) - 1.0
    noise = relative_gradient(problem, loss_, W, sample_weights=weights)
    bound = 2.0 * (batches - 1) * feature_radius(problem, norm_)
    return Inequality("C.11", float(norm(norm_).dual(noise)), bound)


def accumulated_noise(
    problem: Classification,
    loss_: Loss | str,
    W: Array,
    history: Sequence[np.ndarray],
    batches: int,
    momentum: float,
    norm_: Norm | str = "max",
) -> Inequality:
    """Lemma C.12: (1-β) ‖Σ_{τ=0}^{t} β^τ Ξ_{B_{t-τ}}(W)‖_* / G(W) ≤ 2R K(β, m), W fixed, at any step t.

    ``history`` holds the batches of steps 0, ..., t, epochs of m each from step 0 on. The idea and the exact
    constant K are in :func:`~steepest.theory.constants.noise_factor`.
    """
    weights = np.zeros(problem.samples)
    for age, batch in enumerate(reversed(history)):
        share = (1.0 - momentum) * momentum**age
        weights += share * (batch_weights(problem.samples, batch, batches) - 1.0)
    noise = relative_gradient(problem, loss_, W, sample_weights=weights)
    bound = 2.0 * feature_radius(problem, norm_) * noise_factor(momentum, batches)
    return Inequality("C.12", float(norm(norm_).dual(noise)), bound)


def variance_reduced_deviation(
    problem: Classification,
    loss_: Loss | str,
    W: Array,
    snapshot: Array,
    batch: np.ndarray,
    batches: int,
    norm_: Norm | str = "max",
) -> Inequality:
    """Lemma C.13: ‖V - ∇L(W)‖_* / G(W) ≤ 2 (m-1) R (e^{2R ‖W - W̃‖} - 1), with V = ∇L_B(W) - ∇L_B(W̃) + ∇L(W̃).

    V - ∇L(W) = Ξ_B(W) - Ξ_B(W̃): the weights of Lemma C.11 on the per-sample differences of Lemma C.10.
    """
    lemma_constants(loss_)
    reference = float(log_proxy(problem, loss_, W))
    deviation = _deviation(problem, loss_, W, snapshot, batch, batches, reference)
    radius = feature_radius(problem, norm_)
    distance = float(norm(norm_)(np.asarray(W) - np.asarray(snapshot)))
    bound = 2.0 * (batches - 1) * radius * math.expm1(min(700.0, 2.0 * radius * distance))
    return Inequality("C.13", float(norm(norm_).dual(deviation)), bound)


def accumulated_deviation(
    problem: Classification,
    loss_: Loss | str,
    path: Sequence[Array],
    history: Sequence[np.ndarray],
    batches: int,
    momentum: float,
    norm_: Norm | str = "max",
) -> Inequality:
    """Lemma C.14: (1-β) ‖Σ_τ β^τ (V_{t-τ} - ∇L(W_{t-τ}))‖_* / G ≤ 2R (1-β) Σ_e ((m-2) max_e y + Σ_e y).

    y_τ = β^τ (e^{2R ‖W_{t-τ} - W̃‖} - 1) e^{2R ‖W_t - W_{t-τ}‖}: Lemma C.13 at each step, with G(W_{t-τ})
    taken to G(W_t) by Lemma C.9; e runs over epochs. A sample counts m - 1 times in the one batch of an
    epoch that holds it and once in each other, which is at most the paper's (m-1) Σ_τ y_τ. Evaluated with
    the distances that were measured; ``path`` and ``history`` hold the weights and the batches of steps 0,
    ..., t, and snapshots are the weights at the start of each epoch.
    """
    lemma_constants(loss_)
    norm_, radius = norm(norm_), feature_radius(problem, norm_)
    latest = np.asarray(path[-1])
    reference = float(log_proxy(problem, loss_, latest))
    total, bound, largest = np.zeros(latest.shape), 0.0, {}
    for age in range(len(path)):
        step = len(path) - 1 - age
        W, snapshot = np.asarray(path[step]), np.asarray(path[step - step % batches])
        share = (1.0 - momentum) * momentum**age
        total += share * _deviation(problem, loss_, W, snapshot, history[step], batches, reference)
        stale = math.expm1(2.0 * radius * float(norm_(W - snapshot)))
        stale *= share * math.exp(2.0 * radius * float(norm_(latest - W)))
        bound += stale
        largest[step // batches] = max(largest.get(step // batches, 0.0), stale)
    bound = 0.0 if batches == 1 else bound + (batches - 2) * sum(largest.values())
    return Inequality("C.14", float(norm_.dual(total)), 2.0 * radius * bound)


def momentum_drift(
    problem: Classification,
    loss_: Loss | str,
    path: Sequence[Array],
    history: Sequence[np.ndarray],
    batches: int,
    momentum: float,
    norm_: Norm | str = "max",
) -> Inequality:
    """Drift in Lemma E.1: (1-β) ‖Σ_τ β^τ (∇L_B(W_{t-τ}) - ∇L_B(W_t))‖_* / G(W_t) ≤ 2R m (1-β) D.

    B is the batch of step t-τ. The paper adds every step as if its batch held all samples, D = Σ_τ β^τ
    (e^{2R d_τ} - 1). A sample is in one batch an epoch, so D may count one step an epoch, the one with the
    largest term. The smaller is evaluated, with the distances d_τ = ‖W_t - W_{t-τ}‖ that were measured.
    """
    lemma_constants(loss_)
    norm_, radius = norm(norm_), feature_radius(problem, norm_)
    latest = np.asarray(path[-1])
    reference = float(log_proxy(problem, loss_, latest))
    total, largest = np.zeros(latest.shape), {}
    for age in range(len(path)):
        step = len(path) - 1 - age
        weights = batch_weights(problem.samples, history[step], batches)
        there = relative_gradient(problem, loss_, path[step], reference, weights)
        here = relative_gradient(problem, loss_, latest, reference, weights)
        share = (1.0 - momentum) * momentum**age
        total += share * (there - here)
        moved = share * math.expm1(2.0 * radius * float(norm_(latest - np.asarray(path[step]))))
        epoch = step // batches
        largest[epoch] = max(largest.get(epoch, 0.0), moved)
    return Inequality("E.1", float(norm_.dual(total)), 2.0 * radius * batches * sum(largest.values()))


def _deviation(
    problem: Classification,
    loss_: Loss | str,
    W: Array,
    snapshot: Array,
    batch: np.ndarray,
    batches: int,
    log_reference: float,
) -> np.ndarray:
    weights = batch_weights(problem.samples, batch, batches) - 1.0
    here = relative_gradient(problem, loss_, W, log_reference, weights)
    return here - relative_gradient(problem, loss_, snapshot, log_reference, weights)
