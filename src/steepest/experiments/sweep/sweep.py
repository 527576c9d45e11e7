"""Run what an experiment asks for and the store does not hold: certified margins first, then the cells."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.errors import RunError
from steepest.experiments.inputs import as_instance, as_path, as_progress
from steepest.experiments.spec.cells import Cell, estimated_seconds, load_problems, resolve
from steepest.experiments.spec.experiment import Experiment
from steepest.experiments.store.results import combine
from steepest.experiments.store.store import Store, key_of
from steepest.experiments.sweep.executors import Executor, Pool
from steepest.experiments.sweep.mailbox import Mailboxes
from steepest.experiments.sweep.worker import Caught, Done, Item, NotSeparable, Status, caught_warnings, work

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NotSeparable", "Outcome", "Progress", "run_experiment"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the run-steps done and the run-steps there are."""

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 15.0
"""How long a worker that is told to stop may take to save what it has."""

_ATTEMPTS_ALONE = 2
"""How often an item is tried again with no other beside it, after its worker died."""


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
    experiment: Experiment,
    directory: Path,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Outcome:
    """Compute the cells of an experiment that the folder does not hold, and join them all.

    Cells are spread over the workers of ``executor``; no two processes compute the same one, be they workers
    of one sweep or sweeps of their own in the same folder. A worker that dies is replaced, and its cell goes
    on from where it was last saved. Interrupted by Ctrl-C the sweep returns what there is; called again it
    goes on where it stopped, inside a cell too.

    Raises:
        InvalidArgument: the experiment cannot be run on its data.
        NotSeparable: a data set has no positive margin.
        RunError: results cannot be written, or the workers of a cell die time and again. Everything else
            that was computed is kept.
    """
    as_instance("experiment", experiment, Experiment, "give an Experiment, as load_experiment returns")
    if executor is not None:
        as_instance("executor", executor, Executor, "give a steepest.experiments.Executor, or None")
    directory, progress = as_path("directory", directory, "give a folder for results"), as_progress(progress)
    problems = load_problems(experiment)
    cells = resolve(experiment, problems)
    store = Store(directory)
    sweep = _Sweep(cells, store, _Meter(cells, progress))
    interrupted = False
    try:
        sweep.find()
        missing = sorted(sweep.missing, key=lambda cell: estimated_seconds(cell, problems), reverse=True)
        if missing:
            seconds = sum(estimated_seconds(cell, problems) for cell in missing)
            with (executor or Executor()).opened(len(missing), seconds) as pool:
                sweep.compute(missing, pool)
    except KeyboardInterrupt:
        interrupted = True
    interrupted = interrupted or sweep.stopped
    datasets = sweep.datasets()
    joined = combine(datasets) if datasets else None
    reused = len(datasets) - sweep.computed
    fingerprints = {f"{name}, seed {seed}": each.fingerprint for (name, seed), each in problems.items()}
    return Outcome(joined, interrupted, sweep.computed, reused, _notes(datasets), fingerprints)


@dataclass
class _Sweep:
    """The results of some cells: found in the store, or computed by the workers of a pool."""

    cells: list[Cell]
    store: Store
    meter: _Meter
    computed: int = 0
    stopped: bool = False
    _found: dict[str, xr.Dataset] = field(default_factory=dict)
    _said: set[tuple[type[Warning], str]] = field(default_factory=set)

    @property
    def missing(self) -> list[Cell]:
        """Cells without a result, each once even if it goes by several names."""
        return list({key: cell for cell in self.cells if (key := _key(cell)) not in self._found}.values())

    def find(self) -> None:
        """Take what the store holds."""
        for cell in self.cells:
            with caught_warnings() as caught:
                dataset = self.store.load(cell.description())
            self._say(caught)
            if dataset is not None:
                self._found[_key(cell)] = dataset
                self.meter.finish(cell)
        self.meter.say("looking for what is there already")

    def compute(self, missing: list[Cell], pool: Pool) -> None:
        """Compute the missing cells and the max margins that they need."""
        margins = {_key(margin): margin for cell in missing for margin in cell.margins}
        items: list[Item] = [
            margin for margin in margins.values() if not self.store.path(margin.description()).exists()
        ]
        lost: list[tuple[Item, Done]] = []
        boxes = Mailboxes.open(self.store.unfinished, pool.parent) if pool.beside else None
        crew = _Crew(pool, self.store, self.meter, boxes)
        try:
            with closing(crew.outcomes([*items, *missing])) as outcomes:
                for item, done in outcomes:
                    self._take(item, done)
                    if done.status is Status.LOST:
                        lost.append((item, done))
                    if self.stopped:
                        break
        finally:
            crew.end()
        if lost:
            raise _many_lost(lost)

    def _say(self, caught: Iterable[Caught]) -> None:
        """Pass warnings on, each once, whichever process met it."""
        for each in caught:
            if (said := (each.category, str(each.message))) not in self._said:
                self._said.add(said)
                warnings.warn_explicit(each.message, each.category, each.filename, each.line)

    def _take(self, item: Item, done: Done) -> None:
        self._say(done.caught)
        if done.status is Status.FAILED and done.error is not None:
            raise done.error from (RuntimeError(done.details) if done.details else None)
        self.stopped = self.stopped or done.status is Status.STOPPED
        if isinstance(item, Cell) and done.dataset is not None:
            self._found[_key(item)] = done.dataset
            self.computed += done.computed
            self.meter.finish(item)

    def datasets(self) -> list[xr.Dataset]:
        """Return the results that there are, in the order of the cells, under the names of their data."""
        # The same samples may go by another name in another experiment.
        return [
            found.assign_coords(data=("data", [cell.data.name], found["data"].attrs))
            for cell in self.cells
            if (found := self._found.get(_key(cell))) is not None
        ]


@dataclass
class _Crew:
    """The workers of a pool, and what they are at."""

    pool: Pool
    store: Store
    meter: _Meter
    boxes: Mailboxes | None

    def outcomes(self, items: list[Item]) -> Generator[tuple[Item, Done], None, None]:
        """Yield what came of each item, as it comes.

        Those that another process holds are waited for after the others; those whose worker died come
        last, with none beside them, so that it is known whose fault it is.
        """
        busy: list[Item] = []
        lost: list[Item] = []
        for patient in (False, True):
            for item, done in self._round(busy if patient else items, patient):
                if done.status is Status.BUSY:
                    busy.append(item)
                elif done.status is Status.LOST:
                    lost.append(item)
                else:
                    yield item, done
        for item in lost:
            yield item, self._alone(item)

    def _alone(self, item: Item, attempts: int = _ATTEMPTS_ALONE) -> Done:
        ((_, done),) = self._round([item], patient=True)
        if done.status is Status.LOST and attempts > 1:
            return self._alone(item, attempts - 1)
        return done

    def _round(self, items: Iterable[Item], patient: bool) -> Iterator[tuple[Item, Done]]:
        waiting = deque(items)
        running: dict[Future[Done], Item] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.pool.capacity():
                    item = waiting.popleft()
                    self.meter.begin(item)
                    running[self._start(item, patient)] = item
                for future in wait(running, _POLL_SECONDS, FIRST_COMPLETED).done:
                    yield running.pop(future), self._result(future)
                self._listen(running.values())
        finally:
            self._stop(running)

    def _start(self, item: Item, patient: bool) -> Future[Done]:
        if self.boxes is None:
            tell: Any = self.meter.inside
        else:
            tell = self.boxes.of(_key(item))
        return self.pool.submit(
            work, item, self.store.directory.resolve(), tell, self.pool.threads(), patient
        )

    def _result(self, future: Future[Done]) -> Done:
        try:
            done = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001 - each kind of pool has its own
            return Done(Status.LOST, details=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        if done.status is Status.STOPPED and self.boxes is not None:
            return Done(Status.LOST, details=f"it was stopped, or does not see {self.boxes.folder.parent}")
        return done

    def _listen(self, running: Iterable[Item]) -> None:
        if self.boxes is not None:
            at_work = {item.label: self.boxes.told(_key(item)) for item in running}
            self.meter.inside(
                sum(at_work.values()), max(at_work, key=lambda label: at_work[label], default="")
            )

    def _stop(self, running: dict[Future[Done], Item]) -> None:
        if not running:
            return
        self.end()
        # A max margin saves nothing on the way: there is no use in waiting for it.
        saving = [future for future, item in running.items() if isinstance(item, Cell)]
        try:
            wait(saving, _GRACE_SECONDS)
        finally:
            if not all(future.done() for future in running):
                self.pool.kill()

    def end(self) -> None:
        """Tell workers that are still at something to save it and stop."""
        if self.boxes is not None:
            self.boxes.close()


def _many_lost(lost: list[tuple[Item, Done]]) -> RunError:
    labels = "; ".join(item.label for item, _ in lost)
    return RunError(
        f"{labels}: the worker process died each of {1 + _ATTEMPTS_ALONE} times ({lost[-1][1].details}); is "
        "there memory enough? Everything else is kept, and the same command tries these again"
    )


@dataclass
class _Meter:
    """Run-steps done in the whole sweep, told to the caller."""

    cells: list[Cell]
    progress: Progress | None
    label: str = ""
    done: int = 0
    runs: int = 0
    _shown: int = 0

    def __post_init__(self):
        self.total = sum(cell.run_steps for cell in self.cells)
        self.all_runs = sum(cell.runs for cell in self.cells)

    def begin(self, item: Item) -> None:
        """Say what is begun."""
        self.label = item.label
        self.say(self.label)

    def inside(self, run_steps: int, label: str = "") -> None:
        """Say how far the cells that are under way have come."""
        self.label = label or self.label
        self.say(self.label, run_steps)

    def say(self, label: str, inside: int = 0) -> None:
        """Tell the caller; what a dead worker had done and has to do again is not taken back."""
        if self.progress is not None:
            self._shown = max(self._shown, min(self.done + inside, self.total))
            self.progress(f"{self.runs} of {self.all_runs} runs, {label}", self._shown, self.total)

    def finish(self, cell: Cell) -> None:
        """Count a cell."""
        self.done += cell.run_steps
        self.runs += cell.runs
        self.say(cell.label)


def _key(item: Item) -> str:
    return key_of(item.description())


def _notes(datasets: list[xr.Dataset]) -> tuple[str, ...]:
    lines = (
        line for dataset in datasets for line in str(dataset.attrs.get("notes", "")).splitlines() if line
    )
    return tuple(dict.fromkeys(lines))
