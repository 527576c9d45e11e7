"""The effective margin at given weights, with what is measured there in place of worst cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.arrays import as_numpy
from steepest.geometry import Norm
from steepest.geometry.facts import dual_of_products
from steepest.losses import residual_weights
from steepest.problem import Classification
from steepest.theory.constants import noise_factor
from steepest.theory.effective_margin import MethodLike, Setting, setting
from steepest.theory.steps import step_sizes


def measured_alignment(problem: Classification, method: MethodLike, W: Any) -> np.ndarray:
    """Return ρ(W) = ‖∇L(W)‖_*/G(W) - 2 (noise of the worst batches at W), shape [...] for W [..., k, d].

    Data instead of worst cases: the descent lemma holds at W with ρ(W) in place of ρ. The γ of Lemma C.5
    becomes the measured ‖∇L‖_*/G, and the 2R of the noise lemmas the measured w_i = ‖∇ℓ_i‖_* / (n G):
    without momentum ‖Ξ_B‖_*/G ≤ Σ_i |c_i| w_i with c_i = m - 1 for the b largest w_i and 1 for the others;
    with momentum K(β, m) Σ_i w_i. Variance reduction has no such noise.

    >>> from steepest import Method
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> method = Method("max", batch_size=1, momentum=0.9)
    >>> float(measured_alignment(problem, method, np.zeros((2, 1))).round(4))
    1.4105
    """
    numbers = setting(problem, method)
    W = as_numpy(problem.weights_like_features(W))
    flat = W.reshape(-1, *W.shape[-2:])
    values = [alignment_parts(problem, numbers, method.batch_size, each) for each in flat]
    return np.array([size - 2.0 * noise for size, noise in values]).reshape(W.shape[:-2])


def alignment_along(
    problem: Classification,
    numbers: Setting,
    batch_size: int | None,
    steps: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Return a lower bound on ρ(W_s) for s = 0, ..., T-1, from weights [r, k, d] recorded at ``steps`` [r].

    At a record it is :func:`measured_alignment`. After it W moves by at most D = Σ η, so that every
    residual, and G with them, changes by a factor within e^{±2RD} (Lemma C.9), and the gradient by 2R
    (e^{2RD} - 1) G (Lemma C.10).
    """
    sums = np.concatenate([[0.0], np.cumsum(step_sizes(numbers.schedule, int(steps[-1])))])
    twice = 2.0 * numbers.radius
    values = np.full(int(steps[-1]), -np.inf)
    for W, here, after in zip(weights[:-1], steps[:-1], steps[1:], strict=True):
        size, noise = alignment_parts(problem, numbers, batch_size, W)
        moved = np.minimum(twice * (sums[here:after] - sums[here]), 300.0)
        least = np.exp(-moved) * (size - twice * np.expm1(moved))
        values[here:after] = least - 2.0 * noise * np.exp(2.0 * moved)
    return values


def alignment_parts(
    problem: Classification, numbers: Setting, batch_size: int | None, W: np.ndarray
) -> tuple[float, float]:
    """Return ‖∇L(W)‖_* / G(W) and the noise of the worst batches over G(W), for one W [k, d]."""
    q = as_numpy(residual_weights(problem, numbers.loss, W))
    size = float(numbers.norm.dual(as_numpy(problem.pair_sum(q))))
    if numbers.variance_reduction or numbers.batches == 1:
        return size, 0.0
    shares = _sample_shares(problem, numbers.norm, q)
    if numbers.momentum > 0:
        return size, noise_factor(numbers.momentum, numbers.batches) * float(shares.sum())
    largest = np.sort(shares)[::-1]
    b = int(batch_size or problem.samples)
    return size, float((numbers.batches - 1) * largest[:b].sum() + largest[b:].sum())


def _sample_shares(problem: Classification, norm_: Norm, q: np.ndarray) -> np.ndarray:
    # A sample's gradient is a column times a row.
    columns = -q
    columns[np.arange(len(q)), problem.labels] = q.sum(axis=1)
    return dual_of_products(norm_, columns, as_numpy(problem.features))
