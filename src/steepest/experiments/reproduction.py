"""Redo a figure of the paper: run its experiment, draw it, check its claims, and write everything down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from steepest.arguments import switch
from steepest.experiments.claims.check import check_claims
from steepest.experiments.claims.claim import ClaimResult
from steepest.experiments.claims.shown import EFFECT_COLUMNS, effect_cells, effect_row, verdict_counts
from steepest.experiments.figures.draw import draw_figure
from steepest.experiments.final_errors import FinalError, final_errors
from steepest.experiments.inputs import Announce, as_instance, as_path, as_progress
from steepest.experiments.plain import as_json
from steepest.experiments.spec.experiment import Experiment
from steepest.experiments.spec.resolved import ResolvedExperiment, resolve
from steepest.experiments.spec.shipped import paper_experiment, paper_figures
from steepest.experiments.store.netcdf import write_netcdf
from steepest.experiments.store.settings import provenance, write_settings
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.sweep import Outcome, run_experiment
from steepest.files import write_text

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Report", "carry_out", "reproduce"]


_FOLDER = "give a folder for results"
_SIZES = ("effect", "95 % interval", "range", "asked", "so on", "needs more")
_HOW_TO_READ = (
    "Each seed draws a data set, on which runs are compared with each other; averages, and the intervals",
    "that hold them with 95 % confidence, are over data sets. Supported or contradicted is what chance does",
    "not explain, with all that the figure asks taken together (Holm's method). Undecided is what needs more",
    "data sets, or more steps.",
)
_EXECUTOR = "give a steepest.experiments.Executor, or None"


@dataclass(frozen=True)
class Report:
    """What experiments came to: its claims with their verdicts, and the files that hold the rest."""

    experiments: tuple[Experiment, ...]
    """What was run, in this order; an interrupted report ends with the one that was cut short."""
    claims: tuple[ClaimResult, ...]
    files: list[Path]
    interrupted: bool
    """Whether Ctrl-C ended it before everything was computed."""
    computed: int
    """Cells computed in this call; a cell is six runs in the paper's figures."""
    reused: int
    """Cells that earlier calls had computed."""
    notes: tuple[str, ...]
    """Warnings about the settings of the runs, with numbers."""
    final_errors: tuple[FinalError, ...] = ()
    """What the runs came to in the end; none of a report that was interrupted."""

    @property
    def holds(self) -> bool:
        """Whether everything was finished and nothing is contradicted on the data that claims are about."""
        return not self.interrupted and not any(claim.refutes for claim in self.claims)


def reproduce(
    figure: str,
    directory: Path,
    *,
    quick: bool = False,
    seeds: tuple[int, ...] | None = None,
    bound: bool = False,
    progress: Announce | None = None,
    executor: Executor | None = None,
) -> Report:
    """Redo a figure of the paper and return its claims; interrupted and called again, it goes on.

    Args:
        figure: its name, such as "figure1", or "all" for one after the other.
        directory: where everything goes: the figure (PNG, PDF), the data (NetCDF), the claims (Markdown,
            JSON), the experiment as it was run, and the store of results in ``cells``.
        quick: run the reduced form that the experiment defines (fewer batch sizes, and only the data
            that claims are about).
        seeds: of data and shuffling, in place of the experiment's own.
        bound: draw the theory's margin bound and the predicted slope over the errors.
        progress: called with (what is being done, run-steps done, run-steps in all).
        executor: where cells are computed; by default on this machine's cores.

    Raises:
        InvalidArgument: an unknown figure, or seeds that are none.
        RunError: something cannot be written, or a run cannot go on.

    ::

        report = reproduce("figure1", Path("results/figure1"), quick=True)
        for claim in report.claims:
            print(claim.norm, claim.verdict.value, claim.statement)
    """
    every = isinstance(figure, str) and figure == "all"
    experiments = [paper_experiment(name) for name in (paper_figures() if every else [figure])]
    directory, progress = as_path("directory", directory, _FOLDER), as_progress(progress)
    quick, bound = switch("quick", quick), switch("bound", bound)
    executor = None if executor is None else as_instance("executor", executor, Executor, _EXECUTOR)
    if quick:
        experiments = [experiment.reduced() for experiment in experiments]
    if seeds is not None:
        chosen = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else seeds
        experiments = [experiment.replaced({"seed": chosen}) for experiment in experiments]
    if bound:
        experiments = [experiment.replaced({"bound": True}) for experiment in experiments]
    works = [resolve(experiment) for experiment in experiments]
    sizes = [work.run_steps for work in works]
    # Decided for all at once: processes that are not worth starting for one figure are for four.
    cells, seconds = sum(len(work.cells) for work in works), sum(work.seconds for work in works)
    executor = (executor or Executor()).settled(cells, seconds)
    reports: list[Report] = []
    for place, work in enumerate(works):
        prefix = f"{work.spec.name}: " if len(works) > 1 else ""
        told = None if progress is None else _offset(progress, prefix, sum(sizes[:place]), sum(sizes))
        reports.append(carry_out(work, directory, progress=told, executor=executor))
        if reports[-1].interrupted:
            break
    return _joined(reports)


def _offset(progress: Announce, prefix: str, before: int, total: int) -> Announce:
    return lambda what, done, _: progress(f"{prefix}{what}", before + done, total)


def _joined(reports: Sequence[Report]) -> Report:
    return Report(
        tuple(each for report in reports for each in report.experiments),
        tuple(claim for report in reports for claim in report.claims),
        [path for report in reports for path in report.files],
        any(report.interrupted for report in reports),
        sum(report.computed for report in reports),
        sum(report.reused for report in reports),
        tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        tuple(each for report in reports for each in report.final_errors),
    )


def carry_out(
    experiment: Experiment | ResolvedExperiment,
    directory: Path,
    *,
    progress: Announce | None = None,
    executor: Executor | None = None,
) -> Report:
    """Run an experiment, or what of it the folder does not hold yet; draw it and check its claims.

    Files and errors are those of :func:`reproduce`; several experiments may share a folder.

    Args:
        experiment: what to run.
        directory: the folder of its files.
        progress: called with (what is being done, run-steps done, run-steps in all).
        executor: where cells are computed; by default on this machine's cores.

    >>> from tempfile import TemporaryDirectory
    >>> data = {"kind": "gaussian", "classes": 2, "samples_per_class": 3, "features": 8}
    >>> tiny = Experiment(name="tiny", data=[data], norm=["max"], steps=20, records=5)
    >>> with TemporaryDirectory() as folder:
    ...     report = carry_out(tiny, Path(folder))
    >>> [file.name for file in report.files], report.computed, report.holds
    (['tiny.nc', 'tiny-experiment.json'], 1, True)
    """
    directory, progress = as_path("directory", directory, _FOLDER), as_progress(progress)
    resolved = resolve(experiment)
    settings = write_settings(resolved, directory)
    outcome = run_experiment(resolved, directory / "cells", progress, executor)
    report = write_report(resolved.spec, outcome, directory)
    return replace(report, files=[*report.files, settings])


def write_report(experiment: Experiment, outcome: Outcome, directory: Path) -> Report:
    """Check the claims of an experiment's results and write its files; an interrupted one has neither."""
    claims: tuple[ClaimResult, ...] = ()
    files: list[Path] = []
    finals: tuple[FinalError, ...] = ()
    if outcome.dataset is not None and not outcome.interrupted:
        finals = final_errors(outcome.dataset)
        claims = check_claims(outcome.dataset, experiment.claims)
        files = list(_write(experiment, outcome, outcome.dataset, claims, directory))
    counts = (outcome.interrupted, outcome.computed, outcome.reused)
    return Report((experiment,), claims, files, *counts, outcome.notes, finals)


def _write(
    experiment: Experiment,
    outcome: Outcome,
    dataset: xr.Dataset,
    claims: Sequence[ClaimResult],
    directory: Path,
) -> Iterator[Path]:
    stem = directory / experiment.name
    yield from _draw(experiment, dataset, stem)
    data = stem.with_name(f"{stem.name}.nc")
    facts = {
        "experiment": experiment.model_dump_json(),
        "data_hashes": json.dumps(dict(outcome.fingerprints)),
        **provenance(),
    }
    write_netcdf(dataset.assign_attrs(facts), data)
    yield data
    if claims:
        yield write_text(
            stem.with_name(f"{stem.name}-claims.md"), _markdown(experiment, claims, outcome.notes)
        )
        rows = [asdict(claim) for claim in claims]
        yield write_text(stem.with_name(f"{stem.name}-claims.json"), f"{as_json(rows)}\n")


def _draw(experiment: Experiment, dataset: xr.Dataset, stem: Path) -> Iterator[Path]:
    if experiment.figure is not None:
        yield from draw_figure(experiment.figure, dataset, stem, experiment.title, bound=experiment.bound)


def _markdown(experiment: Experiment, claims: Sequence[ClaimResult], notes: Sequence[str]) -> str:
    seeds = ", ".join(map(str, experiment.seed))
    about = f"{experiment.title}; {experiment.steps:,} steps, seeds {seeds}: {verdict_counts(claims)}."
    lines = [f"# Claims of {experiment.name}", "", about, *_HOW_TO_READ, ""]
    lines += [f"- **{c.verdict}**: `{c.name}`, {c.about}: {c.reason}." for c in claims]
    lines += ["", *_header("claim", "data, norm", "verdict", "what decides", *_SIZES)]
    for claim in claims:
        cells = effect_cells(claim)
        sizes = " | ".join(cells[name] for name in EFFECT_COLUMNS)
        what = f"{cells['quantity']}, {cells['where']}"
        lines.append(f"| `{claim.name}` | {claim.about} | **{claim.verdict}** | {what} | {sizes} |")
    for claim in claims:
        lines += ["", f"## {claim.name}: {claim.about}", ""]
        lines += [f"The paper: “{claim.sentence}”", ""] if claim.sentence else []
        lines += [claim.statement, "", f"Asked for: {claim.threshold}.", ""]
        lines += _header("quantity", "at", "shown", *_SIZES)
        for row in map(effect_row, claim.effects):
            sizes = " | ".join(row[name] for name in EFFECT_COLUMNS)
            lines.append(f"| {row['quantity']} | {row['where']} | {row['shown']} | {sizes} |")
        lines += ["", "| quantity | at | " + " | ".join(f"seed {seed}" for seed in experiment.seed) + " |"]
        lines += ["| --- | --- |" + " --- |" * len(experiment.seed)]
        for m in claim.measurements:
            by_seed = dict(zip(m.seeds, m.values, strict=True))
            values = [f"{by_seed[seed]:.4g}" if seed in by_seed else "" for seed in experiment.seed]
            lines.append(f"| {m.quantity} | {m.where} | {' | '.join(values)} |")
        lines += [line for remark in claim.remarks for line in ("", f"Noted: {remark}.")]
    if notes:
        lines += ["", "## Warnings about the settings", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _header(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
