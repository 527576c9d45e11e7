"""Margin bounds from the alignment that a run had, step by step: no γ, no worst case, any method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.arguments import whole_number
from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument
from steepest.problem import Classification, as_problem
from steepest.theory.bound import TrajectoryLike
from steepest.theory.inputs import require_parts
from steepest.theory.stretches import Ground, Stretches, least_falls, measured_stretches


@dataclass(frozen=True)
class RealisedBound:
    """What the alignments of a run prove of its margins, see :func:`realised_bound`; arrays are [r]."""

    steps: np.ndarray
    """Updates done at each record."""
    floor: np.ndarray
    """What margin(W_t) / ‖W_t‖ cannot be below, with the best r for each t; -inf where nothing is proven."""
    explained: np.ndarray
    """The same with r = ``start`` for every t: what the alignments since then explain. At most ``floor``."""
    start: int | None
    """The record that ``explained`` starts from; None if no record has L small enough to separate."""
    alignment: np.ndarray
    """ρ̂ over the way since the record before: Σ of ⟨-∇L, ΔW⟩ / G over Σ of ‖ΔW‖; NaN for the first record
    and where nothing moved. At most 2R."""
    gains: np.ndarray
    """By how much Y is proven to have fallen since the record before, a number without a unit; 0 at first."""
    total_odds: np.ndarray
    """Y = log(e^{nL} - 1), or what stands for it with another loss."""


def realised_bound(
    problem: Classification, trajectory: TrajectoryLike, since: int | None = None
) -> RealisedBound:
    """Return lower bounds on a run's normalised margins from how far its steps went against the gradient.

    Let y = nL, Y = log(e^y - 1), so that margin ≥ -Y (Lemma C.8), ΔW = W_{s+1} - W_s, and for weights V
    between which and the next the run moved by ΔW

        a(V) = ⟨-∇L(V), ΔW⟩ / G(V),    φ(V) = nG(V) Y'(y(V)) = nG / (1 - e^{-nL})  ≥ 1  (Lemma C.7).

    Each step lowers Y by at least either of

        forward:   c_s φ(W_s),  c_s = a(W_s) - (e^{2R‖ΔW‖} - 1 - 2R‖ΔW‖),   a(W_s) = η_s ρ̂_s
        backward:  a(W_{s+1}) φ(W_{s+1}).

    Forward: the Taylor bound gives y_{s+1} ≤ y_s - c_s nG_s, whatever the sign of c_s, and Y is concave and
    increasing in y (Y' = 1 / (1 - e^{-y}) falls), so it lies below its tangent: Y_{s+1} ≤ Y_s + Y'(y_s)
    (y_{s+1} - y_s) ≤ Y_s - c_s φ(W_s). Backward: Y is CONVEX IN W. For with s_i = Σ_c e^{-margin_ic},
    e^Y = Π_i (1 + s_i) - 1 is a sum of products of the s_i, that is of exponentials of linear functions of
    W, and log Σ exp is convex. So Y_s ≥ Y_{s+1} - ⟨∇Y(W_{s+1}), ΔW⟩, with ∇Y = Y' n∇L. It needs no R and
    loses nothing to curvature, however long ΔW is: between records far apart it holds as it stands. (Exactly
    lost are the Kullback-Leibler divergences between the weights of those exponentials.) With either,

        margin(W_t) ≥ -Y_t ≥ Σ_{r≤s<t} (gain of step s) - Y_r    for every r ≤ t.

    Nothing of the method enters: any signal, any momentum, any start. With sample weights v_i put n / min v
    for n; e^Y is then Π (1 + s_i)^{v_i} - 1 with v_i ≥ 1, whose logarithm is convex too: with f_i = log
    (1 + s_i) and derivatives along a line, f_i'' (e^{f_i} - 1) ≥ f_i'² since s_i'' s_i ≥ s_i'², so by Cauchy
    (Σ v f')² ≤ (Σ v f'') Σ v (e^f - 1) ≤ (Σ v f'') (e^{Σ v f} - 1), which is (log (e^F - 1))'' ≥ 0.

    Each term of the sum is at most the fall of Y, so the right side increases in r, and its maximum over r
    is at r = t: ``floor`` is -Y_t / ‖W_t‖, what the loss itself certifies, however the run came there. What
    the alignments explain is the bound from an r that stays where it is: ``explained``, by default from the
    first record from which on L ≤ log 2 / n. Compare ``alignment`` with ρ of
    :func:`~steepest.theory.effective_margin`, which is its worst case.

    The gains are those of the records of the run. Where it also kept the terms of every step (descend with
    ``alignment=True``) they are sums over the steps, and closer. Floors allow for rounding.

    Args:
        problem: the data of the run.
        trajectory: the run, as :func:`steepest.descend` returns it.
        since: a recorded step that ``explained`` starts from, such as 0.

    Raises:
        InvalidArgument: ``since`` is not a recorded step.
        MissingCapability: the loss offers no lemma constants.

    >>> import steepest as st
    >>> problem = st.Classification([[1.0], [-1.0]], [0, 1])
    >>> run = st.descend(problem, st.Method("max", batch_size=1, schedule=st.PolynomialDecay(0.2, 0.5)), 500)
    >>> bound = realised_bound(problem, run)
    >>> bool(1.8 < bound.explained[-1] <= bound.floor[-1] <= run.normalized_margin[-1])
    True
    """
    read = ("method", "steps", "weights")
    require_parts("trajectory", trajectory, read, "give a run, as steepest.descend returns it")
    method = trajectory.method
    ground = Ground.of(as_problem(problem), method.norm, method.loss)
    steps, weights = np.asarray(trajectory.steps), np.asarray(trajectory.weights, dtype=float)
    stretches = measured_stretches(ground, weights)
    sizes = as_numpy(method.norm(weights))
    gains, alignment = least_falls(ground, stretches, sizes), _mean(stretches.forward, stretches.lengths)
    kept = getattr(trajectory, "alignment", None)
    if kept is not None and len(steps) > 1:
        every = Stretches(kept.forward, kept.backward, kept.lengths, kept.log_loss, kept.log_proxy)
        fine = least_falls(ground, every, np.full(len(every.log_loss), sizes.max()))
        gains = np.maximum(gains, np.add.reduceat(fine, steps[:-1]))
        alignment = _mean(*(np.add.reduceat(each, steps[:-1]) for each in (kept.forward, kept.lengths)))
    odds = ground.total_odds(stretches.log_loss)
    start = _start(steps, odds, since)
    proven = -odds - ground.rounding(sizes) * np.maximum(1.0, np.abs(odds))
    counted = gains - 4.0 * np.finfo(np.float64).eps * len(steps) * np.abs(gains)
    explained = np.full(len(steps), -np.inf)
    if start is not None:
        explained[start:] = np.cumsum(np.concatenate([[proven[start]], counted[start:]]))
    explained = _over(explained, sizes)
    return RealisedBound(
        steps=steps,
        floor=np.maximum(_over(_best(proven, counted), sizes), explained),
        explained=explained,
        start=None if start is None else int(steps[start]),
        alignment=np.concatenate([[np.nan], alignment]),
        gains=np.concatenate([[0.0], gains]),
        total_odds=odds,
    )


def _start(steps: np.ndarray, odds: np.ndarray, since: object) -> int | None:
    """Return the index of the record that the explained bound starts from."""
    if since is not None:
        step = whole_number("since", since, 0)
        found = np.flatnonzero(steps == step)
        if len(found) == 0:
            raise InvalidArgument("since", since, f"give a recorded step, such as {int(steps[0])}")
        return int(found[0])
    above = np.flatnonzero(odds > 0)
    first = int(above[-1]) + 1 if len(above) else 0
    return first if first < len(steps) else None


def _best(proven: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Return max over r ≤ t of proven_r + Σ of the gains from r to t."""
    best = [float(proven[0])]
    for here, gain in zip(proven[1:].tolist(), gains.tolist(), strict=True):
        best.append(max(here, best[-1] + gain))
    return np.array(best)


def _mean(totals: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.divide(totals, lengths, out=np.full(len(totals), np.nan), where=lengths > 0)


def _over(margins: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    # A negative margin over weights that are 0 or short proves nothing that a reader could use.
    useful = (margins > 0) & (sizes > 0)
    shrunk = margins * (1.0 - 1e-13)
    return np.divide(shrunk, sizes, out=np.full(len(margins), -np.inf), where=useful)
