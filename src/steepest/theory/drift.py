"""How far the weights drift while a signal remembers them: c₂(t), t₀ and the like sums (Lemmas C.13-C.15).

Updates have norm at most η_t, so ‖W_{t-τ} - W_t‖ ≤ d_τ = Σ_{s=1}^{τ} η_{t-s}, and a remembered gradient
differs from today's by at most 2R (e^{2R d_τ} - 1) G(W_t) (Lemma C.10). The sums over τ are computed for all
t by recursions with positive terms only, in logarithms: with large first steps they pass 1e308 long before
they settle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.errors import InvalidArgument
from steepest.schedules import PolynomialDecay, Schedule
from steepest.theory.inputs import as_horizon, as_momentum, as_radius, as_schedule
from steepest.theory.steps import require_polynomial, step_sizes, step_sum, steps_until_size


def log_memory_drift(schedule: Schedule, momentum: float, radius: float, steps: int) -> np.ndarray:
    """Return log E_t for t = 0, ..., steps-1, with E_t = Σ_{τ=0}^{t} β^τ (e^{2R d_τ} - 1) = η_t c₂(t).

    Going from t to t+1 every age and every distance grows by one step, so

        E_{t+1} = β e^{2R η_t} E_t + β (e^{2R η_t} - 1) (1 - β^{t+1}) / (1 - β),    E_0 = 0.

    >>> bool(np.isneginf(log_memory_drift(PolynomialDecay(), 0.9, 1.0, 2)[0]))
    True
    """
    logs = np.full(steps, -np.inf)
    if momentum == 0 or steps == 0:
        return logs
    moved = 2.0 * radius * step_sizes(schedule, steps)
    remembered = -np.expm1(np.arange(1, steps + 1) * math.log(momentum)) / (1.0 - momentum)
    added = math.log(momentum) + _log_expm1(moved) + np.log(remembered)
    grown = math.log(momentum) + moved
    return _log_recursion(grown, added)


def drift_constant(schedule: Schedule, momentum: float, radius: float, steps: int) -> np.ndarray:
    """Return c₂(t) = (1/η_t) Σ_{τ=0}^{t} β^τ (e^{2R Σ_{s=1}^{τ} η_{t-s}} - 1) for t < steps, shape [steps].

    Assumption 3.4 with c₁ = 2R asks that it stays bounded; c₂(0) = 0 and c₂(1) = β (e^{2R η_0} - 1) / η_1.

    Args:
        schedule: the step sizes η.
        momentum: β in [0, 1).
        radius: R, in units of the features.
        steps: how many.

    >>> drift_constant(PolynomialDecay(0.1, 0.5), 0.5, 1.0, 2).round(6)
    array([0.      , 1.565554])
    """
    momentum, radius, steps = as_momentum(momentum), as_radius(radius), as_horizon(steps)
    schedule = as_schedule(schedule)
    with np.errstate(over="ignore"):
        return np.exp(
            log_memory_drift(schedule, momentum, radius, steps) - np.log(step_sizes(schedule, steps))
        )


@dataclass(frozen=True)
class DriftBound:
    """Lemma C.15 as a function of t: c₂(t) ≤ 4 β' 2R η_{⌈t/2⌉} / ((1-β)² η_t) + tail(t) for t ≥ t₀ = 2J.

    Write β' = (1+β)/2 and let J be the first step with β e^{2R η_J} ≤ β'. For t ≥ 2J and τ ≤ t/2 every step
    since t-τ is at most η_{⌈t/2⌉} =: h, so, by e^x - 1 ≤ x e^x,

        Σ_{τ ≤ t/2} β^τ (e^{2R d_τ} - 1) ≤ 2R h Σ_τ τ β'^τ = 2R h β' / (1-β')² = 2R h · 4 β' / (1-β)²,

    which is the paper's 4 · 2^a · 2R / (1-β)² once h ≤ 2^a η_t is put in; ours is smaller by β' and keeps h.
    For older τ each step since J contributes a factor of at most β' and the J steps before it at most
    P = Π_{s<J} max(1, β e^{2R η_s}), so
    the tail is at most P (β'^{⌊t/2⌋+1} / (1-β') + J β'^{t-J}) / η_t: smaller than any power of t. For when
    it no longer matters, in closed form, see :func:`~steepest.theory.drift_start_bound`.
    """

    schedule: PolynomialDecay
    """Step sizes η_t."""
    momentum: float
    """β."""
    radius: float
    """R, in units of the features."""
    contraction_start: float
    """J, the first step from which remembered gradients fade faster than the weights move."""
    log_growth: float
    """log P."""

    @property
    def start(self) -> float:
        """t₀ = 2J: the bound holds from this step on."""
        return 2.0 * self.contraction_start

    def log_tail(self, step: float) -> float:
        """Return log of η_t tail(t), what steps older than t/2 contribute."""
        log_fade = math.log(0.5 * (1.0 + self.momentum))
        half = math.floor(step / 2)
        far = (half + 1) * log_fade - math.log(0.5 * (1.0 - self.momentum))
        if self.contraction_start > 0:
            first = math.log(self.contraction_start) + (step - self.contraction_start) * log_fade
            far = float(np.logaddexp(far, first))
        return self.log_growth + far

    def memory_drift(self, step: float) -> float:
        """Return an upper bound on E_t = η_t c₂(t), which decreases in t; infinite before t₀."""
        if self.momentum == 0:
            return 0.0
        if step < self.start:
            return math.inf
        middle = 2.0 * self.radius * float(self.schedule(math.ceil(step / 2)))
        head = 2.0 * (1.0 + self.momentum) * middle / (1.0 - self.momentum) ** 2
        return head + _exp(self.log_tail(step))

    def __call__(self, step: float) -> float:
        """Return the upper bound on c₂(t); infinite before t₀."""
        return self.memory_drift(step) / float(self.schedule(step))


def drift_bound(schedule: Schedule, momentum: float, radius: float) -> DriftBound:
    """Return the closed-form bound on c₂ of Lemma C.15, with its t₀.

    Raises:
        InvalidArgument: the schedule is not a :class:`~steepest.PolynomialDecay`, or its steps never get
            small enough (exponent 0 with large steps).

    >>> bound = drift_bound(PolynomialDecay(0.1, 0.5), momentum=0.9, radius=1.0)
    >>> bound.start, float(drift_constant(bound.schedule, 0.9, 1.0, 1001)[-1]) <= bound(1000)
    (26.0, True)
    """
    schedule = require_polynomial(schedule)
    momentum, radius = as_momentum(momentum), as_radius(radius)
    if momentum == 0:
        return DriftBound(schedule, momentum, radius, 0.0, 0.0)
    small = math.log1p((1.0 - momentum) / (2.0 * momentum)) / (2.0 * radius)
    start = steps_until_size(schedule, small)
    if math.isinf(start):
        raise InvalidArgument("schedule", schedule, "give steps that decrease: Assumption 3.4 fails")
    growing = min(start, steps_until_size(schedule, -math.log(momentum) / (2.0 * radius)))
    log_growth = 2.0 * radius * step_sum(schedule, growing) + growing * math.log(momentum)
    return DriftBound(schedule, momentum, radius, start, max(0.0, log_growth))


def snapshot_distances(schedule: Schedule, batches: int, steps: int) -> np.ndarray:
    """Return s_t = Σ η over the steps since the start of the epoch of t, for t = 0, ..., steps-1.

    ‖W_t - W̃‖ ≤ s_t for the snapshot W̃ of variance reduction.

    >>> snapshot_distances(PolynomialDecay(1.0, 0.0), 3, 5)
    array([0., 1., 2., 0., 1.])
    """
    sizes = step_sizes(schedule, steps)
    epochs = -(-steps // batches)
    padded = np.zeros((epochs, batches))
    padded.reshape(-1)[:steps] = sizes
    before = np.concatenate([np.zeros((epochs, 1)), np.cumsum(padded[:, :-1], axis=1)], axis=1)
    return before.reshape(-1)[:steps]


def log_snapshot_drift(
    schedule: Schedule, momentum: float, batches: int, radius: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (log F_t, log H_t) for t = 0, ..., steps-1: how stale the snapshots in the momentum are.

    The deviation of V_{t-τ} from the full gradient, moved to W_t by Lemma C.9, is at most 2(m-1)R x_τ G(W_t)
    with x_τ = (e^{2R s_{t-τ}} - 1) e^{2R d_τ} (Lemma C.14). F_t = Σ_τ β^τ x_τ follows

        F_{t+1} = (e^{2R s_{t+1}} - 1) + β e^{2R η_t} F_t.

    H_t sums only the largest β^τ x_τ of each epoch. That is its last step's, since within an epoch s_{t-τ} +
    d_τ is the distance to that snapshot, and (e^s - 1) e^{d} = e^{s+d} (1 - e^{-s}) grows with s.
    """
    distances = 2.0 * radius * snapshot_distances(schedule, batches, steps)
    moved = 2.0 * radius * step_sizes(schedule, steps)
    fresh = _log_expm1(distances)
    log_momentum = math.log(momentum) if momentum > 0 else -math.inf
    grown = log_momentum + moved
    total, largest = [], []
    past = running = -math.inf
    for t, (new, growth) in enumerate(zip(fresh.tolist(), grown.tolist(), strict=True)):
        running = _log_sum(new, running)
        total.append(running)
        largest.append(_log_sum(new, past))
        if t % batches == batches - 1:
            past = _log_sum(past, new)
        past, running = past + growth, running + growth
    return np.array(total), np.array(largest)


def log_epoch_drift(
    schedule: Schedule, momentum: float, batches: int, radius: float, steps: int
) -> np.ndarray:
    """Return log Q_t for t = 0, ..., steps-1, with Q_t = Σ over epochs of (max β^τ) (max (e^{2R d_τ} - 1)).

    A sample is in one batch an epoch, so the drift of momentum's mini-batch gradients is at most
    2R (1-β) m G Q_t, beside the paper's 2R (1-β) m G E_t that adds every step as if it held all samples.
    An epoch that has ended enters with the age of its last step and the distance of its first; going from t
    to t+1 it changes as in :func:`log_memory_drift`.
    """
    log_momentum = math.log(momentum) if momentum > 0 else -math.inf
    moved = 2.0 * radius * step_sizes(schedule, steps)
    distances = 2.0 * radius * snapshot_distances(schedule, batches, steps)
    columns = (_log_expm1(distances), moved, _log_expm1(moved), _log_expm1(distances + moved))
    logs, past, ages = [], -math.inf, -math.inf
    for t, (current, growth, added, ended) in enumerate(np.stack(columns, axis=1).tolist()):
        logs.append(_log_sum(current, past))
        past = log_momentum + _log_sum(past + growth, ages + added)
        ages += log_momentum
        if t % batches == batches - 1:
            past = _log_sum(past, log_momentum + ended)
            ages = _log_sum(ages, log_momentum)
    return np.array(logs)


def _log_recursion(log_grown: np.ndarray, log_added: np.ndarray) -> np.ndarray:
    logs, value = [-math.inf], -math.inf
    for grown, added in zip(log_grown[:-1].tolist(), log_added[:-1].tolist(), strict=True):
        value = _log_sum(value + grown, added)
        logs.append(value)
    return np.array(logs)


def _log_sum(first: float, second: float) -> float:
    # log(e^first + e^second): several times quicker than NumPy's on single numbers.
    low, high = (first, second) if first < second else (second, first)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _log_expm1(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.where(x > 30.0, x, np.log(np.expm1(np.minimum(x, 30.0))))


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.0 else math.inf
