"""What a max margin is relaxed by: caps on the dual weights of samples, and weights that are free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np

from steepest.arguments import real_number, switch
from steepest.arrays import as_floating, as_numpy
from steepest.errors import InvalidArgument
from steepest.problem import Classification

__all__ = ["Terms", "terms_of"]

_NU = "give a share of the samples above 0 and at most 1, such as 0.05, or None for the hard margin"
_ONE = 2.0**-50
"""Caps of 1 to rounding, of ν = 1/n, are none."""
_LARGEST_DENOMINATOR = 1_000_000
"""Of shares of samples that are meant exactly."""
_MOST_SHARE = Fraction(1, 2)
"""Dual weight that can leave one class: as much has to come back to it from the others."""


@dataclass(frozen=True)
class Shares:
    """What samples have a share of, without rounding."""

    weights: np.ndarray
    """Of the samples, shape [m]."""
    labels: np.ndarray
    """Their classes, shape [m]."""
    factors: tuple[Fraction, ...]
    """Of the weights in each class."""
    nu: Fraction

    @cached_property
    def of_classes(self) -> tuple[Fraction, ...]:
        """The share of all weight that each class has."""
        sums = [Fraction(0)] * len(self.factors)
        for c, factor in enumerate(self.factors):
            for weight, count in zip(
                *np.unique(self.weights[self.labels == c], return_counts=True), strict=True
            ):
                sums[c] += factor * Fraction(float(weight)) * int(count)
        total = sum(sums, Fraction(0))
        return tuple(each / total for each in sums)

    @cached_property
    def caps(self) -> tuple[Fraction, ...]:
        """The most that the dual weights of each sample may sum to, exactly."""
        total = self.nu * sum(
            factor * Fraction(float(weight)) * int(count)
            for c, factor in enumerate(self.factors)
            for weight, count in zip(
                *np.unique(self.weights[self.labels == c], return_counts=True), strict=True
            )
        )
        known: dict[tuple[float, int], Fraction] = {}
        found = []
        for weight, c in zip(self.weights.tolist(), self.labels.tolist(), strict=True):
            if (weight, c) not in known:
                known[weight, c] = self.factors[c] * Fraction(weight) / total
            found.append(known[weight, c])
        return tuple(found)


@dataclass(frozen=True)
class Terms:
    """The terms of one relaxed max margin, on the samples that have weight."""

    kept: np.ndarray
    """Samples of positive weight, shape [m], ascending."""
    caps: np.ndarray | None
    """Most that the dual weights of a kept sample may sum to, where all sum to 1: s_i / (ν Σs), shape [m].
    None where one may have all, as in a hard margin."""
    nu: float | None
    intercept: bool
    columns: tuple[int, ...]
    """Features whose weights are free, ascending."""
    shares: Shares | None = None
    """What the caps were rounded from; None: not known."""

    @property
    def any(self) -> bool:
        """Whether there is anything beyond the hard margin of all samples with all weights in the ball."""
        return self.caps is not None or self.intercept or bool(self.columns)

    def penalised(self, dimension: int) -> np.ndarray:
        """Features whose weights are in the ball, ascending."""
        return np.setdiff1d(np.arange(dimension), self.columns)

    def free_features(self, X: np.ndarray) -> np.ndarray:
        """Features of free weights of the kept samples, the intercept's ones first, shape [m, f]."""
        ones = np.ones((len(self.kept), int(self.intercept)))
        return np.concatenate([ones, X[self.kept][:, list(self.columns)]], axis=1)


def terms_of(
    problem: Classification,
    intercept: object,
    free: object,
    nu: object,
    sample_weight: Any,
    class_weight: Any,
) -> Terms:
    """Return the terms that the arguments of ``max_margin`` describe.

    Raises:
        InvalidArgument: no such feature or class, weights that are negative or all zero, or a ν out of range.
    """
    intercept = switch("intercept", intercept)
    columns = _columns(free, problem.dimension)
    weights = _weights(problem, sample_weight)
    factors = _of_classes(problem, class_weight, weights)
    # In units of the largest, since sums of weights near the end of the range of floats leave it.
    largest = max(factors) or Fraction(1)
    scaled = weights / weights.max() * np.array([float(each / largest) for each in factors])[problem.labels]
    kept = np.flatnonzero(scaled > 0)
    wanted = min(2, len(np.unique(problem.labels)))
    if len(np.unique(problem.labels[kept])) < wanted:
        by_samples = len(np.unique(problem.labels[weights > 0])) < wanted
        at_fault = ("sample_weight", sample_weight) if by_samples else ("class_weight", class_weight)
        raise InvalidArgument(*at_fault, "give positive weights to samples of at least two classes")
    if intercept and len(np.unique(problem.labels[kept])) < 2:
        remedy = (
            "all samples are of one class, which an intercept tells from others by any margin: leave it out"
        )
        raise InvalidArgument("intercept", intercept, remedy)
    if nu is None:
        return Terms(kept, None, None, intercept, columns)
    share = real_number("nu", nu, _NU, above=0, at_most=1)
    caps = scaled[kept] / (share * float(scaled[kept].sum()))
    if caps.min() >= 1.0 - _ONE:
        return Terms(kept, None, share, intercept, columns)
    shares = Shares(weights[kept], problem.labels[kept], factors, _simplest(share))
    if intercept:
        _require_balance(shares, share)
    return Terms(kept, caps, share, intercept, columns, shares)


def _simplest(share: float) -> Fraction:
    """The number that a float was meant to be: 9/10 for 0.9, which rounds to a little more."""
    found = Fraction(share).limit_denominator(_LARGEST_DENOMINATOR)
    return found if float(found) == share else Fraction(share)


def _require_balance(shares: Shares, nu: float) -> None:
    """Refuse a ν for which no dual weights leave every class as much as they come to it."""
    # What leaves a class is at most what its samples may have, and half of all.
    if sum(min(each / shares.nu, _MOST_SHARE) for each in shares.of_classes) < 1:
        most = float(min(Fraction(1), 2 * (1 - max(shares.of_classes))))
        remedy = (
            f"with a free intercept these classes allow at most {most:.6g}, twice the weight of all but "
            "the largest; beyond it the intercept makes the margin by itself, as large as one likes"
        )
        raise InvalidArgument("nu", nu, remedy)


def _columns(free: Any, dimension: int) -> tuple[int, ...]:
    remedy = f"give features by their numbers, from 0 to {dimension - 1}, in a list"
    if isinstance(free, (str, bytes, Mapping, type)) or not isinstance(free, Iterable):
        raise InvalidArgument("free", free, remedy)
    columns = set()
    for column in free:
        if isinstance(column, bool) or not isinstance(column, Integral) or not 0 <= int(column) < dimension:
            raise InvalidArgument("free", column, remedy)
        columns.add(int(column))
    if len(columns) == dimension:
        raise InvalidArgument("free", free, "leave at least one feature whose weights the norm measures")
    return tuple(sorted(columns))


def _weights(problem: Classification, sample_weight: Any) -> np.ndarray:
    remedy = f"give {problem.samples} finite weights, none negative and not all zero"
    if sample_weight is None:
        weights = np.ones(problem.samples)
    else:
        weights = np.array(as_numpy(as_floating(sample_weight, "sample_weight")), dtype=float)
    if weights.shape != (problem.samples,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise InvalidArgument("sample_weight", sample_weight, remedy)
    if not weights.any():
        raise InvalidArgument("sample_weight", sample_weight, remedy)
    return weights


def _of_classes(problem: Classification, class_weight: Any, weights: np.ndarray) -> tuple[Fraction, ...]:
    k = problem.n_classes
    if class_weight is None:
        return (Fraction(1),) * k
    if isinstance(class_weight, str) and class_weight == "balanced":
        plain = Shares(weights, problem.labels, (Fraction(1),) * k, Fraction(1))
        return tuple(1 / (k * each) if each else Fraction(0) for each in plain.of_classes)
    remedy = 'give a table of labels with their weights, or "balanced"'
    if not isinstance(class_weight, Mapping):
        raise InvalidArgument("class_weight", class_weight, remedy)
    places = {label: place for place, label in enumerate(problem.classes.tolist())}
    found = [Fraction(1)] * k
    for label, weight in class_weight.items():
        plain = label.item() if isinstance(label, np.generic) else label
        if not isinstance(plain, (str, int, float, bool)) or plain not in places:
            raise InvalidArgument("class_weight", label, f"there is no such class; {remedy}")
        found[places[plain]] = Fraction(
            real_number("class_weight", weight, "give a number of at least 0", at_least=0)
        )
    return tuple(found)
