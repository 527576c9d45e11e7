"""Relaxed max margins of features that are sparse or stay where they are: by bands, certified by scans.

The samples whose margins are near the level are a band in memory, where all is solved. Those far above it
have no dual weight, those far below it are at their caps on one class each, which makes a fixed part of A(q).
Where all samples fit, the band is all of them; otherwise a scan with the weights found says which belong to
it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from steepest.geometry import Norm
from steepest.geometry.facts import MULTIPLE
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.relaxed.balance import feasible_dual
from steepest.maxmargin.relaxed.band import Band
from steepest.maxmargin.relaxed.no_margin import vanishing_dual
from steepest.maxmargin.relaxed.point import Point, point_near
from steepest.maxmargin.relaxed.samples import Lowest, Samples, samples_of
from steepest.maxmargin.relaxed.scanned_bounds import dual_above_by_scan, level_below_by_scan
from steepest.maxmargin.relaxed.split import solve_band
from steepest.maxmargin.relaxed.terms import Terms
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.problem import Classification

__all__ = ["solve_relaxed_by_scans"]

_NUMBERS, _PAIRS = 1 << 25, 1 << 22
"""Numbers of the features of a band, 256 MB, and its dual weights, several times 32 MB."""
_ROUNDING = 0.8
"""Share of the gap that a band is solved to, so that what the certificate adds has room."""
_FIRST, _FASTER = 3e-2, 0.2
"""Gap of the first band, of some samples, and by what it falls from scan to scan at least."""
_FIRST_ROWS, _FOR_AN_UNKNOWN = 40_000, 20
"""Samples of the first band, at least, and for each unknown: enough for its gap, and soon solved."""
_MOST_SCANS = 40
_NEARLY_NONE = 1e-3
"""Upper bounds below this share of the size of the features are looked at: the margin may be none."""


@dataclass(frozen=True)
class _Dual:
    """Dual weights of all samples."""

    band: np.ndarray
    """The samples of the band, ascending, shape [m]."""
    values: np.ndarray
    """Their dual weights, shape [m, k]."""
    settled: np.ndarray
    """The samples outside that are at their caps, shape [s]."""
    classes: np.ndarray
    """The class of each that has all of it, shape [s]."""

    def all(self, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """The samples that may have dual weight, ascending, and their dual weights [., k]."""
        chosen = np.concatenate([self.band, self.settled])
        q = np.zeros((len(chosen), samples.classes))
        q[: len(self.band)] = self.values
        q[np.arange(len(self.band), len(chosen)), self.classes] = samples.caps[self.settled]
        order = np.argsort(chosen, kind="stable")
        return chosen[order], q[order]


@dataclass
class _Certified:
    """The best certified weights, with their intercept, and dual weights so far."""

    samples: Samples
    norm: Norm
    gap: float
    best: Best
    chosen: np.ndarray
    deadline: Deadline
    steps: int = 0
    none: bool = False
    """Whether it is certain that no soft margin is positive."""

    def take_weights(self, V: np.ndarray, b: np.ndarray | None) -> None:
        """Certify weights."""
        size = float(self.norm(V[:, self.samples.penalised]))
        if not (np.isfinite(V).all() and 0.0 < size < np.inf):
            return
        V, b = V / size, None if b is None else b / size
        self.best.take_weights((V, b), level_below_by_scan(self.samples, V, b, self.norm, self.gap))

    def take_dual(self, dual: _Dual) -> None:
        """Certify dual weights near those given, if there are any that meet all conditions."""
        samples = self.samples
        chosen, q = dual.all(samples)
        if not q.any():
            return
        terms, y = samples.terms, samples.labels[chosen]
        caps = None if terms.caps is None else samples.caps[chosen]
        part = replace(terms, kept=chosen, caps=caps, shares=None)
        found = feasible_dual(q, y, _free_features(samples, chosen), part, self.deadline)
        if found is None:
            return
        q, correction = found
        # In doubled precision the sum takes several times as long.
        enough = np.inf if self.deadline.passed else self.gap
        if self.best.take_dual(q, dual_above_by_scan(samples, chosen, q, self.norm, correction, enough)):
            self.chosen = chosen

    def ends(self) -> bool:
        """Whether dual weights near the best ones show that no soft margin is positive."""
        if self.samples.terms.caps is None or self.best.lower > 0.0 or self.best.dual is None:
            return False
        if not len(self.chosen) or self.best.upper > _NEARLY_NONE * self.samples.scale:
            return False
        found = vanishing_dual(self.samples, self.chosen, self.best.dual, self.deadline)
        if found is not None:
            self.best.dual, self.best.upper, self.none = found, 0.0, True
        return self.none


def solve_relaxed_by_scans(
    problem: Classification,
    norm: Norm,
    terms: Terms,
    gap: float,
    deadline: Deadline,
    start: MaxMarginSolution | None = None,
) -> MaxMarginSolution:
    """Return the relaxed max margin with both bounds; features never become an array as a whole."""
    started = time.perf_counter()
    multiple = MULTIPLE.of(norm)
    samples = samples_of(problem, terms)
    none = np.zeros(0, dtype=np.int64)
    zero = np.zeros((problem.n_classes, problem.dimension)), _no_intercept(samples)
    certified = _Certified(
        samples, norm, gap, Best(zero, np.zeros((0, problem.n_classes)), 0.0), none, deadline
    )
    measured = norm if multiple is None else multiple[0]
    for dual, point, V, b in _proposed(samples, measured, gap, deadline, start):
        certified.steps += point.steps
        certified.take_weights(V, b)
        certified.take_dual(dual)
        deadline.certified(certified.best.lower, certified.best.upper)
        if certified.best.within(gap) or certified.ends():
            break
    if not certified.best.upper < np.inf and len(terms.kept) * samples.classes <= _PAIRS:
        certified.take_dual(_equal_flows(samples))
    return _solution(problem, certified, time.perf_counter() - started, stopped=deadline.stopped)


def _equal_flows(samples: Samples) -> _Dual:
    """As much from any class to any other: a bound where nothing better was met."""
    kept, k, none = samples.terms.kept, samples.classes, np.zeros(0, dtype=np.int64)
    y = samples.labels[kept]
    weights = samples.caps[kept] if samples.terms.caps is not None else np.ones(len(kept))
    sizes = np.bincount(y, weights, minlength=k)
    q = np.where(sizes > 0, (weights / sizes[y])[:, None], 0.0)
    q[np.arange(len(y)), y] = 0.0
    return _Dual(kept, q, none, none)


_Proposed = tuple[_Dual, Point, np.ndarray, np.ndarray | None]


def _proposed(
    samples: Samples, norm: Norm, gap: float, deadline: Deadline, start: MaxMarginSolution | None
) -> Iterator[_Proposed]:
    """Yield dual weights and weights, better and better, until the deadline or the end of what can be had."""
    kept, k = samples.terms.kept, samples.classes
    none = np.zeros(0, dtype=np.int64)
    most = _rows_of_a_band(samples)
    if len(kept) <= most:
        band = samples.band(kept, samples.caps[kept])
        for point in solve_band(band, norm, _ROUNDING * gap, deadline, _near(samples, band, kept, start)):
            yield _Dual(kept, point.dual, none, none), point, *samples.weights(point.weights)
        return
    first = _spread(samples, min(most, max(_FIRST_ROWS, _FOR_AN_UNKNOWN * k * samples.rows.shape[1])))
    caps = samples.caps[first]
    # They stand for all samples: a share of all caps as large.
    sums = samples.caps[kept].sum() / caps.sum() if samples.terms.caps is not None else 1.0
    band = samples.band(first, caps * sums)
    point = next(solve_band(band, norm, _FIRST, deadline, _near(samples, band, first, start)))
    dual = _Dual(first, np.zeros((len(first), k)), none, none)
    target = _FIRST
    for _ in range(_MOST_SCANS):
        V, b = samples.weights(point.weights)
        lowest = samples.lowest(V, b)
        band, dual, point = _next_band(samples, dual, lowest, point, most)
        target = max(_ROUNDING * gap, target * _FASTER)
        point = next(solve_band(band, norm, target, deadline, point))
        dual = replace(dual, values=point.dual)
        yield dual, point, *samples.weights(point.weights)
        if deadline.passed or target <= 1e-14:
            return
        if target <= _ROUNDING * gap:
            gap = 0.3 * gap


def _near(samples: Samples, band: Band, chosen: np.ndarray, start: MaxMarginSolution | None) -> Point | None:
    """Where an ascent among chosen samples starts from, if a solution knows something of them."""
    if start is None or not start.weights.any() or not start.dual[chosen].any():
        return None
    return point_near(band, samples.in_band(start.weights, start.intercept), start.dual[chosen])


def _next_band(
    samples: Samples, dual: _Dual, lowest: Lowest, point: Point, most: int
) -> tuple[Band, _Dual, Point]:
    """The samples nearest to the level, what is fixed beside them, and where to go on from."""
    kept, caps = samples.terms.kept, samples.terms.caps
    margins, k = lowest.margins[kept], samples.classes
    if caps is None:
        level = float(margins.min())
        below = np.zeros(len(kept), dtype=bool)
        near = margins - level
    else:
        shares = shares_of_worst(margins, caps)
        level = float(margins[shares > 0].max())
        below = margins < level
        # A sample below the level stays at its cap on one class while no other comes near.
        near = np.where(below, np.minimum(level - margins, lowest.apart[kept]), margins - level)
    inside = np.zeros(len(kept), dtype=bool)
    inside[np.argpartition(near, most - 1)[:most]] = True
    chosen, outside = kept[inside], kept[below & ~inside]
    classes = lowest.classes[outside]
    mass = float(samples.caps[outside].sum())
    fixed = samples.fixed(outside, classes) if len(outside) else None
    band = samples.band(chosen, samples.caps[chosen], fixed, mass)
    # Dual weights go on from where they were; samples that are new in the band begin at a corner.
    q = np.zeros((len(chosen), k))
    at_cap = below[inside]
    q[at_cap, lowest.classes[chosen[at_cap]]] = samples.caps[chosen[at_cap]] if caps is not None else 0.0
    _, places, old = np.intersect1d(chosen, dual.band, assume_unique=True, return_indices=True)
    known = old[dual.values[old].any(axis=1)] if len(old) else old
    q[places[np.isin(old, known)]] = dual.values[known]
    if not q.any():
        q = band.first_dual()
    return (
        band,
        _Dual(chosen, q, outside, classes),
        Point(point.weights, q, level / samples.scale, point.reached),
    )


def _rows_of_a_band(samples: Samples) -> int:
    """How many samples may be in memory at a time."""
    d, k = samples.rows.shape[1], samples.classes
    width = 1 + samples.stored if samples.sparse else d
    return max(1000, min(_NUMBERS // width, _PAIRS // k))


def _spread(samples: Samples, most: int) -> np.ndarray:
    """Samples of every class in proportion, spread over the data: at most about so many."""
    kept = samples.terms.kept
    order = kept[np.argsort(samples.labels[kept], kind="stable")]
    places = np.unique(np.linspace(0, len(order) - 1, most).astype(np.int64))
    firsts = np.searchsorted(samples.labels[order], np.arange(samples.classes))
    few = np.concatenate([places, firsts[firsts < len(order)]])
    return np.unique(order[few])


def _free_features(samples: Samples, chosen: np.ndarray) -> np.ndarray:
    """Free features of chosen samples as they are, the intercept's ones first, shape [m, f]."""
    columns = list(samples.terms.columns)
    free = np.zeros((len(chosen), 0))
    if columns:
        block = samples.rows.take(chosen)
        free = block[:, columns].toarray() if samples.sparse else block[:, columns]
    return np.concatenate([np.ones((len(chosen), int(samples.terms.intercept))), free], axis=1)


def _no_intercept(samples: Samples) -> np.ndarray | None:
    return np.zeros(samples.classes) if samples.terms.intercept else None


def _solution(
    problem: Classification, certified: _Certified, seconds: float, *, stopped: bool
) -> MaxMarginSolution:
    best, terms = certified.best, certified.samples.terms
    W, intercept = best.weights
    dual = np.zeros((problem.samples, problem.n_classes))
    dual[certified.chosen] = best.dual
    status = Status.STOPPED if stopped else Status.GAP_NOT_REACHED
    status = Status.SOLVED if best.within(certified.gap) else status
    for array in (W, dual, *(() if intercept is None else (intercept,))):
        array.setflags(write=False)
    return MaxMarginSolution(
        norm=certified.norm,
        weights=W,
        margin=best.lower,
        upper_bound=best.upper,
        relative_gap=best.relative_gap if best.upper < np.inf else 1.0,
        dual=dual,
        separable=True if terms.caps is None and best.lower > 0.0 else None,
        seconds=seconds,
        iterations=certified.steps,
        method="scans, ascent in capped dual weights",
        status=Status.NO_SOFT_MARGIN if certified.none else status,
        problem=problem,
        intercept=intercept,
        nu=terms.nu,
        free=terms.columns,
    )
