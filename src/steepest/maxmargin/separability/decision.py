"""Whether any weights separate the data: asked for by itself, or by solvers that found none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from steepest.arguments import real_number, switch
from steepest.arrays import as_numpy
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.separability.case import Case
from steepest.maxmargin.separability.repeated import nearly_repeated_sample, neighbours, repeated_sample
from steepest.maxmargin.separability.result import Separability
from steepest.problem import Classification, as_problem
from steepest.threads import linear_algebra_threads

__all__ = ["against", "decide", "repeated", "separability"]

_TIME = "give a positive number of seconds, or None for no limit"
_SUPPORTS = (4, 12, 40, 120, 400)
"""Numbers of largest dual weights that are tried alone."""


def separability(
    problem: Classification, *, intercept: bool = False, time_limit: float | None = None
) -> Separability:
    """Say whether any weights separate the data, with evidence that can be checked; no norm has a say in it.

    Weights W separate if every margin (e_{y_i} - e_c)ᵀ W x_i, c ≠ y_i, is positive. Otherwise there are dual
    weights q ≥ 0, q ≠ 0, with A(q) = Σ q_ic (e_{y_i} - e_c) x_iᵀ = 0 (Gordan's theorem), and the data is
    weakly separable, or quasi-completely separated, if some weights have no negative margin and a positive
    one.

    Args:
        problem: the data, n samples of d features in k classes.
        intercept: whether logits have an intercept, W x + b: a feature that is 1 in all samples is added,
            the last one of the result's weights, coefficients and problem.
        time_limit: seconds after which what was found is returned; None is no limit.

    Returns:
        The verdict with weights, dual weights, the pairs that overlap, and the coefficients of a logistic
        regression that run off to infinity. What cannot be shown is undecided.

    Raises:
        InvalidArgument: no problem, an intercept that is neither True nor False, or a time limit that is no
            positive number.

    >>> problem = Classification([[1.0, 1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 3.0]], ["no", "no", "yes", "yes"])
    >>> found = separability(problem)
    >>> found.kind.name, found.exact, found.overlapped.tolist()
    ('WEAKLY_SEPARABLE', True, [[1, 1], [2, 0]])
    >>> found.coefficients.tolist()
    [[0.0, 0.0], [-inf, inf]]
    >>> problem = Classification([[1.0], [2.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> separability(problem, intercept=True).infinite(["x"])
    ('class 1 against 0: x to +inf, (intercept) to -inf',)
    """
    problem = as_problem(problem)
    if switch("intercept", intercept):
        problem = with_ones(problem)
    time_limit = None if time_limit is None else real_number("time_limit", time_limit, _TIME, above=0)
    with linear_algebra_threads(None, problem.multiplications):
        found = decide(problem, Deadline.after(time_limit))
        return replace(found, intercept=bool(intercept))


def with_ones(problem: Classification) -> Classification:
    """Return the problem with one more feature, which is 1 in all samples."""
    X = np.column_stack([as_numpy(problem.features), np.ones(problem.samples)])
    return Classification(X, problem.classes[problem.labels], problem.name, classes=problem.classes)


def decide(problem: Classification, deadline: Deadline) -> Separability:
    """Decide as :func:`separability` does, with arguments that were checked."""
    return _frozen(Case(problem, deadline).decided())


def repeated(problem: Classification, deadline: Deadline) -> Separability | None:
    """Decide where one sample or two show that the data is not separable, after one product; else None.

    Also where two samples differ by rounding alone, which solvers of some norms may make something of.
    """
    X, y = as_numpy(problem.features), problem.labels
    candidates = neighbours(X, y)
    null = repeated_sample(X, y, problem.n_classes, candidates)
    if null is not None:
        return _frozen(Case(problem, deadline, null=null).told_apart())
    if nearly_repeated_sample(X, candidates):
        case = Case(problem, deadline)
        return _frozen(case.decided()) if case.small else None
    return None


def against(
    problem: Classification, guess: np.ndarray, deadline: Deadline, *, thorough: bool
) -> Separability | None:
    """Look for dual weights q with A(q) = 0 after a solver found no weights of positive margin.

    Args:
        problem: the data.
        guess: dual weights of a small A(q), shape [n, k].
        deadline: when to stop.
        thorough: whether to decide as :func:`separability` does, where the largest dual weights of the guess
            do not show it by themselves; else only what takes a fraction of a second is tried.
    """
    case = Case(problem, deadline)
    for pairs in _supports(guess):
        case.null = case.among(pairs)
        if case.null is not None and (case.null.exact is not None or not case.small):
            return _frozen(case.told_apart())
    case.null = None
    return _frozen(case.decided()) if thorough else None


def _supports(guess: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the pairs of largest dual weight, few of them first: perhaps they contradict each other."""
    pairs = np.argwhere(guess > 0)
    order = np.argsort(-guess[tuple(pairs.T)], kind="stable")
    for count in _SUPPORTS:
        yield pairs[order[:count]]
        if count >= len(pairs):
            return


def _frozen(found: Separability) -> Separability:
    for array in (found.weights, found.dual, found.overlapped, found.coefficients):
        if array is not None:
            array.setflags(write=False)
    return found
