"""Features some of whose entries dwarf the others, such as codes of 1e16 for what is missing.

Where such entries are in samples of one class alone, any weight of the right sign lets them have their way:
it is as if they were a little less large. Where they contradict each other, as samples of other classes have
them too, margins leave the feature a tiny weight alone, which costs nothing of a norm: the feature is as good
as free, and its other entries as good as 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.program import split_pairs

__all__ = ["View", "far_entries", "views"]

_FAR = 18
"""Powers of two above the middle entry from which an entry is far."""
_NEAR = 2.0**17
"""Times the middle entry that a far entry of a feature of regular weights is brought to."""
_MOST = 5
"""Features with far entries of which some are given tiny weights and others regular ones, in every way."""


@dataclass(frozen=True)
class View:
    """Features in which far entries of regular weights are nearer, and those that have tiny weights."""

    features: np.ndarray
    """Shape [n, d]."""
    tiny: tuple[int, ...]
    """Features whose weights are tiny."""


def far_entries(X: np.ndarray) -> np.ndarray:
    """Return which entries dwarf the others of their feature, for X [n, d], shape [n, d].

    >>> far_entries(np.array([[1e16, 1e3], [2.0, 2.0], [3.0, 3.0]])).tolist()
    [[True, False], [False, False], [False, False]]
    """
    sizes, given = np.frexp(X)[1], X != 0
    least, most = sizes.min(where=given, initial=0), sizes.max(where=given, initial=0)
    # The middle of a feature is neither below its least nor above its largest.
    return _far(X)[0] if int(most) - int(least) > _FAR else np.zeros(X.shape, dtype=bool)


def views(X: np.ndarray, y: np.ndarray, classes: int, deadline: Deadline) -> Iterator[View]:
    """Yield what may be solved for features X [n, d] with labels y [n], the likeliest first.

    >>> X = np.array([[1e16], [2.0], [1e16], [3.0], [4.0]])
    >>> [view.tiny for view in views(X, np.array([0, 0, 1, 1, 1]), 2, Deadline())]
    [(0,), ()]
    """
    far, middle = _far(X)
    columns = np.flatnonzero(far.any(axis=0)).tolist()
    likely = _contradicting(X, y, far, middle, classes, deadline)
    seen = set()
    for flips in range(min(len(columns), _MOST) + 1):
        for changed in combinations(columns, flips):
            tiny = likely.symmetric_difference(changed)
            if tiny not in seen:
                seen.add(tiny)
                yield _view(X, y, far, middle, tiny, classes)


def _contradicting(
    X: np.ndarray, y: np.ndarray, far: np.ndarray, middle: np.ndarray, classes: int, deadline: Deadline
) -> frozenset[int]:
    """Return the features whose far entries no weights serve in all samples, beside those of the others."""
    tiny: set[int] = set()
    while True:
        nearer, _ = _nearer(X, far, middle, tiny)
        rows = np.flatnonzero(nearer.any(axis=1))
        split = None if not len(rows) else split_pairs(nearer[rows] / _NEAR, y[rows], classes, deadline)
        if split is None or not len(split.inseparable):
            return frozenset(tiny)
        tiny |= set(np.flatnonzero(nearer[rows[split.inseparable[:, 0]]].any(axis=0)).tolist())


def _nearer(
    X: np.ndarray, far: np.ndarray, middle: np.ndarray, tiny: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the far entries of features of regular weights, times a factor for each sample, and which.

    The factor brings the farthest near; entries that it makes less than its feature's others are left out.
    """
    regular = far.copy()
    regular[:, list(tiny)] = False
    ratios = np.where(regular, np.abs(X / middle), 0.0)
    largest = ratios.max(axis=1, keepdims=True, initial=0.0)
    scaled = np.where(regular, X / np.where(largest > 0.0, largest / _NEAR, 1.0), 0.0)
    return np.where(ratios * 2.0**_FAR >= largest, scaled, 0.0), regular


def _view(
    X: np.ndarray, y: np.ndarray, far: np.ndarray, middle: np.ndarray, tiny: frozenset[int], classes: int
) -> View:
    nearer, regular = _nearer(X, far, middle, tiny)
    features = np.where(regular, nearer, X)
    undecided = ~nearer.any(axis=1)
    for j in tiny:
        # Entries far above those that contradict each other want no more than a sign of the weight.
        level = _contradicted(X[:, j], y, far[:, j] & undecided, classes)
        level = level if level > 0.0 else float(np.abs(X[:, j]).max())
        beyond = far[:, j] & (np.abs(X[:, j]) > 2.0 * _NEAR * level)
        features[beyond, j] = np.sign(X[beyond, j]) * _NEAR * level
    return View(features, tuple(sorted(tiny)))


def _far(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which entries are far, shape [n, d], and a power of two for the middle of each feature, [d]."""
    sizes = np.frexp(X)[1].astype(float)
    given = X != 0
    middle = np.ma.median(np.ma.array(sizes, mask=~given), axis=0).filled(0)
    with np.errstate(over="ignore", under="ignore"):
        return given & (sizes > middle + _FAR), np.exp2(middle)


def _contradicted(x: np.ndarray, y: np.ndarray, far: np.ndarray, classes: int) -> float:
    """Return the largest size at which far entries of x [n] contradict each other; 0 where none do.

    They do where for some classes a and b neither sign of the difference of their weights serves all.
    """
    order = np.argsort(-np.abs(x[far]), kind="stable")
    rows = np.flatnonzero(far)[order]
    signs = np.zeros((classes, classes), dtype=int)
    for i in rows.tolist():
        wanted = 1 if x[i] > 0 else -1
        others = np.arange(classes) != y[i]
        if (signs[y[i]][others] == -wanted).any():
            return float(abs(x[i]))
        signs[y[i], others] = wanted
        signs[others, y[i]] = -wanted
    return 0.0
