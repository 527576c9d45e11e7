"""The public function: check the arguments, choose methods, certify what they propose, keep the best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from steepest.arrays import as_numpy, namespace
from steepest.errors import InvalidArgument
from steepest.geometry import Norm
from steepest.geometry import norm as as_norm
from steepest.maxmargin.first_order.coordinate import coordinate_ascent
from steepest.maxmargin.first_order.halpern import first_order
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.clipping import clipped
from steepest.maxmargin.forms.reduced import Reduced, is_unitarily_invariant, reduce
from steepest.maxmargin.interior.central_path import solve_interior_point
from steepest.maxmargin.peers.clarabel import has_cone, solve_conic_program
from steepest.maxmargin.peers.highs import solve_linear_program
from steepest.maxmargin.polyhedral.predictor_corrector import is_polyhedral, operations, solve_polyhedral
from steepest.maxmargin.record import Record
from steepest.maxmargin.row_generation import solve_by_rows
from steepest.maxmargin.solution import MaxMarginSolution
from steepest.problem import Classification
from steepest.threads import linear_algebra_threads

__all__ = ["METHODS", "max_margin"]

METHODS = ("auto", "first-order", "interior-point", "row-generation", "conic-program", "linear-program")
"""What ``method`` may be."""

_MOST_ITERATIONS = 200_000
_PACE, _PACE_OF_SWEEPS = 160.0, 40.0
_MANY = 40
_LARGEST_SYSTEM = 6000
_LARGEST_PROGRAM = 2_000_000
_MOST_OPERATIONS = 3e11


def max_margin(
    problem: Classification,
    norm: Norm | str,
    gap: float = 1e-8,
    *,
    method: str = "auto",
    time_limit: float | None = None,
    canonical: bool = False,
) -> MaxMarginSolution:
    """Weights of the largest normalised margin, with bounds on both sides of it that always hold.

    Solves γ = max_{‖W‖ ≤ 1} min_{i, c ≠ y_i} (e_{y_i} - e_c)ᵀ W x_i, dual to min_{q ∈ simplex} ‖A(q)‖_*.

    Args:
        problem: the data, n samples of d features in k classes.
        norm: the norm, or its name: "max", "sum", "frobenius", "spectral", "nuclear", "entrywise-3", ...
        gap: relative gap (upper_bound - margin) / upper_bound to reach, in (0, 1).
        method: "auto" chooses by norm and size and goes on with another where one falls short;
            "first-order", "interior-point" and "row-generation" (every norm), "linear-program" (max and
            sum, by HiGHS) and "conic-program" (all but Schatten p other than 1, 2, ∞, by Clarabel) name one.
        time_limit: seconds after which the best bounds so far are returned; None is no limit.
        canonical: whether to return, where the optimum is not unique, the one of least Frobenius norm.
            It can be another one for the norms max, sum, spectral and nuclear alone; ``solution.canonical``
            has the evidence, and says so if it could not be found and the solver's optimum was kept.

    Returns:
        The solution with its certificate. Hard or contradictory data is no error: ``status`` says how
        it ended.

    Raises:
        InvalidArgument: an argument outside what is listed above.

    >>> problem = Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> solution = max_margin(problem, "max")
    >>> round(solution.margin, 7), solution.separable
    (2.0, True)
    """
    norm = as_norm(norm)
    _check(norm, gap, method, time_limit)
    with linear_algebra_threads(None, problem.multiplications):
        solution = _solution(problem, norm, gap, method, Deadline.after(time_limit))
        return solution.of_least_frobenius_norm() if canonical and solution.margin > 0 else solution


def _solution(
    problem: Classification, norm: Norm, gap: float, method: str, deadline: Deadline
) -> MaxMarginSolution:
    started = time.perf_counter()
    record = Record(problem, norm)
    # Without solvers where one sample alone shows that there is no margin.
    for solver in () if record.find_repeated_sample() else _solvers(problem, norm, method):
        proposed = False
        for candidate in solver(problem, norm, gap, deadline):
            record.certify(candidate)
            proposed = True
        if not proposed:
            continue
        if method == "auto" and solver not in _QUICK and record.lower > 0:
            record.polish(gap)
        if deadline.passed or (record.lower > 0 and record.gap <= gap):
            break
        # A few first-order iterations without a positive margin are no sign of a contradiction yet.
        thorough = solver not in _QUICK
        if record.lower <= 0 and record.find_contradiction(deadline, thorough=thorough):
            break
    return record.solution(gap, time.perf_counter() - started)


def _check(norm: Norm, gap: float, method: str, time_limit: float | None) -> None:
    if not (isinstance(gap, (int, float)) and 0.0 < gap < 1.0):
        raise InvalidArgument("gap", gap, "give a relative gap between 0 and 1, such as 1e-8")
    if time_limit is not None and not time_limit > 0:
        raise InvalidArgument(
            "time_limit", time_limit, "give a positive number of seconds, or None for no limit"
        )
    if method not in METHODS:
        raise InvalidArgument("method", method, f"choose one of {', '.join(METHODS)}")
    if method == "linear-program" and not is_polyhedral(norm):
        raise InvalidArgument("method", method, f"use it with the norms max and sum; for {norm} use auto")
    if method == "conic-program" and not has_cone(norm):
        raise InvalidArgument("method", method, f"{norm} has no cone there: use auto or first-order")


Solver = Callable[[Classification, Norm, float, Deadline], Iterator[Candidate]]


def _solvers(problem: Classification, norm: Norm, method: str) -> list[Solver]:
    """Methods to try in turn.

    First-order iterations cost little and converge fast on well-conditioned data in all norms but the
    polyhedral ones, so they go first while they keep their pace; the interior point minds no conditioning.
    """
    named: dict[str, list[Solver]] = {
        "first-order": [_by_first_order],
        "interior-point": [_by_polyhedral if is_polyhedral(norm) else _by_interior_point],
        "row-generation": [_by_rows],
        "conic-program": [_by_conic_program],
        "linear-program": [_by_linear_program],
    }
    if method != "auto":
        return named[method]
    n, d, k = problem.samples, problem.dimension, problem.n_classes
    unknowns = (k - 1) * min(n, d) if is_unitarily_invariant(norm) else k * d
    many, small = n > _MANY * max(d, 100), unknowns <= _LARGEST_SYSTEM
    solvers: list[Solver] = [_by_clipping]
    if not is_polyhedral(norm) and not (many and small):
        # Tensors are iterated on where they are; coordinates are compiled for this machine's memory.
        coordinates = norm.p == 2 and isinstance(problem.features, np.ndarray)
        solvers.append(_by_coordinates if coordinates else _by_quick_first_order)
    if many and small:
        solvers.append(_by_rows)
    if is_polyhedral(norm) and operations(n, d, k) <= _MOST_OPERATIONS:
        solvers.append(_by_polyhedral)
    if small:
        solvers.append(_by_interior_point)
    if is_polyhedral(norm) and 2 * n * (k - 1) * d <= _LARGEST_PROGRAM:
        solvers.append(_by_linear_program)
    return [*solvers, _by_first_order]


def _by_clipping(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    clip = clipped(problem)
    if clip is not None:
        solution = _solution(clip.problem, norm, 0.1 * gap, "auto", deadline)
        if solution.margin > 0:
            weights, method = clip.weights(solution.weights), f"{solution.method}, large features scaled"
            for dual in clip.duals(solution.dual):
                yield Candidate(weights, dual, solution.iterations, method)


def _by_polyhedral(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    reduced = reduce(problem, norm)
    # The last iterations gain digits, and leave few dual weights above what can be left out.
    yield _lifted(reduced, solve_polyhedral(reduced, 0.1 * gap, deadline))


def _by_coordinates(
    problem: Classification, _norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    X = as_numpy(problem.features)
    size = float(np.max(np.abs(X)))
    if size > 0.0:
        W, q, sweeps = coordinate_ascent(
            X / size, problem.labels, problem.n_classes, 0.8 * gap, deadline, _PACE_OF_SWEEPS
        )
        yield Candidate(W, q, sweeps, "coordinate ascent")


def _by_linear_program(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    reduced = reduce(problem, norm)
    yield _lifted(reduced, solve_linear_program(reduced, gap, deadline))


def _by_conic_program(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    reduced = reduce(problem, norm)
    yield _lifted(reduced, solve_conic_program(reduced, gap, deadline))


def _by_interior_point(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    reduced = reduce(problem, norm)
    yield _lifted(reduced, solve_interior_point(reduced, 0.8 * gap, deadline))


def _by_rows(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    yield solve_by_rows(problem, norm, gap, deadline)


def _by_first_order(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline, pace: float = math.inf
) -> Iterator[Candidate]:
    X = problem.features
    xp = namespace(X)
    size = float(xp.max(xp.abs(X)))
    if size > 0.0:
        W, q, iterations = first_order(
            X / size, problem.one_hot, norm, 0.8 * gap, deadline, _MOST_ITERATIONS, pace=pace
        )
        yield Candidate(as_numpy(W), as_numpy(q), iterations, "first-order (restarted Halpern PDHG)")


def _by_quick_first_order(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline
) -> Iterator[Candidate]:
    return _by_first_order(problem, norm, gap, deadline, _PACE)


_QUICK = (_by_clipping, _by_quick_first_order, _by_coordinates)


def _lifted(reduced: Reduced, candidate: Candidate) -> Candidate:
    return Candidate(
        reduced.weights(candidate.weights), candidate.dual, candidate.iterations, candidate.method
    )
