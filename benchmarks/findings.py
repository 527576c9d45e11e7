"""Numbers of docs/findings.md that no claim prints: alignments, cancellation, cut-offs, floors, ..."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.tables import machine, print_table
from steepest import Classification, Method, PolynomialDecay, Trajectory, descend, max_margin
from steepest.datasets import gaussian, mixture
from steepest.experiments import Executor, find_experiment, run_experiment
from steepest.experiments.claims.statistics import fitted_exponent, mean_interval
from steepest.geometry.polar import RANK_CUTOFF
from steepest.theory import realised_bound, smallest_converging_batch

_STEPS, _LONG, _LONGER = 20_000, 100_000, 200_000
_ALIGNED = (("max", 10), ("max", 50), ("spectral", 10), ("frobenius", 10))
_CUT = 5
"""The batch size of the runs with and without a cut-off."""
_FLOORS = (5, 50)

Row = list[str]


def run(arguments: list[str]) -> None:
    """Measure each part on data sets of consecutive seeds and print means with 95 % intervals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks findings", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=sorted(_PARTS))
    parser.add_argument("--seeds", type=int, default=10, help="data sets, from seed 0 on")
    parser.add_argument("--output", type=Path, default=Path("results/findings"), help="where runs are kept")
    given = parser.parse_args(arguments)
    print(f"{machine('numpy', 'numba', 'scipy')}, seeds 0 to {given.seeds - 1}\n")
    for part in given.parts:
        rows = list(_PARTS[part](range(given.seeds), given.output))
        print()
        print_table(["what", "data sets", "mean", "95 % interval", "least to largest"], rows)


def _alignments(seeds: Sequence[int], _output: Path) -> Iterator[Row]:
    """Yield what the alignments of runs without momentum on the mixture prove, in units of γ."""
    for norm, batch_size in _ALIGNED:
        found = []
        for seed in seeds:
            problem = mixture(seed=seed)
            solution = max_margin(problem, norm)
            schedule = PolynomialDecay(0.15 / solution.margin, 0.5)
            method = Method(norm, batch_size=batch_size, schedule=schedule)
            ran = descend(problem, method, _STEPS, records=200, reference=solution)
            proven = realised_bound(problem, ran)
            reached = proven.explained[-1], proven.floor[-1], ran.normalized_margin[-1]
            found.append([float(each) / solution.margin for each in reached])
            print(norm, batch_size, seed, *(f"{each:.4f}" for each in found[-1]), flush=True)
        explained, floor, measured = np.array(found).T
        where = f"{norm}, b = {batch_size}"
        yield _row(f"{where}: explained / γ", explained)
        yield _row(f"{where}: measured / γ", measured)
        yield _row(f"{where}: explained / measured", explained / measured)
        yield _row(f"{where}: floor / measured", floor / measured)


def _cancellation(seeds: Sequence[int], output: Path) -> Iterator[Row]:
    """Yield when softmax minus one-hot cancels in runs of Figure 2, and what becomes of their directions."""
    figure = find_experiment("figure2")
    orthogonal = [each.model_dump() for each in figure.data if each.name == "orthogonal"]
    chosen = {"data": orthogonal, "batch_size": 1, "momentum": 0.0, "seed": list(seeds)}
    for norm in ("max", "frobenius"):
        ran = run_experiment(figure.replaced({**chosen, "norm": norm}), output, executor=Executor(workers=1))
        assert ran.dataset is not None
        found, last = ran.dataset.squeeze(drop=True), ran.dataset["step"].values[-1]
        margins, steps = found["naive_margin"].values, found["naive_cancelled_at"].values
        ends = found.isel(step=-1)
        away = (1 - ends["naive_bias_cosine"].values) / (1 - ends["bias_cosine"].values)
        cancelled = np.isfinite(margins)
        early = cancelled & (np.nan_to_num(steps, nan=last) <= last / 2)
        factor = "1 - cosine, softmax minus one-hot / exact"
        yield _row(f"{norm}: margin at the first cancelled residual", margins[cancelled])
        yield _row(f"{norm}: step of the first cancelled residual", steps[cancelled])
        yield _row(f"{norm}, cancelled in the first half: {factor}", away[early], ratio=True)
        yield _row(f"{norm}, cancelled later: {factor}", away[cancelled & ~early], ratio=True)
        yield _row(f"{norm}, never cancelled: {factor}", away[~cancelled], ratio=True)


def _cut_offs(seeds: Sequence[int], _output: Path) -> Iterator[Row]:
    """Yield errors of Spectral-SGD on Gaussian data with exact directions and with a cut-off."""
    found = []
    for seed in seeds:
        problem = gaussian(seed=seed)
        solution = max_margin(problem, "spectral")
        schedule = PolynomialDecay(0.225 / solution.margin, 0.3)
        methods = [
            Method("spectral", batch_size=_CUT, schedule=schedule, rank_cutoff=cutoff)
            for cutoff in (None, RANK_CUTOFF)
        ]
        ran = descend(problem, methods, _LONG, records=[_LONG], reference=solution, workers=1)
        found.append([float(each.relative_margin_error[-1]) for each in ran])
        print(seed, *(f"{each:.4f}" for each in found[-1]), flush=True)
    exact, cut = np.array(found).T
    yield _row(f"error, b = {_CUT}, exact directions", exact)
    yield _row(f"error, b = {_CUT}, cut-off of {RANK_CUTOFF:.3g}", cut)
    yield _row("with the cut-off / exact", cut / exact)


def _floors(seeds: Sequence[int], _output: Path) -> Iterator[Row]:
    """Yield errors of mini-batches of Gaussian data after long runs, and how fast they fall."""
    for norm in ("frobenius", "max"):
        ran = [_long_runs(gaussian(seed=seed), norm) for seed in seeds]
        for place, batch_size in enumerate(_FLOORS):
            runs = [each[place] for each in ran]
            exponents = [fitted_exponent(each.steps, each.relative_margin_error) for each in runs]
            where = f"{norm}, b = {batch_size}"
            yield _row(f"{where}: error", np.array([float(each.relative_margin_error[-1]) for each in runs]))
            yield _row(f"{where}: exponent", np.array(exponents))


def _long_runs(problem: Classification, norm: str) -> Sequence[Trajectory]:
    solution = max_margin(problem, norm)
    schedule = PolynomialDecay(0.225 / solution.margin, 0.3)
    methods = [Method(norm, batch_size=each, schedule=schedule) for each in _FLOORS]
    return descend(problem, methods, _LONG, records=200, reference=solution, workers=1)


def _rates(seeds: Sequence[int], _output: Path) -> Iterator[Row]:
    """Yield exponents of the full batch on so few samples that the bound's two terms cross early."""
    for norm in ("frobenius", "max"):
        for decay in (0.1, 0.3, 0.5):
            found = [_exponent(gaussian(2, 5, 20, seed=seed), norm, decay) for seed in seeds]
            yield _row(f"{norm}, a = {decay}, n = 10: exponent", np.array(found))


def _exponent(problem: Classification, norm: str, decay: float) -> float:
    solution = max_margin(problem, norm)
    method = Method(norm, schedule=PolynomialDecay(0.15 / solution.margin, decay))
    ran = descend(problem, method, _LONGER, records=200, reference=solution)
    return fitted_exponent(ran.steps, ran.relative_margin_error)


def _smallest_batches(seeds: Sequence[int], _output: Path) -> Iterator[Row]:
    """Yield from which batch size on Normalized-SGD is predicted to find the max margin of Gaussian data."""
    found = []
    for seed in seeds:
        smallest = smallest_converging_batch(gaussian(seed=seed), Method("frobenius"))
        print(seed, smallest.batch_size, smallest.status, flush=True)
        found.append(np.nan if smallest.batch_size is None else smallest.batch_size)
    yield _row("smallest batch size that finds the max margin", np.array(found))


def _row(what: str, values: np.ndarray, ratio: bool = False) -> Row:
    if not len(values):
        return [what, "0", "", "", ""]
    found = mean_interval(np.log(values) if ratio else values)
    mean, low, high = (
        np.exp([found.mean, found.low, found.high]) if ratio else (found.mean, found.low, found.high)
    )
    ends = f"{values.min():.4g} to {values.max():.4g}"
    return [what, str(len(values)), f"{mean:.3g}", f"{low:.3g} to {high:.3g}", ends]


_PARTS: dict[str, Callable[[Sequence[int], Path], Iterator[Row]]] = {
    "alignments": _alignments,
    "cancellation": _cancellation,
    "cut-offs": _cut_offs,
    "floors": _floors,
    "rates": _rates,
    "smallest-batches": _smallest_batches,
}
