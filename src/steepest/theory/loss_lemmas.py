"""Lemmas C.1 to C.10: norms, the loss L, its proxy G and its gradient, as inequalities to evaluate.

Every function takes a norm. With ``norm="max"`` (the default where one is needed) it is the paper's
statement: distances in the max-norm, gradients in the sum-norm, R = max ‖x_i‖₁. With another norm it is the
same statement in that norm, its dual and R(‖·‖), see :func:`~steepest.theory.constants.feature_radius`. All
hold for every loss that offers lemma constants (:mod:`~steepest.theory.lemma_constants`), with G = L for the
exponential loss (Appendix I); Lemmas C.2 and C.5 hold for every loss at all. With sample weights n is
:func:`~steepest.theory.constants.effective_samples`.
"""

from __future__ import annotations

import math

import numpy as np

from steepest.arrays import Array, as_numpy
from steepest.geometry import Norm, norm
from steepest.geometry.facts import largest_pair
from steepest.losses import Loss, log_loss, log_proxy, residual_weights
from steepest.problem import Classification
from steepest.theory.constants import effective_samples, feature_radius
from steepest.theory.inequality import Inequality
from steepest.theory.lemma_constants import lemma_constants


def relative_gradient(
    problem: Classification,
    loss_: Loss | str,
    W: Array,
    log_reference: float | None = None,
    sample_weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return (1/n) Σ_i c_i ∇ℓ_i(W) / e^{log_reference}, shape [k, d].

    By default c_i = 1 and the reference is log G(W): the full gradient over the proxy, an ordinary matrix at
    any loss. ∇L(W) / G(W) = -A(q) with q_ic = r_ic / Σ r.
    """
    q = as_numpy(residual_weights(problem, loss_, W))
    if sample_weights is not None:
        q = q * np.asarray(sample_weights, dtype=float)[:, None]
    scale = 1.0 if log_reference is None else math.exp(float(log_proxy(problem, loss_, W)) - log_reference)
    return -scale * as_numpy(problem.pair_sum(q))


def norm_comparison(norm_: Norm | str, A: Array) -> tuple[Inequality, Inequality]:
    """Lemma C.1: ‖A‖_max ≤ ‖A‖ ≤ ‖A‖_sum for every entry-wise and every Schatten p-norm.

    Entry-wise p-norms decrease in p. Of the Schatten norms the smallest, spectral, is at least |e_iᵀ A e_j|;
    the largest, nuclear, is by duality at most max_{spectral ≤ 1} ⟨A, V⟩ ≤ ‖A‖_sum ‖V‖_max ≤ ‖A‖_sum. Norms
    of rows and columns obey it too; norms scaled by the shape, and norms of your own, need not. Nothing else
    here uses it: see :func:`~steepest.theory.feature_radius`.

    >>> lower, upper = norm_comparison("spectral", [[3.0, 0.0], [0.0, 4.0]])
    >>> lower.ratio, round(upper.ratio, 6)
    (1.0, 0.571429)
    """
    size = norm(norm_)(A)
    return Inequality("C.1", norm("max")(A), size), Inequality("C.1", size, norm("sum")(A))


def gradient_and_proxy(
    problem: Classification, loss_: Loss | str, W: Array, margin: float, norm_: Norm | str
) -> tuple[Inequality, Inequality]:
    """Lemmas C.2 and C.5: γ ≤ ‖∇L(W)‖_* / G(W) ≤ 2R.

    Left: -∇L = G A(q) with q in the simplex over pairs, and by duality ‖A(q)‖_* ≥ ⟨A(q), W*⟩ ≥ γ for the
    max-margin W* of norm 1. Nothing of γ is needed to evaluate the middle: it is the anytime certificate.
    Right: the triangle inequality over the pairs, each at most 2R.

    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> lower, upper = gradient_and_proxy(problem, "cross-entropy", np.zeros((2, 1)), 2.0, "max")
    >>> round(lower.ratio, 12), round(upper.ratio, 12)
    (1.0, 1.0)
    """
    size = float(norm(norm_).dual(relative_gradient(problem, loss_, W)))
    radius = feature_radius(problem, norm_)
    return Inequality("C.5", margin, size), Inequality("C.5", size, 2.0 * radius)


def softmax_variance(
    s: np.ndarray, displacement: np.ndarray, x: np.ndarray, c: int, norm_: Norm | str = "max"
) -> Inequality:
    """Lemma C.3: Σ_j s_j v_j² - (Σ_j s_j v_j)² ≤ 4 (1 - s_c) ‖Δ‖² ‖x‖₁², with v = Δ x, for every class c.

    The left side is the variance of v under s, so at most the mean square of v - v_c = ⟨(e_j - e_c) xᵀ, Δ⟩,
    which is 0 at j = c and at most (2R ‖Δ‖)² elsewhere. ``s`` is a probability vector [k], Δ is [k, d].

    >>> softmax_variance(np.array([0.5, 0.5]), np.array([[1.0], [-1.0]]), np.array([1.0]), 0).ratio
    0.5
    """
    v = displacement @ x
    variance = s @ (v - s @ v) ** 2
    radius = 0.5 * largest_pair(norm(norm_), np.asarray(x, dtype=float)[None], len(s))
    others = float(np.delete(s, c).sum())
    return Inequality("C.3", variance, 4.0 * others * (radius * float(norm(norm_)(displacement))) ** 2)


def proxy_stability(
    problem: Classification, loss_: Loss | str, W: Array, W_new: Array, norm_: Norm | str = "max"
) -> Inequality:
    """Lemmas C.4 and C.9: log G(W') - log G(W) ≤ 2R ‖W' - W‖.

    Every difference of a sample's logits changes by at most 2R ‖W' - W‖, so every residual changes by a
    factor of at most e^{2R ‖W' - W‖}. By symmetry the absolute value obeys the same bound, which is what is
    evaluated.
    """
    lemma_constants(loss_)
    change = abs(float(log_proxy(problem, loss_, W_new)) - float(log_proxy(problem, loss_, W)))
    distance = float(norm(norm_)(np.asarray(W_new) - np.asarray(W)))
    return Inequality("C.9", change, 2.0 * feature_radius(problem, norm_) * distance)


def loss_difference(
    problem: Classification, loss_: Loss | str, W: Array, W_new: Array, norm_: Norm | str = "max"
) -> Inequality:
    """Lemma C.6: |L(W') - L(W)| ≤ 2R G_max ‖W' - W‖ where G ≤ G_max; of log L where G has no bound.

    ‖∇L‖_* ≤ 2R G ≤ 2R G_max all along the segment. For cross-entropy G_max = 1, for the pairwise logistic
    loss k - 1. The exponential loss has no Lipschitz constant, but its logarithm has, since G ≤ L:
    ‖∇ log L‖_* ≤ 2R.
    """
    largest = lemma_constants(loss_).largest_proxy(problem.n_classes)
    here, there = (float(log_loss(problem, loss_, each)) for each in (W, W_new))
    change = abs(there - here) if math.isinf(largest) else abs(math.exp(there) - math.exp(here))
    distance = float(norm(norm_)(np.asarray(W_new) - np.asarray(W)))
    slope = 2.0 * feature_radius(problem, norm_) * (1.0 if math.isinf(largest) else largest)
    return Inequality("C.6", change, slope * distance)


def loss_deficit(loss_: Loss | str, log_loss: Array, samples: float, *, sharp: bool = True) -> np.ndarray:
    """Return an upper bound on 1 - G/L as a function of the loss (Lemma C.7).

    Cross-entropy: with u_i the loss of sample i, G is the mean of 1 - e^{-u_i}, a concave function of u.
    Given the mean L it is smallest where one sample has all of the loss, so G ≥ (1 - e^{-nL}) / n and

        1 - G/L ≤ 1 - (1 - e^{-nL}) / (nL) ≤ min(1, nL/2),

    whose right side is the paper's (``sharp=False``). Pairwise logistic loss: the same, pair by pair.
    Exponential loss: 0. Takes and returns arrays.

    >>> loss_deficit("cross-entropy", np.log(0.01), 10).round(6), loss_deficit("exponential", 0.0, 10)
    (np.float64(0.048374), array(0.))
    """
    log_total = np.log(samples) + np.asarray(log_loss, dtype=float)
    return lemma_constants(loss_).deficit_of(log_total, sharp=sharp)


def proxy_and_loss(problem: Classification, loss_: Loss | str, W: Array) -> tuple[Inequality, Inequality]:
    """Lemma C.7 (i): 1 - nL/2 ≤ (1 - e^{-nL}) / (nL) ≤ G/L ≤ 1; evaluates the two inner inequalities.

    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> lower, upper = proxy_and_loss(problem, "cross-entropy", np.zeros((2, 1)))
    >>> round(lower.left, 4), round(lower.right, 4)
    (0.541, 0.7213)
    """
    size = float(log_loss(problem, loss_, W))
    ratio = math.exp(float(log_proxy(problem, loss_, W)) - size)
    lower = 1.0 - float(loss_deficit(loss_, size, effective_samples(problem)))
    return Inequality("C.7", lower, ratio), Inequality("C.7", ratio, 1.0)


def small_loss_ratio(problem: Classification, loss_: Loss | str, W: Array) -> Inequality | None:
    """Lemma C.7 (ii): if L ≤ log 2 / n or G ≤ 1/(2n) then L ≤ 2 log 2 · G (the paper has 2 G); else None.

    Either condition keeps every sample's loss u ≤ log 2, and every pair's for the pairwise logistic loss.
    There 1 - e^{-u} is concave from 0 to 1/2, so at least u / (2 log 2). Exponential loss: G = L always.
    """
    constants = lemma_constants(loss_)
    size, proxy = float(log_loss(problem, loss_, W)), float(log_proxy(problem, loss_, W))
    total, ratio = constants.separating_total, constants.separating_ratio
    n = effective_samples(problem)
    if size > math.log(total / n) and proxy > math.log(total / (ratio * n)):
        return None
    return Inequality("C.7", math.exp(size - proxy), ratio)


def log_total_odds(loss_: Loss | str, log_loss: Array, samples: float) -> np.ndarray:
    """Return Y with margin ≥ -Y, as a function of the loss: log(e^{nL} - 1) for cross-entropy (Lemma C.8).

    Cross-entropy: one sample's loss is log(1 + Σ_c e^{-margin_c}) ≤ nL, so every e^{-margin} ≤ e^{nL} - 1;
    L ≤ log 2 / n makes it at most 1, and the sample is classified correctly. Pairwise logistic loss: the same
    of one pair. Exponential loss: Y = log(nL), since e^{-margin} ≤ nL.

    >>> float(log_total_odds("cross-entropy", np.log(np.log(2.0) / 10), 10).round(12))
    0.0
    """
    return lemma_constants(loss_).log_total_odds(np.log(samples) + np.asarray(log_loss, dtype=float))


def separation(problem: Classification, loss_: Loss | str, W: Array) -> Inequality:
    """Lemma C.8: e^{-margin(W)} ≤ e^{nL} - 1, or nL for the exponential loss; evaluated as a ratio against 1.

    See :func:`log_total_odds`. In particular L ≤ log 2 / n (exponential: L < 1/n)
    classifies every training sample correctly.
    """
    bound = float(log_total_odds(loss_, float(log_loss(problem, loss_, W)), effective_samples(problem)))
    return Inequality("C.8", math.exp(-float(problem.margin(W)) - bound), 1.0)


def gradient_stability(
    problem: Classification, loss_: Loss | str, W: Array, W_new: Array, norm_: Norm | str = "max"
) -> Inequality:
    """Lemma C.10: ‖∇L(W') - ∇L(W)‖_* / G(W) ≤ 2R (e^{2R ‖W' - W‖} - 1).

    Sample by sample the difference is Σ_c (r_c - r'_c) (e_y - e_c) xᵀ, of norm at most 2R Σ_c |r'_c - r_c|,
    and r'_c / r_c lies within e^{±2R ‖W' - W‖} (Lemma C.9).
    """
    lemma_constants(loss_)
    reference = float(log_proxy(problem, loss_, W))
    difference = relative_gradient(problem, loss_, W_new, reference) - relative_gradient(problem, loss_, W)
    distance = float(norm(norm_)(np.asarray(W_new) - np.asarray(W)))
    radius = feature_radius(problem, norm_)
    bound = 2.0 * radius * math.expm1(min(700.0, 2.0 * radius * distance))
    return Inequality("C.10", float(norm(norm_).dual(difference)), bound)


def taylor_remainder(
    problem: Classification,
    loss_: Loss | str,
    W: Array,
    direction: Array,
    step_size: float,
    norm_: Norm | str = "max",
) -> Inequality:
    """Second-order bound (C.7): L(W - ηD) - L(W) + η ⟨∇L(W), D⟩ ≤ (e^{2Rη} - 1 - 2Rη) G(W), for ‖D‖ ≤ 1.

    Along the segment f(s) = L(W - sD) has f'(s) - f'(0) ≤ 2R (e^{2Rs} - 1) G(W) (Lemma C.10), and the
    remainder is the integral of that from 0 to η. The paper's 2R² η² e^{2Rη} G, from Lemma C.3, is larger.
    Both sides are divided by G(W).
    """
    lemma_constants(loss_)
    proxy = float(log_proxy(problem, loss_, W))
    W, direction = np.asarray(W, dtype=float), np.asarray(direction, dtype=float)
    before = float(log_loss(problem, loss_, W)) - proxy
    after = float(log_loss(problem, loss_, W - step_size * direction)) - proxy
    change = math.exp(before) * math.expm1(after - before)
    slope = float(np.sum(relative_gradient(problem, loss_, W) * direction))
    radius = feature_radius(problem, norm_)
    return Inequality("Taylor", change + step_size * slope, curvature(radius, step_size))


def curvature(radius: float, step_size: Array) -> np.ndarray:
    """Return e^{2Rη} - 1 - 2Rη, what a step of size η loses to curvature, in units of G.

    >>> curvature(0.5, 1.0).round(6)
    np.float64(0.718282)
    """
    x = 2.0 * radius * np.asarray(step_size, dtype=float)
    small = np.minimum(x, 1e-3)
    series = small**2 * (0.5 + small / 6.0 + small**2 / 24.0 + small**3 / 120.0)
    with np.errstate(over="ignore"):
        return np.where(x < 1e-3, series, np.expm1(x) - x)[()]
