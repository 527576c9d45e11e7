"""Directions that hang on parts of a signal far below its largest: taken from the signal's terms.

Where a formed sum is certain, its direction is. An entry is when it exceeds what rounding can have done to
it; singular values are when the smallest that the rank allows is no small part of the largest. All else is
taken from the terms, run by run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from array_api_compat import device

import steepest.descent.engines.norms  # noqa: F401 (families of norms offer their directions there)
from steepest.arrays import Array, as_numpy, namespace
from steepest.descent.engines.averages import CERTAIN_ENTRY, CERTAIN_RATIO, averaged_directions
from steepest.descent.engines.graded import ENTRY_DIRECTION, GRADED_DIRECTION, GradedSum, graded_entries
from steepest.descent.method import Method
from steepest.descent.truncation import truncated
from steepest.geometry import Norm
from steepest.geometry.facts import CUT_DIRECTION, MULTIPLE, UNITARILY_INVARIANT, is_true
from steepest.geometry.polar import singular_values
from steepest.scaled import Scaled
from steepest.signals import Draw, Fields
from steepest.signals.graded import GRADED_SIGNAL, PARTS_SIZE, Part

__all__ = ["CERTAIN_ENTRY", "CERTAIN_RATIO", "directions", "graded_sum"]

_LEAST = 1e-290


def directions(
    methods: Sequence[Method], draw: Draw, weights: Array, before: Fields, fields: Fields, followed: Scaled
) -> tuple[Array, Array, Fields]:
    """Return D of what steps follow [runs, k, d], in which runs a rank cut-off took effect, and changes.

    ``weights`` are those at which the signal was taken, ``before`` and ``fields`` the states before and after
    it. Averages in states without coefficients, as earlier versions wrote them, and signals that say nothing
    of their terms, are taken as they were formed.
    """
    none = namespace(weights).zeros_like(weights[:, 0, 0], dtype=namespace(weights).int64)
    if "term_mantissas" in before:
        found, changed = averaged_directions(methods, draw, weights, before, fields, followed)
        return found, none, changed
    found, cut_off = _directions(methods, draw, weights, fields, followed, none)
    return found, cut_off, {}


def _directions(
    methods: Sequence[Method], draw: Draw, weights: Array, fields: Fields, followed: Scaled, none: Array
) -> tuple[Array, Array]:
    method = methods[0]
    norm = method.norm
    if method.rank_cutoff is not None:
        cut = CUT_DIRECTION.of(norm)
        if cut is not None:
            cutoff = method.rank_cutoff
            return cut(followed.mantissa, cutoff), truncated(norm, followed.mantissa, cutoff)
    terms_of = GRADED_SIGNAL.of(method.signal)
    of_entries, of_terms = ENTRY_DIRECTION.of(norm), GRADED_DIRECTION.of(norm)
    graded = [index for index, each in enumerate(methods) if _follows_signal(each)]
    if terms_of is None or (of_entries is None and of_terms is None) or not graded:
        return norm.direction(followed.mantissa), truncated(norm, followed.mantissa)
    whole = len(graded) == len(methods)
    if of_entries is not None:
        signs, logs = _entries(terms_of(draw, weights, fields))
        found = of_entries(signs, logs)
        return (found if whole else _replaced(norm.direction(followed.mantissa), graded, found)), none
    assert of_terms is not None
    plain = norm.direction(followed.mantissa)
    least = _least_values(method, draw, weights, fields, followed)
    doubtful = [
        index for index in graded if not _certain(norm, followed.mantissa[index], draw, float(least[index]))
    ]
    cut_off = truncated(norm, followed.mantissa) if not whole else none
    if doubtful:
        parts = terms_of(draw, weights, fields)
        exact = np.array(as_numpy(plain))
        for index in doubtful:
            exact[index] = of_terms(graded_sum(parts, index))
        plain = namespace(plain).asarray(exact, device=device(plain))
    if not whole:
        mask = np.ones(len(methods), dtype=np.int64)
        mask[graded] = 0
        cut_off = cut_off * namespace(none).asarray(mask, device=device(none))
    return plain, cut_off


def _follows_signal(method: Method) -> bool:
    """Whether a step follows the signal itself, not an average with earlier ones."""
    return method.momentum == 0 or str(method.momentum_kind) == "heavy-ball"


def _least_values(method: Method, draw: Draw, weights: Array, fields: Fields, followed: Scaled) -> np.ndarray:
    """Return what singular values of formed signals must exceed for what their parts have rounded, [runs]."""
    log_size = PARTS_SIZE.of(method.signal)
    if log_size is None or draw.batches == 1:
        return np.zeros(len(weights))
    parts, scale = as_numpy(log_size(draw, weights, fields)), as_numpy(followed.log_scale)
    known = np.isfinite(scale)
    sizes = np.exp(np.minimum(np.where(known, parts - np.where(known, scale, 0.0), np.inf), 700.0))
    return CERTAIN_RATIO * sizes


def _certain(norm: Norm, signal: Array, draw: Draw, least: float) -> bool:
    """Whether a formed signal [k, d] has all singular values that its terms can have, and none small."""
    multiple = MULTIPLE.of(norm)
    if not is_true(UNITARILY_INVARIANT, norm if multiple is None else multiple[0]):
        return False
    k, d = signal.shape
    samples = draw.problem.samples if draw.indices is None else draw.indices.shape[-1]
    values, _ = singular_values(signal[None])
    rank = min(k - 1, d, samples)
    return bool(values[0, rank - 1] > max(CERTAIN_RATIO * values[0, 0], least))


def _replaced(plain: Array, graded: Sequence[int], found: Array) -> Array:
    xp = namespace(plain)
    mask = np.zeros(plain.shape[0], dtype=bool)
    mask[list(graded)] = True
    return xp.where(xp.asarray(mask, device=device(plain))[:, None, None], found, plain)


def _shift(parts: Sequence[Part]) -> Array:
    xp = namespace(parts[0].logs.high)
    tops = [xp.max(xp.max(part.logs.high, axis=-1), axis=-1) for part in parts]
    top = tops[0]
    for each in tops[1:]:
        top = xp.maximum(top, each)
    return xp.floor(top)


def _entries(parts: Sequence[Part]) -> tuple[Array, Array]:
    """Return signs and logarithms of moduli of the entries [runs, k, d], up to a factor common to a run."""
    xp = namespace(parts[0].logs.high)
    shift = _shift(parts)[:, None, None]
    logs = [(part.logs.high - shift) + part.logs.low for part in parts]
    tops = [xp.max(each, axis=-2) for each in logs]
    top = tops[0]
    for each in tops[1:]:
        top = xp.maximum(top, each)
    base = xp.where(xp.isinf(top), 0.0, top)[:, None, :]
    total, sizes = 0.0, 0.0
    for part, each in zip(parts, logs, strict=True):
        coefficients = xp.exp(each - base)
        signed = part.sign * xp.where(part.samples.one_hot, -coefficients, coefficients)
        moduli = xp.where(xp.isinf(each), coefficients, xp.maximum(coefficients, _LEAST))
        total = total + xp.matmul(xp.matrix_transpose(signed), part.samples.features)
        sizes = sizes + xp.matmul(xp.matrix_transpose(moduli), xp.abs(part.samples.features))
    moduli = xp.abs(total)
    doubtful = xp.any(xp.any((moduli <= CERTAIN_ENTRY * sizes) & (sizes > 0), axis=-1), axis=-1)
    zero = moduli == 0
    signs = xp.sign(total)
    logarithms = xp.where(zero, -xp.inf, xp.log(xp.where(zero, 1.0, moduli)) + base[:, 0, :, None])
    if not bool(xp.any(doubtful)):
        return signs, logarithms
    signs_there, logs_there = np.array(as_numpy(signs)), np.array(as_numpy(logarithms))
    for index in np.flatnonzero(as_numpy(doubtful)):
        signs_there[index], logs_there[index] = graded_entries(graded_sum(parts, int(index)))
    place = device(signs)
    return xp.asarray(signs_there, device=place), xp.asarray(logs_there, device=place)


def graded_sum(parts: Sequence[Part], run: int) -> GradedSum:
    """Return the terms of one run's signal, up to a common factor."""
    shift = float(_shift(parts)[run])
    logs, lefts, which, features, offset = [], [], [], [], 0
    for part in parts:
        one_hot = _of_run(part.samples.one_hot, run, part)
        coefficients = (as_numpy(part.logs.high)[run] - shift) + as_numpy(part.logs.low)[run]
        b, k = coefficients.shape
        samples, classes = np.nonzero(~one_hot.astype(bool))
        logs.append(coefficients[samples, classes])
        lefts.append(part.sign * (np.eye(k)[classes] - one_hot[samples]))
        which.append(samples + offset)
        features.append(_of_run(part.samples.features, run, part))
        offset += b
    return GradedSum(*(np.concatenate(each) for each in (logs, lefts, which, features)))


def _of_run(array: Array, run: int, part: Part) -> np.ndarray:
    there = as_numpy(array)
    return there[run] if there.ndim == as_numpy(part.logs.low).ndim else there
