"""Directions of averages and of SAGA: as formed where they are certain, otherwise from every coefficient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from array_api_compat import device

import steepest.descent.engines.norms  # noqa: F401 (families of norms offer their directions there)
from steepest.arrays import Array, as_numpy, namespace
from steepest.capabilities import Capability
from steepest.descent.engines.graded import (
    ENTRY_DIRECTION,
    GRADED_DIRECTION,
    SIGNS_ALONE,
    GradedSum,
    graded_entries,
)
from steepest.descent.method import Method
from steepest.geometry import Norm
from steepest.geometry.facts import MULTIPLE, UNITARILY_INVARIANT, is_true
from steepest.geometry.polar import singular_values
from steepest.problem import Classification
from steepest.scaled import Scaled
from steepest.signals import Draw, Fields
from steepest.signals.graded import GRADED_SIGNAL
from steepest.signals.heavy_ball import HeavyBall
from steepest.signals.momentum import MovingAverage
from steepest.signals.nesterov import Nesterov
from steepest.signals.numbers import Numbers
from steepest.signals.terms import KEPT_TERMS, begun, carried, coefficients, recorded, sizes_of_followed

__all__ = [
    "AVERAGING",
    "CERTAIN_ENTRY",
    "CERTAIN_RATIO",
    "Average",
    "averaged_directions",
    "direction_of_terms",
    "keeps_terms",
    "kept_terms",
]

CERTAIN_ENTRY = 1e-6
"""An entry above this part of its terms is known to ten digits."""
CERTAIN_SIGN = 1e-12
"""The sign of an entry above this part of its terms is known."""
CERTAIN_RATIO = 1e-5
"""Singular vectors whose value is above this part of the largest are known to ten digits."""
ROUNDING_OF_SIGN, ROUNDING_OF_ENTRY = 4.0 * 2.0**-53, 1e10 * 2.0**-53
"""The same for what the sums of an average have rounded, in units of one operation on its terms."""
LEAST = 1e-260
"""Rows of terms below this part of the largest leave nothing in a formed matrix."""


class Average(NamedTuple):
    """What a step follows of the signals so far, as a recursion of coefficients."""

    averages: bool
    """Whether it is M_t = β M_{t-1} + (1 - β) V_t; V_t otherwise."""
    ahead: bool = False
    """Whether it is one step ahead, β M_t + (1 - β) V_t."""


AVERAGING: Capability[Average] = Capability(
    "its average of signals", "What of the signals so far a step follows, as a recursion of coefficients."
)


@AVERAGING.offered_by(MovingAverage)
def _average(_kind: MovingAverage) -> Average:
    return Average(averages=True)


@AVERAGING.offered_by(Nesterov)
def _nesterov(_kind: Nesterov) -> Average:
    return Average(averages=True, ahead=True)


@AVERAGING.offered_by(HeavyBall)
def _heavy_ball(_kind: HeavyBall) -> Average:
    return Average(averages=False)


def keeps_terms(method: Method) -> bool:
    """Return whether a method's state has every coefficient of what it follows.

    It is where directions hang on small parts, nothing cuts them off, and no step alone has them all.
    """
    norm, average = method.norm, AVERAGING.of(method.momentum_kind)
    if method.rank_cutoff is not None or average is None or KEPT_TERMS.of(method.signal) is None:
        return False
    if ENTRY_DIRECTION.of(norm) is None and GRADED_DIRECTION.of(norm) is None:
        return False
    return (average.averages and method.momentum > 0) or GRADED_SIGNAL.of(method.signal) is None


def kept_terms(
    problem: Classification, method: Method, weights: Array, fields: Fields, step: int = 0
) -> Fields:
    """Return the coefficients that a state begins with: none, beside the momentum that there is."""
    kept = KEPT_TERMS.of(method.signal)
    if kept is None or not keeps_terms(method):
        return {}
    return begun(kept, problem, method.loss, weights, fields, step)


def averaged_directions(
    methods: Sequence[Method], draw: Draw, weights: Array, before: Fields, fields: Fields, followed: Scaled
) -> tuple[Array, Fields]:
    """Return D of what steps follow [runs, k, d], and what changes of the coefficients.

    ``before`` and ``fields`` are the states before and after the step, ``followed`` what it follows as it was
    formed.
    """
    norm, kept = methods[0].norm, KEPT_TERMS.of(methods[0].signal)
    average = AVERAGING.of(methods[0].momentum_kind)
    assert kept is not None
    assert average is not None
    betas = np.asarray([each.momentum if average.averages else 0.0 for each in methods])
    changed, told = recorded(kept, draw, weights, before, betas)
    fields = {**fields, **changed}
    sizes = sizes_of_followed(fields, told, betas, ahead=average.ahead)
    plain = norm.direction(followed.mantissa)
    doubtful = np.flatnonzero(as_numpy(_doubtful(norm, followed, sizes, draw.problem)))
    if not len(doubtful):
        return plain, changed
    found = coefficients(draw, fields, told, betas, ahead=average.ahead)
    matrices, logs = carried(fields, betas, draw.step, ahead=average.ahead)
    exact = np.array(as_numpy(plain))
    for run in doubtful:
        numbers = Numbers(as_numpy(found.mantissas[run]), as_numpy(found.log_scales[run]))
        exact[run] = direction_of_terms(norm, draw.problem, numbers, matrices[run], float(logs[run]))
    return namespace(plain).asarray(exact, device=device(plain)), changed


def _doubtful(norm: Norm, followed: Scaled, sizes: Scaled, problem: Classification) -> Array:
    """Return in which runs a direction may hang on what a formed matrix has lost, shape [runs]."""
    xp = namespace(followed.mantissa)
    known = ~xp.isinf(followed.log_scale)
    scale = xp.where(known, followed.log_scale, 0.0)
    unit = problem.largest_length * sizes.mantissa * xp.exp(sizes.log_scale - scale)[:, None, None]
    if ENTRY_DIRECTION.of(norm) is not None:
        signs = SIGNS_ALONE.of(norm) is True
        bound = (
            CERTAIN_SIGN * unit[..., :1] + ROUNDING_OF_SIGN * unit[..., 1:]
            if signs
            else CERTAIN_ENTRY * unit[..., :1] + ROUNDING_OF_ENTRY * unit[..., 1:]
        )
        small = xp.any(xp.any(xp.abs(followed.mantissa) <= bound, axis=-1), axis=-1)
        return small | xp.any(unit[..., 0] <= LEAST, axis=-1) | ~known
    multiple = MULTIPLE.of(norm)
    if not is_true(UNITARILY_INVARIANT, norm if multiple is None else multiple[0]):
        return xp.ones_like(known)
    k, d = followed.mantissa.shape[-2:]
    values, _ = singular_values(followed.mantissa)
    smallest = values[..., min(k - 1, d, problem.samples) - 1]
    rounding = ROUNDING_OF_ENTRY * xp.max(unit[..., 1], axis=-1)
    return ~(smallest > CERTAIN_RATIO * values[..., 0]) | ~(smallest > rounding) | ~known


def direction_of_terms(
    norm: Norm, problem: Classification, numbers: Numbers, matrix: np.ndarray, log_factor: float
) -> np.ndarray:
    """Return D(S) [k, d] of S = Σ_ic numbers_ic (e_c - e_{y_i}) x_iᵀ + e^log_factor matrix."""
    of_entries, of_terms = ENTRY_DIRECTION.of(norm), GRADED_DIRECTION.of(norm)
    terms = _graded_sum(problem, numbers, matrix, log_factor)
    if of_entries is None:
        assert of_terms is not None
        return of_terms(terms)
    return of_entries(*_entries(terms))


def _graded_sum(
    problem: Classification, numbers: Numbers, matrix: np.ndarray, log_factor: float
) -> GradedSum:
    """Return the terms that are not zero, up to a common factor."""
    features, labels = as_numpy(problem.features), np.asarray(problem.labels)
    k = matrix.shape[0]
    samples, classes = np.nonzero(numbers.mantissas)
    mantissas = numbers.mantissas[samples, classes]
    scales = numbers.log_scales[samples, classes]
    unit = np.eye(k)
    lefts = np.sign(mantissas)[:, None] * (unit[classes] - unit[labels[samples]])
    if np.isfinite(log_factor):
        # Rows that sum to zero: the largest is minus the others, so that rounding adds no rank.
        largest = int(np.argmax(np.abs(matrix).max(axis=1)))
        others = np.asarray([c for c in range(k) if c != largest and matrix[c].any()], dtype=np.int64)
        lefts = np.concatenate([lefts, unit[others] - unit[largest]])
        samples = np.concatenate([samples, len(features) + np.arange(len(others))])
        scales = np.concatenate([scales, np.full(len(others), log_factor)])
        mantissas = np.concatenate([mantissas, np.ones(len(others))])
        features = np.concatenate([features, matrix[others]])
    top = scales.max(initial=-np.inf)
    logs = (scales - (top if np.isfinite(top) else 0.0)) + np.log(np.abs(mantissas))
    return GradedSum(logs, lefts, samples, features)


def _entries(terms: GradedSum) -> tuple[np.ndarray, np.ndarray]:
    """Return signs and logarithms of the entries, from ordinary sums where these are certain."""
    k = terms.lefts.shape[1]
    used = terms.lefts != 0
    logs = np.where(used, terms.logs[:, None], -np.inf)
    base = logs.max(axis=0, initial=-np.inf)
    base = np.where(np.isinf(base), 0.0, base)
    weights = np.exp(logs - base)
    right = terms.features[terms.which]
    total = (terms.lefts * weights).T @ right
    moduli = np.where(used, np.maximum(weights, 1e-290), 0.0)
    sizes = moduli.T @ np.abs(right)
    if np.any((np.abs(total) <= CERTAIN_ENTRY * sizes) & (sizes > 0)):
        return graded_entries(terms)
    zero = total == 0
    logarithms = np.log(np.where(zero, 1.0, np.abs(total))) + base[:, None]
    assert logarithms.shape[0] == k
    return np.sign(total), np.where(zero, -np.inf, logarithms)
