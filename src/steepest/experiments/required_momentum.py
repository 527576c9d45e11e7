"""The smallest momentum that the theory needs beside the smallest that worked (Theorem 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steepest import theory
from steepest.descent import Method, descend
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm
from steepest.maxmargin import MaxMarginSolution
from steepest.problem import Classification
from steepest.schedules import Schedule
from steepest.theory.constants import papers_radius, papers_required_momentum

MOMENTA = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""Momenta that are tried, in increasing order."""

TOLERANCE = 1.3
"""A momentum worked if the final error is at most this many times the full batch's with the same momentum."""


@dataclass(frozen=True)
class RequiredMomentum:
    """Momentum needed at one batch size, in theory and in practice."""

    batch_size: int
    batches: int
    """m, batches an epoch."""
    sharp: float | None
    """Smallest β with ρ > 0, with sharp constants; None if there is none below 1."""
    paper: float | None
    """The same with the paper's constants, κ = (1-β) m² and R = max ‖x‖₁ (R(‖·‖) where larger)."""
    measured: float | None
    """Smallest β tried whose final error was as good as the full batch's; None if none was."""
    errors: dict[float, float]
    """Final relative margin error for each β tried, the largest over seeds."""


def required_momenta(
    problem: Classification,
    norm_: Norm | str,
    schedule: Schedule,
    solution: MaxMarginSolution,
    *,
    batch_sizes: Sequence[int] | None = None,
    momenta: Sequence[float] = MOMENTA,
    steps: int = 20_000,
    seeds: Sequence[int] = (0,),
    tolerance: float = TOLERANCE,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[RequiredMomentum]:
    """Run every batch size with every momentum and return what theory and practice need, a row a batch size.

    Args:
        problem: the data.
        norm_: the norm of the descent.
        schedule: the step sizes.
        solution: the max margin in that norm.
        batch_sizes: b; by default those of the paper's figures, 1, 5, 10, 20 and 50, that the data allows.
        momenta: β to try, at least one.
        steps: updates of every run.
        seeds: of the shuffling; a momentum has to work for all of them.
        tolerance: how many times the full batch's error counts as working.
        workers: threads, see :func:`steepest.descend`.
        progress: called with (run-steps done, run-steps in all).

    Raises:
        KeyboardInterrupt: Ctrl-C ended the runs, and nothing is known of their end.
        InvalidArgument: no batch size below the number of samples, or a value that a method refuses.

    >>> import steepest as st
    >>> problem = st.datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
    >>> solution = st.max_margin(problem, "spectral")
    >>> schedule = st.PolynomialDecay(1.0, 0.5)
    >>> (row,) = required_momenta(
    ...     problem, "spectral", schedule, solution, batch_sizes=[6], momenta=[0.0, 0.9], steps=2000
    ... )
    >>> row.batches, row.sharp < row.paper
    (2, True)
    """
    sizes = (1, 5, 10, 20, 50) if batch_sizes is None else batch_sizes
    sizes = [b for b in sizes if b < problem.samples] if batch_sizes is None else list(sizes)
    if not sizes or min(sizes) < 1 or max(sizes) >= problem.samples:
        raise InvalidArgument("batch_sizes", sizes, f"give batch sizes from 1 to {problem.samples - 1}")
    tried = sorted({float(beta) for beta in momenta})
    if not tried:
        raise InvalidArgument("momenta", momenta, "give at least one momentum")
    full = [Method(norm_, None, beta, schedule=schedule) for beta in tried]
    small = [
        Method(norm_, b, beta, schedule=schedule, seed=seed)
        for b in sizes
        for beta in tried
        for seed in seeds
    ]
    runs = descend(
        problem, full + small, steps, reference=solution, records=2, workers=workers, progress=progress
    )
    if not all(run.completed for run in runs):
        # What a run had come to when Ctrl-C ended it says nothing of its end.
        raise KeyboardInterrupt
    final = np.array([float(run.relative_margin_error[-1]) for run in runs])
    goals = dict(zip(tried, final[: len(full)] * tolerance, strict=True))
    worst = final[len(full) :].reshape(len(sizes), len(tried), len(seeds)).max(axis=2)
    rows = []
    for b, errors in zip(sizes, worst, strict=True):
        batches = theory.batches_per_epoch(problem.samples, b)
        found = dict(zip(tried, errors.tolist(), strict=True))
        rows.append(
            RequiredMomentum(
                batch_size=b,
                batches=batches,
                sharp=_or_none(lambda b=b: theory.required_momentum(problem, norm_, b, solution)),
                paper=papers_required_momentum(solution.margin, papers_radius(problem, norm_), batches),
                measured=next((beta for beta in tried if found[beta] <= goals[beta]), None),
                errors=found,
            )
        )
    return rows


def as_table(rows: Sequence[RequiredMomentum], norm_: Norm | str) -> str:
    """Return the rows as a Markdown table.

    >>> print(as_table([RequiredMomentum(10, 10, 0.998, 0.9999978, 0.99, {})], "frobenius"))
    | norm | b | m | 1 - β, paper | 1 - β, sharp | 1 - β, worked |
    | --- | --- | --- | --- | --- | --- |
    | frobenius | 10 | 10 | 2.2e-06 | 0.002 | 0.01 |
    """
    lines = [
        "| norm | b | m | 1 - β, paper | 1 - β, sharp | 1 - β, worked |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cells = [_lag(value) for value in (row.paper, row.sharp, row.measured)]
        lines.append(f"| {norm(norm_)} | {row.batch_size} | {row.batches} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _or_none(compute: Callable[[], float]) -> float | None:
    try:
        return compute()
    except InvalidArgument:
        return None


def _lag(momentum: float | None) -> str:
    return "none" if momentum is None else f"{1.0 - momentum:.2g}"
