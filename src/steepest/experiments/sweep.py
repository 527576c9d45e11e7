"""Run what an experiment asks for and the store does not hold: certified margins first, then the cells."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from steepest.descent import descend
from steepest.errors import RunError, SteepestWarning
from steepest.experiments.cells import Cell, load_problems, margin_description, resolve
from steepest.experiments.results import cell_dataset, combine, solution_dataset, solution_from
from steepest.experiments.spec import Experiment
from steepest.experiments.store import Store, key_of
from steepest.maxmargin import MaxMarginSolution, max_margin
from steepest.problem import Classification

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NotSeparable", "Outcome", "Progress", "run_experiment"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the run-steps done and the run-steps there are."""


class NotSeparable(RunError):
    """A data set of an experiment has no positive margin, so there is nothing to converge to."""


@dataclass(frozen=True)
class Outcome:
    """What a sweep leaves: the joined results (None while there are none), and whether it was cut short."""

    dataset: xr.Dataset | None
    interrupted: bool
    computed: int
    """Cells computed in this call."""
    reused: int
    """Cells found in the store."""
    notes: tuple[str, ...]
    """Warnings about the settings of the runs, each once, with numbers."""


def run_experiment(experiment: Experiment, directory: Path, progress: Progress | None = None) -> Outcome:
    """Compute the cells of an experiment that the folder does not hold, and join them all.

    Interrupted by Ctrl-C it returns what there is; called again it goes on where it stopped, inside a cell
    too.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.
        NotSeparable: a data set has no positive margin.
        RunError: results cannot be written.
    """
    store = Store(directory)
    problems = load_problems(experiment)
    cells = resolve(experiment, problems)
    margins = _Margins(store)
    meter = _Meter(sum(cell.run_steps for cell in cells), progress)
    datasets: list[xr.Dataset] = []
    computed, interrupted = 0, False
    try:
        for cell in cells:
            dataset = store.load(cell.description())
            if dataset is None:
                problem = problems[cell.data.name, cell.seed]
                solutions = {}
                for norm in dict.fromkeys((cell.norm, *cell.references)):
                    meter.say(f"max margin: {cell.data.name}, seed {cell.seed}, {norm}")
                    solutions[norm] = margins.of(problem, cell, norm)
                dataset = _compute(cell, problem, solutions, store, meter)
                if dataset is None:
                    interrupted = True
                    break
                computed += 1
            # The same samples may go by another name in another experiment.
            datasets.append(dataset.assign_coords(data=("data", [cell.data.name], dataset["data"].attrs)))
            meter.finish(cell)
    except KeyboardInterrupt:
        interrupted = True
    joined = combine(datasets) if datasets else None
    return Outcome(joined, interrupted, computed, len(datasets) - computed, _notes(datasets))


@dataclass
class _Margins:
    """Certified max margins, each solved once and kept in the store.

    Each is the optimum of least Frobenius norm: where there are others, cosines need one to refer to.
    """

    store: Store
    known: dict[str, MaxMarginSolution] = field(default_factory=dict)
    """Those of this call, whose sets of optima are worked out once for all their cells."""

    def of(self, problem: Classification, cell: Cell, norm: str) -> MaxMarginSolution:
        description = margin_description(cell.fingerprint, norm, cell.gap)
        key = key_of(description)
        if key in self.known:
            return self.known[key]
        found = self.store.load(description)
        if found is not None:
            return self.known.setdefault(key, solution_from(found, problem))
        solution = max_margin(problem, norm, cell.gap, canonical=True)
        if not solution.margin > 0:
            raise NotSeparable(
                f"{cell.data.name} (seed {cell.seed}) has no positive margin in the {norm} norm: "
                f"{solution.status}"
            )
        if solution.relative_gap > cell.gap:
            warnings.warn(
                f"the max margin of {cell.data.name} (seed {cell.seed}) in the {norm} norm is certified "
                f"to {solution.relative_gap:.1e} only, not to {cell.gap:.1e}; errors below that say nothing",
                SteepestWarning,
                stacklevel=2,
            )
        self.store.save(description, solution_dataset(solution))
        # As a later call will find it, so that both measure the same to the last bit.
        return self.known.setdefault(key, solution_from(solution_dataset(solution), problem))


@dataclass
class _Meter:
    """Run-steps done in the whole sweep, told to the caller."""

    total: int
    progress: Progress | None
    done: int = 0

    def say(self, label: str, inside: int = 0) -> None:
        if self.progress is not None:
            self.progress(label, self.done + inside, self.total)

    def finish(self, cell: Cell) -> None:
        self.done += cell.run_steps
        self.say(cell.label)


def _compute(
    cell: Cell,
    problem: Classification,
    solutions: Mapping[str, MaxMarginSolution],
    store: Store,
    meter: _Meter,
) -> xr.Dataset | None:
    solution = solutions[cell.norm]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trajectories = descend(
            problem,
            cell.methods(solution.upper_bound),
            cell.steps,
            reference=solution,
            records=cell.records,
            progress=lambda done, _: meter.say(cell.label, done),
            checkpoint=store.checkpoint(cell.description()),
        )
    about_settings = [str(each.message) for each in caught if issubclass(each.category, SteepestWarning)]
    for each in caught:
        if not issubclass(each.category, SteepestWarning):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if not all(run.completed for run in trajectories):
        return None
    dataset = cell_dataset(cell, problem, solutions, trajectories).assign_attrs(
        notes="\n".join(about_settings)
    )
    store.save(cell.description(), dataset)
    return dataset


def _notes(datasets: list[xr.Dataset]) -> tuple[str, ...]:
    lines = (
        line for dataset in datasets for line in str(dataset.attrs.get("notes", "")).splitlines() if line
    )
    return tuple(dict.fromkeys(lines))
