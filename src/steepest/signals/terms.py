"""What an average of gradients is made of: the coefficient of every sample and class, however small.

Every signal is a sum over samples, V_t = Σ_ic v_ic (e_c - e_{y_i}) x_iᵀ, and so is an average of them: its
coefficients follow the recursion of the average, m_ic ← β m_ic + (1 - β) v_ic. A formed average loses those
far below the largest; kept one by one, with scales of their own, they are there where a direction hangs on
them. With r_ic the residuals at W_t, f the factor of a batch B, and ρ_ic those that a corrected signal
compares with (at the snapshot of SVRG, of the table of SAGA, 0 of plain mini-batches),

    v_ic = f (r_ic - ρ_ic) [i in B] + ρ_ic / n.

Between its batches a sample's coefficient changes in a known way, m_ic ← β^a m_ic + (1 - β^a) ρ_ic / n after
a steps, so a step costs the rows of its batch, and a new snapshot all rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, as_numpy, namespace
from steepest.capabilities import Capability
from steepest.doubled import Doubled
from steepest.losses import Loss, Samples
from steepest.problem import Classification
from steepest.scaled import Scaled, zeros_like
from steepest.signals.graded import residual_logs
from steepest.signals.loopless_svrg import LooplessSVRG
from steepest.signals.minibatch import MiniBatch
from steepest.signals.numbers import Numbers, Powers
from steepest.signals.protocol import Draw, Fields
from steepest.signals.saga import SAGA, TERM, UNIT
from steepest.signals.svrg import SVRG

__all__ = [
    "FIELDS",
    "KEPT_TERMS",
    "KeptTerms",
    "begun",
    "carried",
    "coefficients",
    "recorded",
    "sizes_of_followed",
]


FIELDS = (
    *("term_mantissas", "term_log_scales", "term_steps", "term_sizes"),
    *("carried_momentum", "carried_step"),
    *("compared_mantissas", "compared_log_scales", "compared_sizes"),
)
"""Names in a state under which coefficients are kept."""


class KeptTerms(NamedTuple):
    """How the coefficients of a signal come about, beside the residuals of its batch."""

    compared: Callable[[Classification, Loss, Array, Fields, int], Numbers] | None = None
    """Returns ρ [runs, n, k] from the problem, the loss, the weights, the state and the step it is of; None
    where gradients are not corrected."""
    renewed: Callable[[Draw], np.ndarray] | None = None
    """Returns in which runs [runs] all ρ become the residuals at the weights before a step; None where those
    of each batch do, after it."""


KEPT_TERMS: Capability[KeptTerms] = Capability(
    "its coefficients", "The coefficient of every sample and class in the signal of a step."
)


@KEPT_TERMS.offered_by(MiniBatch)
def _minibatch(_signal: MiniBatch) -> KeptTerms:
    return KeptTerms()


@KEPT_TERMS.offered_by(SVRG)
def _svrg(_signal: SVRG) -> KeptTerms:
    def renewed(draw: Draw) -> np.ndarray:
        return np.asarray(draw.step % draw.batches == 0)

    return KeptTerms(_at_snapshot, renewed)


@KEPT_TERMS.offered_by(LooplessSVRG)
def _loopless_svrg(_signal: LooplessSVRG) -> KeptTerms:
    def renewed(draw: Draw) -> np.ndarray:
        return np.asarray(True) if draw.step == 0 else draw.toss(1.0 / draw.batches)

    return KeptTerms(_at_snapshot, renewed)


@KEPT_TERMS.offered_by(SAGA)
def _saga(_signal: SAGA) -> KeptTerms:
    def of_table(problem: Classification, loss: Loss, weights: Array, fields: Fields, step: int) -> Numbers:
        samples = Samples.of(problem)
        if step == 0:
            return _residuals(loss, samples, weights)
        rows, scales = fields["table"], fields["table_log_scale"]
        xp = namespace(rows)
        rows = xp.where(samples.one_hot, 0.0, rows)
        return Numbers(rows, xp.broadcast_to(scales[..., None], rows.shape)).normalized()

    return KeptTerms(of_table)


def _at_snapshot(problem: Classification, loss: Loss, _weights: Array, fields: Fields, _step: int) -> Numbers:
    return _residuals(loss, Samples.of(problem), fields["snapshot"])


def _residuals(loss: Loss, samples: Samples, weights: Array) -> Numbers:
    """Return the residuals of samples [runs, b, k], times their weights; 0 at the true class."""
    found = Numbers.of_logs(residual_logs(loss, samples, weights))
    xp = namespace(weights)
    return Numbers(
        xp.where(samples.one_hot, 0.0, found.mantissas), xp.where(samples.one_hot, -xp.inf, found.log_scales)
    )


def begun(
    kept: KeptTerms, problem: Classification, loss: Loss, weights: Array, fields: Fields, step: int = 0
) -> Fields:
    """Return what is kept of the coefficients of runs at ``weights`` [runs, k, d], after ``step`` steps.

    What a momentum in the state has averaged so far is kept as the matrix that it is.
    """
    xp = namespace(weights)
    runs, k, _ = weights.shape
    n = problem.samples
    like = xp.zeros((runs, n, k), dtype=weights.dtype, device=device(weights))
    carried = fields.get("momentum", zeros_like(weights))
    per_row = xp.max(xp.sum(xp.abs(carried.mantissa), axis=-1), axis=-1)[:, None, None]
    sizes = xp.broadcast_to(per_row, (runs, k, 2)) / max(problem.largest_length, 1e-300)
    found: dict[str, Any] = {
        "term_mantissas": like,
        "term_log_scales": Numbers.zeros(like).log_scales,
        "term_steps": xp.full((runs, n), step, dtype=xp.int64, device=device(weights)),
        "term_sizes": Scaled(xp.asarray(sizes, copy=True), carried.log_scale).normalized(),
        "carried_momentum": carried,
        "carried_step": xp.full((runs,), step, dtype=xp.int64, device=device(weights)),
    }
    if kept.compared is not None:
        compared = kept.compared(problem, loss, weights, fields, step)
        found |= _compared_fields(compared, _sizes_of_compared(compared, problem))
    return found


def _compared_fields(compared: Numbers, sizes: Scaled) -> dict[str, Any]:
    return {
        "compared_mantissas": compared.mantissas,
        "compared_log_scales": compared.log_scales,
        "compared_sizes": sizes,
    }


def _sizes_of_compared(compared: Numbers, problem: Classification) -> Scaled:
    return _row_sizes(compared, Samples.of(problem).one_hot) * (1.0 / problem.samples)


def _row_sizes(numbers: Numbers, one_hot: Array) -> Scaled:
    """Return Σ_i |coefficient of sample i in row c|, shape [runs, k, 1]."""
    xp = namespace(numbers.mantissas)
    top = xp.max(xp.max(numbers.log_scales, axis=-1), axis=-1)
    finite = xp.where(xp.isinf(top), 0.0, top)[:, None, None]
    moduli = xp.abs(numbers.mantissas) * xp.exp(numbers.log_scales - finite)
    moduli = xp.where(one_hot, xp.sum(moduli, axis=-1, keepdims=True), moduli)
    return Scaled(xp.sum(moduli, axis=-2)[..., None], top).normalized()


class Followed(NamedTuple):
    """The coefficients of the step that was taken down last."""

    of_signal: Callable[[], Numbers]
    """Returns v_ic [runs, n, k]."""
    signal_sizes: Scaled
    """Σ_i |v_ic| of each row or more, and a bound of the rounding of the formed signal's entries over that of
    one operation and the length of the longest sample, shape [runs, k, 2]."""


def recorded(
    kept: KeptTerms, draw: Draw, weights: Array, before: Fields, betas: np.ndarray
) -> tuple[Fields, Followed]:
    """Return what a step at ``weights`` changes of what is kept, and the coefficients of its signal.

    ``betas`` are β of each run, 0 where steps follow the signal itself; ``before`` is the state before.
    """
    xp, place = namespace(weights), device(weights)
    problem, step, n = draw.problem, draw.step, draw.problem.samples
    powers = Powers.of(betas, weights)
    beta = xp.asarray(betas, device=place)[:, None, None]
    runs = xp.arange(weights.shape[0], device=place)[:, None]
    indices = xp.arange(n, device=place)[None] if draw.indices is None else draw.indices
    table = Numbers(before["term_mantissas"], before["term_log_scales"])
    steps = before["term_steps"]
    batch = draw.batch
    here = _residuals(draw.loss, batch, weights)
    corrects = kept.compared is not None and draw.batches > 1
    changed: dict[str, Any] = {}
    compared = compared_sizes = None
    if corrects:
        compared = Numbers(before["compared_mantissas"], before["compared_log_scales"])
        compared_sizes = before["compared_sizes"]
        if (
            kept.renewed is not None
            and (taken := np.array(np.broadcast_to(kept.renewed(draw), betas.shape))).any()
        ):
            mask = xp.asarray(taken, device=place)[:, None, None]
            settled = _settled(table, steps, compared, powers, step, n)
            table = _where(mask, settled, table)
            steps = xp.where(mask[..., 0], step, steps)
            everything = Samples.of(problem)
            compared = _where(mask, _residuals(draw.loss, everything, weights), compared)
            fresh = _sizes_of_compared(compared, problem)
            compared_sizes = _where_scaled(mask, fresh, compared_sizes)
    place_of = (runs, indices)
    rows = _settled(table.at(place_of), steps[place_of], None, powers, step + 1, n)
    sizes = _row_sizes(here, batch.one_hot) * draw.factor
    change = here.times(draw.factor)
    if compared is not None and compared_sizes is not None:
        there = compared.at(place_of)
        ages = step + 1 - steps[place_of]
        rows = rows.plus(_share(there, powers, ages, n))
        sizes = sizes + _row_sizes(there, batch.one_hot) * draw.factor + compared_sizes
        change = here.plus(there.times(-1.0)).times(draw.factor)
    rows = rows.plus(change.times(1.0 - beta))
    table = table.put(place_of, rows)
    steps = xp.asarray(steps, copy=True)
    steps[place_of] = step + 1
    was = compared
    if compared is not None and compared_sizes is not None:
        if kept.renewed is None:
            compared = compared.put(place_of, here)
            compared_sizes = _sizes_of_compared(compared, problem)
        changed |= _compared_fields(compared, compared_sizes)
    signal_sizes = _with_rounding(sizes, before, problem)
    average = _added_sizes(before["term_sizes"], signal_sizes, betas)
    changed |= {
        "term_mantissas": table.mantissas,
        "term_log_scales": table.log_scales,
        "term_steps": steps,
        "term_sizes": average,
    }

    def of_signal() -> Numbers:
        whole = Numbers.zeros(table.mantissas) if was is None else was.times(1.0 / n)
        return whole.put(place_of, whole.at(place_of).plus(change))

    return changed, Followed(of_signal, signal_sizes)


def _where(mask: Array, one: Numbers, other: Numbers) -> Numbers:
    xp = namespace(mask)
    return Numbers(*(xp.where(mask, a, b) for a, b in zip(one, other, strict=True)))


def _where_scaled(mask: Array, one: Scaled, other: Scaled) -> Scaled:
    xp = namespace(mask)
    return Scaled(
        xp.where(mask, one.mantissa, other.mantissa), xp.where(mask[:, 0, 0], one.log_scale, other.log_scale)
    )


def _share(compared: Numbers, powers: Powers, ages: Array, n: int) -> Numbers:
    """Return (1 - β^a) ρ / n, what a correction has added in a steps."""
    there = powers.to(ages)
    xp = namespace(there.mantissas)
    gained = 1.0 - there.mantissas * xp.exp(there.log_scales)
    return compared.times(gained[..., None] / n)


def _settled(
    table: Numbers, steps: Array, compared: Numbers | None, powers: Powers, step: int, n: int
) -> Numbers:
    """Return coefficients [runs, n, k] that were last changed at ``steps`` [runs, n], as of a step."""
    ages = step - steps
    decay = powers.to(ages)
    kept = table.product(Numbers(decay.mantissas[..., None], decay.log_scales[..., None]))
    return kept if compared is None else kept.plus(_share(compared, powers, ages, n))


def _with_rounding(sizes: Scaled, before: Fields, problem: Classification) -> Scaled:
    """Return sizes [runs, k, 1] beside the rounding of a formed signal: for SAGA that of its mean."""
    xp = namespace(sizes.mantissa)
    rounding = sizes
    if "mean_log_rounding" in before:
        made = UNIT + math.log(problem.samples + TERM) + before["mean_log_terms"]
        lost = xp.logaddexp(before["mean_log_rounding"], made) - UNIT
        lost = lost - math.log(max(problem.largest_length, 1e-300))
        of_mean = Numbers.of_logs(Doubled(lost, xp.zeros_like(lost)))
        rounding = sizes + Scaled(
            xp.broadcast_to(of_mean.mantissas[:, None, None], sizes.mantissa.shape), of_mean.log_scales
        )
    top = xp.maximum(sizes.log_scale, rounding.log_scale)
    finite = xp.where(xp.isinf(top), 0.0, top)
    columns = [each.mantissa * xp.exp(each.log_scale - finite)[:, None, None] for each in (sizes, rounding)]
    return Scaled(xp.concat(columns, axis=-1), top).normalized()


def _added_sizes(average: Scaled, signal: Scaled, betas: np.ndarray) -> Scaled:
    """Return the sizes of β · average + (1 - β) · signal, and what has rounded its entries so far."""
    xp = namespace(signal.mantissa)
    beta = xp.asarray(betas, device=device(signal.mantissa))
    total = average * beta + signal * (1.0 - beta)
    # The sum itself rounds once more.
    mantissa = total.mantissa
    rounding = mantissa[..., 1:] + mantissa[..., :1]
    return Scaled(xp.concat([mantissa[..., :1], rounding], axis=-1), total.log_scale).normalized()


def sizes_of_followed(fields: Fields, followed: Followed, betas: np.ndarray, *, ahead: bool) -> Scaled:
    """Return Σ_i |coefficient| of each row of what a step follows, and its rounding, shape [runs, k, 2]."""
    return _added_sizes(fields["term_sizes"], followed.signal_sizes, betas) if ahead else fields["term_sizes"]


def coefficients(
    draw: Draw, fields: Fields, followed: Followed, betas: np.ndarray, *, ahead: bool
) -> Numbers:
    """Return the coefficients [runs, n, k] of what a step follows, from the state after it.

    With ``ahead`` that is β M_t + (1 - β) V_t, otherwise M_t.
    """
    table = Numbers(fields["term_mantissas"], fields["term_log_scales"])
    powers = Powers.of(betas, table.mantissas)
    compared = None
    if "compared_mantissas" in fields and draw.batches > 1:
        compared = Numbers(fields["compared_mantissas"], fields["compared_log_scales"])
    found = _settled(table, fields["term_steps"], compared, powers, draw.step + 1, draw.problem.samples)
    if not ahead:
        return found
    xp = namespace(table.mantissas)
    beta = xp.asarray(betas, device=device(table.mantissas))[:, None, None]
    return found.times(beta).plus(followed.of_signal().times(1.0 - beta))


def carried(fields: Fields, betas: np.ndarray, step: int, *, ahead: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of a momentum from before coefficients were kept: mantissas, log-factors [runs]."""
    matrix = fields["carried_momentum"]
    powers = Powers.of(betas, matrix.mantissa)
    ages = step + 1 - fields["carried_step"] + (1 if ahead else 0)
    return as_numpy(matrix.mantissa), as_numpy(matrix.log_scale + powers.to(ages).logs)
