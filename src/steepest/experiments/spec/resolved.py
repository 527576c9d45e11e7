"""An experiment with everything that follows from it: its samples and its cells, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from steepest.errors import InvalidArgument
from steepest.experiments.inputs import Announce, as_instance, as_progress
from steepest.experiments.spec.cells import Cell, cells_of
from steepest.experiments.spec.data import DataSet
from steepest.experiments.spec.experiment import Experiment
from steepest.problem import Classification

__all__ = ["Problems", "ResolvedExperiment", "made", "resolve"]

Problems = Mapping[tuple[str, int], Classification]
"""The samples of each data set's name and seed."""


@dataclass(frozen=True)
class ResolvedExperiment:
    """What a sweep, a plan and a record of settings are about, so that none of them works it out again."""

    spec: Experiment
    """The experiment as it was written."""
    problems: Problems
    """Its samples, of each data set and seed."""
    cells: tuple[Cell, ...]
    """In the order in which they are computed."""

    def problem(self, cell: Cell) -> Classification:
        """Return the samples of a cell."""
        return self.problems[cell.data.name, cell.seed]

    @property
    def run_steps(self) -> int:
        """Updates in all runs."""
        return sum(cell.run_steps for cell in self.cells)

    @property
    def seconds(self) -> float:
        """About how long one core takes: enough to tell long from short."""
        return sum(cell.seconds for cell in self.cells)


def resolve(
    experiment: Experiment | ResolvedExperiment, progress: Announce | None = None
) -> ResolvedExperiment:
    """Make the samples of an experiment and work out its cells; what is resolved already stays as it is.

    ``progress`` is called with (what is made, how many are, how many there are).

    Raises:
        InvalidArgument: sizes or scales that do not go together, more samples than memory holds, a batch
            size that is larger than a data set, or a bias direction where there is none.
        DataFileError: a file that cannot be read.

    >>> from steepest.experiments import find_experiment
    >>> resolved = resolve(find_experiment("figure1", {"data": "gaussian", "schedule.initial": 1.0}))
    >>> len(resolved.cells), resolved.cells[0].label
    (60, 'gaussian, seed 0, frobenius, b = 1')
    """
    if isinstance(experiment, ResolvedExperiment):
        return experiment
    as_instance("experiment", experiment, Experiment, "give an Experiment, as load_experiment returns")
    problems = made(experiment, as_progress(progress))
    return ResolvedExperiment(experiment, problems, tuple(cells_of(experiment, problems)))


def made(experiment: Experiment, progress: Announce | None = None) -> dict[tuple[str, int], Classification]:
    """Return the samples of every data set and seed of an experiment.

    Raises:
        InvalidArgument: sizes or scales that do not go together, or more samples than memory holds.
        DataFileError: a file that cannot be read.
    """
    problems: dict[tuple[str, int], Classification] = {}
    total = sum(len(data.seeds_of(experiment.seed)) for data in experiment.data)
    for position, data in enumerate(experiment.data):
        for seed in data.seeds_of(experiment.seed):
            if progress is not None:
                progress(f"making {data.name}, seed {seed}", len(problems), total)
            problems[data.name, seed] = _loaded(data, seed, position)
    return problems


def _loaded(data: DataSet, seed: int, position: int) -> Classification:
    try:
        return data.load(seed)
    except InvalidArgument as error:
        raise InvalidArgument(f"data[{position}].{error.argument}", error.value, error.remedy) from error
    except MemoryError as error:
        raise InvalidArgument(
            f"data[{position}]", data.name, f"it does not fit in memory ({error})"
        ) from error
