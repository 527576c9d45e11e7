"""The public function: check the arguments, choose methods, certify what they propose, keep the best."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from steepest.arguments import one_of, real_number, switch
from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm_label
from steepest.geometry import norm as as_norm
from steepest.geometry.facts import MULTIPLE, UNITARILY_INVARIANT, is_true
from steepest.maxmargin import methods
from steepest.maxmargin.forms.balanced import is_balanced
from steepest.maxmargin.forms.candidate import Candidate, Deadline
from steepest.maxmargin.forms.clipping import clipped
from steepest.maxmargin.forms.in_array import in_array
from steepest.maxmargin.forms.watch import ProgressCallback, watched
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.methods import Method
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.polyhedral.predictor_corrector import operations
from steepest.maxmargin.record import Record
from steepest.maxmargin.relaxed.class_by_class import solve_class_by_class
from steepest.maxmargin.relaxed.offsets import solve_by_offsets
from steepest.maxmargin.relaxed.scanned import solve_relaxed_by_scans
from steepest.maxmargin.relaxed.solve import solve_relaxed
from steepest.maxmargin.relaxed.solve_exactly import entries_differ, solve_exactly
from steepest.maxmargin.relaxed.solve_graded import solve_graded
from steepest.maxmargin.relaxed.terms import terms_of
from steepest.maxmargin.scans.solution import scanned_solution
from steepest.maxmargin.solution import MaxMarginSolution, Status
from steepest.problem import Classification, as_problem
from steepest.threads import linear_algebra_threads

__all__ = ["METHODS", "max_margin"]

METHODS = ("auto", *methods.METHODS)
"""What ``method`` may be."""

_GAP = "give a relative gap between 0 and 1, such as 1e-8"
_TIME = "give a positive number of seconds, or None for no limit"
_OF_BASE = 0.8
"""Share of the gap that is asked of a norm in the place of its multiple, whose rounding is added."""
_MANY = 40
"""As many times more samples than features: then row generation leaves most of them out."""
_WIDE = 10
"""As many times more features than samples: then few of them are needed where a norm allows that."""
_LARGEST_SYSTEM = 6000
"""Unknowns of a dense Newton system: 300 MB and half a minute to factor."""
_LARGEST_PROGRAM = 2_000_000
"""Numbers in a linear program that HiGHS solves in minutes."""
_FEW_SAMPLES = 2
"""Samples a class up to which it is looked whether all have the same weight in the dual."""
_LARGE = 30_000_000
"""Multiplications of all logits from which it pays to work on the pairs of small margin alone."""
_READ = 1 << 28
"""Bytes up to which features that are mapped from a file are read into memory, for all methods to serve."""
_SMALL = 1 << 17
"""Numbers of features that stay where they are, 1 MB with all zeros, up to which they are solved as an array:
every norm and method takes one, and most computations are faster with it."""
_CONTRADICTION = 1e-6
"""Relative excess of the lower bound that is no rounding of a norm's own value and dual."""
_MOST_PAIRS = 2000
"""Pairs (i, c) of a linear program over directions that HiGHS solves in a fraction of a second."""
_MOST_OPERATIONS = 3e11
"""Of an iteration of the linear program's interior point: some ten seconds."""


def max_margin(
    problem: Classification,
    norm: Norm | str,
    gap: float = 1e-8,
    *,
    method: str = "auto",
    time_limit: float | None = None,
    canonical: bool = False,
    intercept: bool = False,
    free: Iterable[int] = (),
    nu: float | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    callback: ProgressCallback | None = None,
    start: MaxMarginSolution | None = None,
) -> MaxMarginSolution:
    """Weights of the largest normalised margin, with bounds on both sides of it that always hold.

    Solves γ = max_{‖W‖ ≤ 1} min_{i, c ≠ y_i} (e_{y_i} - e_c)ᵀ W x_i, dual to min_{q ∈ simplex} ‖A(q)‖_*.
    With ``nu`` it is the soft margin: the mean of the ν n worst of the samples' smallest margins takes the
    place of the minimum, and dual weights have caps, Σ_c q_ic ≤ 1 / (ν n). With ``intercept`` the logits are
    W x + b with b free of the norm, and A(q) = 0 in it: Σ_{i in a} Σ_c q_ic = Σ_i q_ia for every class a.

    Args:
        problem: the data, n samples of d features in k classes.
        norm: the norm, or its name: "max", "sum", "frobenius", "spectral", "nuclear", "entrywise-3", ...
        gap: relative gap (upper_bound - margin) / upper_bound to reach, in (0, 1).
        method: "auto" chooses by norm and size and goes on with another where one falls short;
            "first-order", "interior-point" and "row-generation" (all norms of the two families),
            "scans" (norms with a projection on their dual ball: what "auto" does from some size on),
            "linear-program" (max, sum and other polyhedral norms, by HiGHS), "conic-program" (these, all
            entry-wise norms and Schatten p of 1, 2, ∞, by Clarabel), "column-generation" (sum, where
            features are many) and "cutting-planes" (every norm there is) name one.
        time_limit: seconds after which the best bounds so far are returned; None is no limit.
        intercept: whether logits have an intercept b [k] that the norm does not measure.
        free: features, by their numbers, whose weights the norm does not measure either; the norm is then
            that of the weights of the other features.
        nu: share of the samples, by weight, whose mean margin is maximised, in (0, 1]; None is the hard
            margin, as is ν ≤ 1/n. Larger ν forgive more.
        sample_weight: weights of the samples, shape [n], of which caps are a multiple. A hard margin leaves
            out samples of weight 0 and minds no others.
        class_weight: a table of labels with factors for their samples' weights, or "balanced".
        callback: called with a :class:`~steepest.maxmargin.Progress` as the computation goes on, some twenty
            times a second at most. Where it returns True, or on Ctrl-C while there is a callback, the
            computation stops with its best bounds.
        start: a solution for the same samples, features and classes, such as that of a nearby ``nu``: soft
            margins and margins with free weights go on from it where the ascent in capped dual weights
            serves the norm. It changes how long they take, and not what is certified; other computations
            begin anew.
        canonical: whether to return, where the optimum is not unique, the one of least Frobenius norm.
            It can be another one for the norms max, sum, spectral and nuclear alone; ``solution.canonical``
            has the evidence, and says so if it could not be found and the solver's optimum was kept.

    Returns:
        The solution with its certificate. Hard or contradictory data is no error: ``status`` says how
        it ended.

    Raises:
        InvalidArgument: an argument outside what is listed above, or a norm of one's own whose value and dual
            are found to contradict each other; MissingCapability, which is one, where the method asks more of
            the norm than it offers.
        MissingExtra: method="conic-program" without Clarabel.

    >>> problem = Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1])
    >>> solution = max_margin(problem, "max")
    >>> round(solution.margin, 7), solution.separable
    (2.0, True)
    """
    problem, norm = as_problem(problem), as_norm(norm)
    gap, canonical = real_number("gap", gap, _GAP, above=0, below=1), switch("canonical", canonical)
    time_limit = None if time_limit is None else real_number("time_limit", time_limit, _TIME, above=0)
    _check_method(norm, method)
    terms = terms_of(problem, intercept, free, nu, sample_weight, class_weight)
    _check_start(problem, start)
    if _is_small(problem) and method != methods.SCANS.name:
        problem = in_array(problem)
    relaxed = terms.any or len(terms.kept) < problem.samples
    if canonical and _stays_elsewhere(problem):
        remedy = (
            "leave it out, or give features as an array: of sparse ones and large files one optimum is found"
        )
        raise InvalidArgument("canonical", canonical, remedy)
    if relaxed and canonical:
        remedy = "leave it out: the set of optima is known of hard margins without free weights alone"
        raise InvalidArgument("canonical", canonical, remedy)
    if callback is not None and (isinstance(callback, type) or not callable(callback)):
        raise InvalidArgument("callback", callback, "give a function of a Progress, or None")
    with linear_algebra_threads(None, problem.multiplications), watched(callback, gap) as watch:
        deadline = Deadline.after(time_limit, watch)
        if relaxed and _stays_elsewhere(problem):
            _check_scanned(norm, method, methods.RELAXED_SCANS)
            return _returned(solve_relaxed_by_scans(problem, norm, terms, gap, deadline, start), terms.nu)
        if terms.caps is not None and method == "auto" and _is_better_read_in_blocks(problem, norm):
            start = solve_relaxed_by_scans(problem, norm, terms, gap, deadline, start)
            # To read the file into memory when time is up would take more of it.
            if start.status is not Status.GAP_NOT_REACHED or deadline.passed:
                return _returned(start, terms.nu)
        if relaxed:
            return _returned(solve_relaxed(problem, norm, terms, gap, method, deadline, start), terms.nu)
        solution = _solution(problem, norm, gap, method, deadline)
        if canonical and solution.margin > 0:
            solution = solution.of_least_frobenius_norm()
        return _returned(solution, terms.nu)


def _returned(solution: MaxMarginSolution, nu: float | None) -> MaxMarginSolution:
    """The solution as one of a soft margin, if ν is given: of ν ≤ 1/n it was found as a hard one.

    The bounds of a norm cannot cross. Where they do, the dual that somebody wrote for it is too small.
    """
    if solution.margin > (1 + _CONTRADICTION) * solution.upper_bound:
        remedy = (
            f"its value and its dual contradict each other (a margin of {solution.margin:.6g} above an upper "
            f"bound of {solution.upper_bound:.6g}): make ⟨S, D(S)⟩ = dual(S) and ‖D(S)‖ = 1 hold for every S"
        )
        raise InvalidArgument("norm", norm_label(solution.norm), remedy)
    if nu is None:
        return solution
    none = solution.status in (Status.NOT_SEPARABLE, Status.WEAKLY_SEPARABLE)
    return replace(solution, nu=nu, status=Status.NO_SOFT_MARGIN if none else solution.status)


def _solution(
    problem: Classification, norm: Norm, gap: float, method: str, deadline: Deadline
) -> MaxMarginSolution:
    if _stays_elsewhere(problem):
        _check_scanned(norm, method, methods.SCANS)
        multiple = MULTIPLE.of(norm)
        by = norm if multiple is None else multiple[0]
        return scanned_solution(problem, norm, by, gap, deadline)
    started = time.perf_counter()
    record = Record(problem, norm)
    # Without solvers where one sample alone shows that there is no margin.
    for chosen in () if record.find_repeated_sample(deadline) else _methods(problem, norm, method):
        proposed = False
        for candidate in chosen.propose(problem, norm, gap, deadline):
            record.certify(candidate)
            deadline.certified(record.best.lower, record.best.upper)
            proposed = True
        if not proposed:
            continue
        # A few first-order iterations without a positive margin are no sign of a contradiction yet.
        thorough, best = chosen not in _QUICK, record.best
        if method == "auto" and thorough and best.lower > 0 and not deadline.passed:
            record.polish(gap)
        if deadline.passed or (best.lower > 0 and best.within(gap)):
            break
        if best.lower <= 0 and record.find_contradiction(deadline, thorough=thorough):
            break
    return record.solution(gap, time.perf_counter() - started, stopped=deadline.stopped)


def _stays_elsewhere(problem: Classification) -> bool:
    """Whether the features are not to become an array in memory."""
    n, d = problem.rows.shape
    return not problem.loaded and not (problem.rows.becomes_array and 8 * n * d <= _READ)


def _is_better_read_in_blocks(problem: Classification, norm: Norm) -> bool:
    """Whether features in a file are first scanned there: an array of them costs more memory, and time."""
    multiple = MULTIPLE.of(norm)
    serves = methods.RELAXED_SCANS.serves(norm if multiple is None else multiple[0])
    return not problem.loaded and problem.multiplications >= _LARGE and serves


def _check_start(problem: Classification, start: object) -> None:
    if start is None:
        return
    if not isinstance(start, MaxMarginSolution):
        raise InvalidArgument("start", start, "give a solution that max_margin returned, or None")
    n, k, d = problem.samples, problem.n_classes, problem.dimension
    if start.dual.shape != (n, k) or start.weights.shape != (k, d):
        remedy = f"give a solution for {n} samples, {d} features and {k} classes"
        raise InvalidArgument("start", start, remedy)


def _is_small(problem: Classification) -> bool:
    """Whether features take so little memory with all their zeros that an array serves better."""
    return problem.samples * problem.dimension <= _SMALL


def _check_scanned(norm: Norm, method: str, scans: Method) -> None:
    if method not in ("auto", scans.name):
        remedy = 'features that are sparse or in a large file are scanned: use method="auto" or an array'
        raise InvalidArgument("method", method, remedy)
    multiple = MULTIPLE.of(norm)
    base = norm if multiple is None else multiple[0]
    scans.check(base, norm_label(norm), "give features as an array, which every norm takes")


def _check_method(norm: Norm, method: str) -> None:
    one_of("method", method, METHODS)
    if method != "auto":
        multiple = MULTIPLE.of(norm)
        methods.METHODS[method].check(norm if multiple is None else multiple[0], norm_label(norm))


def _methods(problem: Classification, norm: Norm, method: str) -> list[Method]:
    """Methods to try in turn, of those that serve the norm.

    First-order iterations cost little and converge fast on well-conditioned data in all norms but the
    polyhedral ones, so they go first while they keep their pace; the interior point minds no conditioning.
    """
    if MULTIPLE.of(norm) is not None:
        return [Method(method, partial(_by_base, method=method))]
    if method != "auto":
        return [methods.METHODS[method]]
    n, d, k = problem.samples, problem.dimension, problem.n_classes
    unknowns = (k - 1) * min(n, d) if is_true(UNITARILY_INVARIANT, norm) else k * d
    many, small = n > _MANY * max(d, 100), unknowns <= _LARGEST_SYSTEM
    polyhedral = POLYHEDRAL_BALL.of(norm) is not None
    # Cuts take long where features nearly explain each other; an interior point does not.
    chosen = [_CLASSES, _OFFSETS, _GRADED] if BALL_BARRIER.of(norm) is not None else [_GRADED, _OFFSETS]
    if LINEAR_BALL.of(norm) is not None and entries_differ(as_numpy(problem.features)):
        chosen.insert(0, _WHOLE)
    chosen.append(_CLIPPING)
    if d >= _WIDE * n and n * (k - 1) <= _MOST_PAIRS and methods.COLUMNS.serves(norm):
        chosen.append(methods.COLUMNS)
    # An interior point among the samples of small margin is faster where there is one.
    by_rows = many and small and methods.ROWS.serves(norm) and not methods.COORDINATES.serves(norm)
    if problem.multiplications >= _LARGE and methods.SCANS.serves(norm) and not by_rows:
        if n <= _FEW_SAMPLES * k and methods.QUICK.serves(norm) and is_balanced(problem):
            chosen.append(methods.QUICK)
        chosen.append(methods.SCANS)
    if not polyhedral and not (many and small and methods.ROWS.serves(norm)):
        # Tensors are iterated on where they are; coordinates are compiled for this machine's memory.
        on_coordinates = methods.COORDINATES.serves(norm) and isinstance(problem.features, np.ndarray)
        chosen.append(methods.COORDINATES if on_coordinates else methods.QUICK)
    if many and small:
        chosen.append(methods.ROWS)
    if operations(n, d, k) <= _MOST_OPERATIONS:
        chosen.append(methods.POLYHEDRAL)
    if small:
        chosen += [methods.QUADRATIC, methods.BALL]
    if 2 * n * (k - 1) * d <= _LARGEST_PROGRAM:
        chosen.append(methods.LINEAR_PROGRAMS)
    # Cuts close gaps that projections and rounding leave, where a linear program of all pairs is quick.
    small_program = n * (k - 1) <= _MOST_PAIRS and not polyhedral
    general = methods.GENERAL if small_program or not methods.FIRST_ORDER.serves(norm) else ()
    return [each for each in (*chosen, *general, methods.FIRST_ORDER) if each.serves(norm)]


def _by_base(
    problem: Classification, norm: Norm, gap: float, deadline: Deadline, method: str
) -> Iterator[Candidate]:
    """Optima of a norm that is a multiple of another are those of the other, in another size."""
    base, _ = MULTIPLE.required_of("norm", norm, "solving by another norm", "solve it by itself")
    solution = _solution(problem, base, _OF_BASE * gap, method, deadline.of_part)
    yield Candidate(solution.weights, solution.dual, solution.iterations, solution.method)


def _by_clipping(problem: Classification, norm: Norm, gap: float, deadline: Deadline) -> Iterator[Candidate]:
    clip = clipped(problem)
    if clip is not None:
        solution = _solution(clip.problem, norm, 0.1 * gap, "auto", deadline.of_part)
        if solution.margin > 0:
            weights, method = clip.weights(solution.weights), f"{solution.method}, large features scaled"
            for dual in clip.duals(solution.dual):
                yield Candidate(weights, dual, solution.iterations, method)


_OFFSETS = Method("offsets", solve_by_offsets)
_GRADED = Method("graded features", solve_graded)
_CLASSES = Method("class by class", solve_class_by_class)
_WHOLE = Method("whole numbers", solve_exactly)
_CLIPPING = Method("clipping", _by_clipping)
_QUICK = (_CLIPPING, methods.QUICK, methods.COORDINATES)
