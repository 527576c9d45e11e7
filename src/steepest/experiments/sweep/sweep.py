"""Run what an experiment asks for and the store does not hold: certified margins first, then the cells."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from steepest.experiments.dimensions import with_generalisation
from steepest.experiments.inputs import Announce, as_instance, as_path, as_progress
from steepest.experiments.spec.cells import Cell
from steepest.experiments.spec.experiment import Experiment
from steepest.experiments.spec.resolved import ResolvedExperiment, resolve
from steepest.experiments.store.notes import notes_of
from steepest.experiments.store.results import combine
from steepest.experiments.store.store import Store
from steepest.experiments.sweep.crew import Crew, Meter, key_of_item, many_lost
from steepest.experiments.sweep.executors import Executor
from steepest.experiments.sweep.mailbox import Mailboxes
from steepest.experiments.sweep.memory import require_memory
from steepest.experiments.sweep.pools import Pool
from steepest.experiments.sweep.worker import Caught, Done, Ending, Item, NotSeparable, caught_warnings

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NotSeparable", "Outcome", "run_experiment"]


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
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """The hash of each data set's samples, by name and seed."""


def run_experiment(
    experiment: Experiment | ResolvedExperiment,
    directory: Path,
    progress: Announce | None = None,
    executor: Executor | None = None,
) -> Outcome:
    """Compute the cells of an experiment that the folder does not hold, and join them all.

    Cells are spread over the workers of ``executor``; no two processes compute the same one, be they workers
    of one sweep or sweeps of their own in the same folder. A worker that dies is replaced, and its cell goes
    on from where it was last saved. Interrupted by Ctrl-C the sweep returns what there is; called again it
    goes on where it stopped, inside a cell too.

    Args:
        experiment: what to compute.
        directory: the folder of results, a file a cell.
        progress: called with (what is being done, run-steps done, run-steps in all).
        executor: where cells are computed; by default on this machine's cores.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.
        NotSeparable: a data set has no positive margin.
        RunError: results cannot be written, a cell's records are more than this machine's memory holds, the
            workers of a cell die time and again, or a cluster stays without workers. Everything else that
            was computed is kept.

    >>> from tempfile import TemporaryDirectory
    >>> data = {"kind": "gaussian", "classes": 2, "samples_per_class": 3, "features": 8}
    >>> tiny = Experiment(name="tiny", data=[data], norm=["max"], batch_size=[1, "full"], steps=20, records=5)
    >>> with TemporaryDirectory() as folder:
    ...     first, second = (run_experiment(tiny, Path(folder)) for _ in range(2))
    >>> first.computed, second.computed, second.reused
    (2, 0, 2)
    """
    if executor is not None:
        as_instance("executor", executor, Executor, "give a steepest.experiments.Executor, or None")
    directory, progress = as_path("directory", directory, "give a folder for results"), as_progress(progress)
    resolved, executor = resolve(experiment), executor or Executor()
    sweep = _Sweep(resolved.cells, Store(directory), Meter(resolved.cells, progress))
    interrupted = False
    try:
        sweep.find()
        missing = sorted(sweep.missing, key=lambda cell: cell.seconds, reverse=True)
        if missing:
            if not executor.elsewhere:
                require_memory(missing)
            seconds = sum(cell.seconds for cell in missing)
            with executor.opened(len(missing), seconds) as pool:
                sweep.compute(missing, pool)
    except KeyboardInterrupt:
        interrupted = True
    interrupted = interrupted or sweep.stopped
    datasets = sweep.datasets()
    joined = with_generalisation(combine(datasets), resolved.spec.generalisations) if datasets else None
    reused = len(datasets) - sweep.computed
    known = resolved.problems.items()
    fingerprints = {f"{name}, seed {seed}": problem.fingerprint for (name, seed), problem in known}
    return Outcome(joined, interrupted, sweep.computed, reused, notes_of(datasets), fingerprints)


@dataclass
class _Sweep:
    """The results of some cells: found in the store, or computed by the workers of a pool."""

    cells: Sequence[Cell]
    store: Store
    meter: Meter
    computed: int = 0
    stopped: bool = False
    _found: dict[str, xr.Dataset] = field(default_factory=dict)
    _said: set[tuple[type[Warning], str]] = field(default_factory=set)

    @property
    def missing(self) -> list[Cell]:
        """Cells without a result, each once even if it goes by several names."""
        return list(
            {key: cell for cell in self.cells if (key := key_of_item(cell)) not in self._found}.values()
        )

    def find(self) -> None:
        """Take what the store holds."""
        for cell in self.cells:
            with caught_warnings() as caught:
                dataset = self.store.load(cell.description())
            self._say(caught)
            if dataset is not None:
                self._found[key_of_item(cell)] = dataset
                self.meter.finish(cell)
        self.meter.say("looking for what is there already")

    def compute(self, missing: list[Cell], pool: Pool) -> None:
        """Compute the missing cells and the max margins that they need."""
        margins = {key_of_item(margin): margin for cell in missing for margin in cell.margins}
        items: list[Item] = [
            margin for margin in margins.values() if not self.store.path(margin.description()).exists()
        ]
        lost: list[tuple[Item, Done]] = []
        boxes = Mailboxes.open(self.store.unfinished, pool.parent) if pool.beside else None
        crew = Crew(pool, self.store, self.meter, boxes)
        try:
            with closing(crew.outcomes([*items, *missing])) as outcomes:
                for item, done in outcomes:
                    self._take(item, done)
                    if done.ending is Ending.LOST:
                        lost.append((item, done))
                    if self.stopped:
                        break
        finally:
            crew.end()
        if lost:
            raise many_lost(lost)

    def _say(self, caught: Iterable[Caught]) -> None:
        """Pass warnings on, each once, whichever process met it."""
        for each in caught:
            if (said := (each.category, str(each.message))) not in self._said:
                self._said.add(said)
                warnings.warn_explicit(each.message, each.category, each.filename, each.line)

    def _take(self, item: Item, done: Done) -> None:
        self._say(done.caught)
        if done.ending is Ending.FAILED and done.error is not None:
            raise done.error from (RuntimeError(done.details) if done.details else None)
        self.stopped = self.stopped or done.ending is Ending.STOPPED
        if isinstance(item, Cell) and done.dataset is not None:
            self._found[key_of_item(item)] = done.dataset
            self.computed += done.computed
            self.meter.finish(item)

    def datasets(self) -> list[xr.Dataset]:
        """Return the results that there are, in the order of the cells, under the names of their data."""
        # The same samples may go by another name in another experiment.
        return [
            found.assign_coords(data=("data", [cell.data.name], found["data"].attrs))
            for cell in self.cells
            if (found := self._found.get(key_of_item(cell))) is not None
        ]
