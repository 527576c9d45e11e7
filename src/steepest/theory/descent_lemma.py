"""One step lowers the loss: Lemmas D.1, E.1, F.1 and G.1 for the four methods."""

from __future__ import annotations

import math

import numpy as np

from steepest.problem import Classification
from steepest.theory.drift import (
    drift_bound,
    log_epoch_drift,
    log_memory_drift,
    log_snapshot_drift,
    snapshot_distances,
)
from steepest.theory.effective_margin import Constants, MethodLike, Setting, setting
from steepest.theory.inputs import as_horizon
from steepest.theory.loss_lemmas import curvature
from steepest.theory.steps import step_sizes


def descent_errors(
    problem: Classification, method: MethodLike, steps: int, constants: Constants = "sharp"
) -> np.ndarray:
    """Return δ_t for t = 0, ..., steps-1 such that L_{t+1} ≤ L_t - η_t G_t (ρ - δ_t), shape [steps].

    ρ is the :func:`~steepest.theory.effective_margin` and δ_t = 4R β^{t+1} [with momentum] + α_t η_t.

    Why. By the Taylor bound L_{t+1} - L_t ≤ -η ⟨∇L, D(S)⟩ + (curvature) G, and ⟨∇L, D(S)⟩ ≥ ‖∇L‖_* - 2 ‖S -
    ∇L‖_*, because D(S) is the best direction for S. It remains to bound S - ∇L(W_t) by a multiple of G(W_t):

    - No momentum: S - ∇L = Ξ_B, all of it in ρ. α_t η_t² is the curvature: the paper's 2R² e^{2Rη_0} η_t².
    - Momentum: with w_τ = (1-β) β^τ, Σ_{τ≤t} w_τ = 1 - β^{t+1}, and g, B at step t-τ,
      M_t - ∇L(W_t) = Σ w_τ (∇L_B(W_{t-τ}) - ∇L_B(W_t)) + Σ w_τ Ξ_B(W_t) - β^{t+1} ∇L(W_t).
      The middle sum is in ρ (Lemma C.12), the last is at most β^{t+1} 2R G (the average starts from zero),
      and the first, a drift of mini-batches, at most 2R (1-β) m η_t c₂(t) G. So α_t has 4R (1-β) m c₂(t).
    - Variance reduction: V_t - ∇L(W_t) ≤ 2(m-1)R (e^{2R s_t} - 1) G (Lemma C.13), with s_t the way since the
      snapshot. So α_t η_t has 4(m-1)R (e^{2R s_t} - 1), at most 8R² (m-1)² η_t asymptotically.
    - Variance reduction and momentum (Lemma G.1), in full:
      M_t - ∇L(W_t) = Σ w_τ (V_{t-τ} - ∇L(W_{t-τ})) + Σ w_τ (∇L(W_{t-τ}) - ∇L(W_t)) - β^{t+1} ∇L(W_t).
      First sum: by Lemma C.13 each term is at most 2(m-1)R (e^{2R s_{t-τ}} - 1) G(W_{t-τ}), and Lemma C.9
      gives G(W_{t-τ}) ≤ e^{2R d_τ} G(W_t), d_τ = Σ_{s=1}^{τ} η_{t-s}; in sum 2(m-1)R (1-β) F_t G(W_t) with
      F_t = Σ_τ β^τ (e^{2R s_{t-τ}} - 1) e^{2R d_τ}, which the recursion F_{t+1} = (e^{2R s_{t+1}} - 1) + β
      e^{2Rη_t} F_t computes (Lemma C.14). Second sum: a drift of the full gradient, by Lemma C.10 at most
      2R (1-β) Σ β^τ (e^{2R d_τ} - 1) G = 2R (1-β) η_t c₂(t) G, without the factor m. Last: β^{t+1} 2R G.
      Doubling,

          δ_t = 4R β^{t+1} + curvature_t / η_t + 4R (1-β) η_t c₂(t) + 4(m-1)R (1-β) F_t,

      with ρ = γ. F_t ≤ (e^{2R (m-1) η} - 1) / (1 - β e^{2Rη}) with η the steps in memory, so δ_t → 0 like
      R² ((m-1)² + 1/(1-β)) η_t: no condition on the batch size or on the momentum.

    ``constants="sharp"`` uses R(‖·‖), the curvature (e^{2Rη_t} - 1 - 2Rη_t) / η_t at the step's own size,
    and counts a sample once an epoch in the drifts, since it is in one batch an epoch (see
    ``momentum_drift`` and ``accumulated_deviation``). ``"paper"`` uses the formulas above.

    ``"fan"``, of the full batch with momentum (m = 1), multiplies β^{t+1} 4R and the drift by d: there M_t -
    ∇L is bounded entry by entry, each of its columns by the same multiple of G, and the sum over the d
    columns taken at the end (Fan et al., 2025); the paper bounds the sum-norm at once. Without momentum the
    two are the same.

    Sharp constants are continuous at β → 0 (Remark 4.4 is about the paper's): 4R β^{t+1} and the drifts,
    which have a factor β, vanish. For t ≥ 0 fixed δ_t(β) → δ_t(0).

    Args:
        problem: the data.
        method: norm, batch size, momentum, variance reduction, loss and schedule.
        steps: how many.
        constants: "sharp", "paper" or "fan".

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> method = st.Method("max", schedule=st.PolynomialDecay(0.2, 0.5))
    >>> descent_errors(problem, method, 2).round(4)
    array([0.4591, 0.3115])
    """
    return descent_errors_of(setting(problem, method, constants), as_horizon(steps))


def descent_errors_of(numbers: Setting, steps: int) -> np.ndarray:
    """Return the errors of :func:`descent_errors` for the numbers of a setting."""
    radius, m, beta = numbers.radius, numbers.batches, numbers.momentum
    schedule = numbers.schedule
    sizes = step_sizes(schedule, steps)
    errors = _curvature_errors(numbers, sizes)
    with np.errstate(over="ignore"):
        if beta > 0:
            entries = 4.0 * radius * numbers.width
            errors = errors + entries * beta ** np.arange(1, steps + 1, dtype=float)
            errors = errors + entries * (1.0 - beta) * np.exp(_log_drift(numbers, steps))
        elif numbers.variance_reduction:
            stale = np.expm1(2.0 * radius * snapshot_distances(schedule, m, steps))
            errors = errors + 4.0 * (m - 1) * radius * stale
    return errors


def descent_coefficients(
    problem: Classification, method: MethodLike, steps: int, constants: Constants = "sharp"
) -> np.ndarray:
    """Return α_t for t = 0, ..., steps-1, shape [steps].

    L_{t+1} ≤ L_t - η_t G_t (ρ - 4R β^{t+1} - α_t η_t) for every step of the method, where
    the term 4R β^{t+1} is there with momentum alone. See :func:`descent_errors`.

    Args:
        problem: the data.
        method: norm, batch size, momentum, variance reduction, loss and schedule.
        steps: how many.
        constants: "sharp", "paper" or "fan".

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> method = st.Method("max", schedule=st.PolynomialDecay(0.2, 0.5))
    >>> descent_coefficients(problem, method, 2).round(4)
    array([2.2956, 2.2027])
    """
    numbers, steps = setting(problem, method, constants), as_horizon(steps)
    errors = descent_errors_of(numbers, steps)
    if numbers.momentum > 0:
        start_up = 4.0 * numbers.radius * numbers.width
        errors = errors - start_up * numbers.momentum ** np.arange(1, steps + 1, dtype=float)
    return errors / step_sizes(numbers.schedule, steps)


def _curvature_errors(numbers: Setting, sizes: np.ndarray) -> np.ndarray:
    largest = float(sizes[0]) if len(sizes) else 0.0
    with np.errstate(over="ignore"):  # infinite where steps are too large for the lemma
        if numbers.sharp:
            return curvature(numbers.radius, sizes) / sizes
        # By the step size first: the square of a large radius alone can leave float64.
        moved = 2.0 * numbers.radius * sizes * numbers.radius
        return moved * math.exp(min(709.0, 2.0 * numbers.radius * largest))


def _log_drift(numbers: Setting, steps: int) -> np.ndarray:
    # Logarithm of what multiplies 4R (1-β): drift of momentum's gradients, and of the snapshots in them.
    schedule, beta, m, radius = numbers.schedule, numbers.momentum, numbers.batches, numbers.radius
    memory = log_memory_drift(schedule, beta, radius, steps)
    if not numbers.variance_reduction:
        every = memory + math.log(m)
        if not numbers.sharp or m == 1:
            return every
        return np.minimum(every, log_epoch_drift(schedule, beta, m, radius, steps) + math.log(m))
    if m == 1:
        return memory
    total, largest = log_snapshot_drift(schedule, beta, m, radius, steps)
    if not numbers.sharp:
        return np.logaddexp(memory, total + math.log(m - 1))
    stale = total if m == 2 else np.logaddexp(total, largest + math.log(m - 2))
    return np.logaddexp(memory, stale)


def closed_form_error(numbers: Setting, step: float) -> float:
    """Return an upper bound on δ_t that decreases in t and needs no recursion; infinite before it holds.

    Puts the closed-form c₂ of Lemma C.15 for the recursions; with variance reduction and momentum also
    F_t ≤ 2 (e^{2R (m-1) η'} - 1) / (1-β) + tail, where η' is the step size m - 1 steps before ⌈t/2⌉: the
    remembered steps τ ≤ t/2 have snapshots at most that old, and fade as β'^τ, β' = (1+β)/2.
    """
    radius, m, beta, schedule = numbers.radius, numbers.batches, numbers.momentum, numbers.schedule
    size = float(schedule(step))
    error = float(_curvature_at(numbers, size))
    if beta == 0:
        if not numbers.variance_reduction or m == 1:
            return error
        if step < m - 1:
            return math.inf
        return error + 4.0 * (m - 1) * radius * _expm1(2.0 * radius * (m - 1) * float(schedule(step - m + 1)))
    bound = drift_bound(schedule, beta, radius)
    entries = 4.0 * radius * numbers.width
    error += entries * math.exp((step + 1.0) * math.log(beta))
    drift = bound.memory_drift(step)
    if not numbers.variance_reduction:
        return error + entries * (1.0 - beta) * m * drift
    error += entries * (1.0 - beta) * drift
    if m == 1:
        return error
    middle = math.ceil(step / 2) - (m - 1)
    if middle < 0 or math.isinf(drift):
        return math.inf
    recent = 2.0 * _expm1(2.0 * radius * (m - 1) * float(schedule(middle))) / (1.0 - beta)
    log_old = bound.log_tail(step) + _log_expm1(2.0 * radius * (m - 1) * float(schedule(0)))
    old = math.exp(log_old) if log_old < 709.0 else math.inf
    return error + 4.0 * (m - 1) * radius * (1.0 - beta) * (recent + old)


def _curvature_at(numbers: Setting, size: float) -> float:
    sizes = np.array([float(numbers.schedule(0)), size])
    return float(_curvature_errors(numbers, sizes)[1])


def _expm1(x: float) -> float:
    return math.expm1(x) if x < 709.0 else math.inf


def _log_expm1(x: float) -> float:
    return x if x > 30.0 else math.log(math.expm1(x))
