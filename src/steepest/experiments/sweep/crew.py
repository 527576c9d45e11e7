"""The workers of a sweep: given one item after the other, listened to, and stopped."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from typing import Any

from steepest.errors import RunError, SteepestWarning
from steepest.experiments.inputs import Announce
from steepest.experiments.spec.cells import Cell
from steepest.experiments.store.store import Store, key_of
from steepest.experiments.sweep.mailbox import Mailboxes
from steepest.experiments.sweep.pools import Pool
from steepest.experiments.sweep.worker import Done, Ending, Item, work
from steepest.plugins import loaded_plugins

__all__ = ["Crew", "Meter", "key_of_item", "many_lost"]

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 15.0
"""How long a worker that is told to stop may take to save what it has."""

_WORKERS_SECONDS = 60.0
"""How long a cluster without workers is waited for."""

_ATTEMPTS_ALONE = 2
"""How often an item is tried again with no other beside it, after its worker died."""


@dataclass
class Crew:
    """The workers of a pool, and what they are at."""

    pool: Pool
    store: Store
    meter: Meter
    boxes: Mailboxes | None
    _alone_since: float | None = None
    """When the pool was first seen without workers."""

    def outcomes(self, items: list[Item]) -> Generator[tuple[Item, Done], None, None]:
        """Yield what came of each item, as it comes.

        Those that another process holds are waited for after the others; those whose worker died come
        last, with none beside them, so that it is known whose fault it is.
        """
        busy: list[Item] = []
        lost: list[Item] = []
        for patient in (False, True):
            for item, done in self._round(busy if patient else items, patient):
                if done.ending is Ending.BUSY:
                    busy.append(item)
                elif done.ending is Ending.LOST:
                    lost.append(item)
                else:
                    yield item, done
        for item in lost:
            yield item, self._alone(item)

    def _alone(self, item: Item, attempts: int = _ATTEMPTS_ALONE) -> Done:
        ((_, done),) = self._round([item], patient=True)
        if done.ending is Ending.LOST and attempts > 1:
            return self._alone(item, attempts - 1)
        return done

    def _round(self, items: Iterable[Item], patient: bool) -> Iterator[tuple[Item, Done]]:
        waiting = deque(items)
        running: dict[Future[Done], Item] = {}
        try:
            while waiting or running:
                capacity = self.pool.capacity()
                while waiting and len(running) < capacity:
                    item = waiting.popleft()
                    self.meter.begin(item)
                    running[self._start(item, patient)] = item
                if running:
                    for future in wait(running, _POLL_SECONDS, FIRST_COMPLETED).done:
                        yield running.pop(future), self._result(future)
                else:
                    time.sleep(_POLL_SECONDS)
                if capacity:
                    self._alone_since = None
                    self._listen(running.values())
                elif waiting or running:
                    self._await_workers()
        finally:
            self._stop(running)

    def _await_workers(self) -> None:
        """Say that there are no workers, and give up after a while.

        Raises:
            RunError: there have been none for too long.
        """
        now, name = time.monotonic(), self.pool.name
        if self._alone_since is None:
            self._alone_since = now
            said = f"{name} has no workers; some are waited for, {_WORKERS_SECONDS:g} seconds at most"
            warnings.warn(said, SteepestWarning, stacklevel=2)
        self.meter.say(f"waiting for workers of {name}")
        if now - self._alone_since > _WORKERS_SECONDS:
            raise RunError(
                f"{name} has had no workers for {_WORKERS_SECONDS:g} seconds; start some, and give the same "
                "command again: everything that was computed is kept"
            )

    def _start(self, item: Item, patient: bool) -> Future[Done]:
        if self.boxes is None:
            tell: Any = self.meter.inside
        else:
            tell = self.boxes.of(key_of_item(item))
        return self.pool.submit(
            work,
            item,
            self.store.directory.resolve(),
            tell,
            self.pool.threads(),
            patient,
            loaded_plugins(),
        )

    def _result(self, future: Future[Done]) -> Done:
        try:
            done = future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001 - each kind of pool has its own
            return Done(Ending.LOST, details=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        if done.ending is Ending.STOPPED and self.boxes is not None:
            return Done(Ending.LOST, details=f"it was stopped, or does not see {self.boxes.folder.parent}")
        return done

    def _listen(self, running: Iterable[Item]) -> None:
        if self.boxes is not None:
            at_work = {item.label: self.boxes.told(key_of_item(item)) for item in running}
            self.meter.inside(
                sum(at_work.values()), max(at_work, key=lambda label: at_work[label], default="")
            )

    def _stop(self, running: dict[Future[Done], Item]) -> None:
        if not running:
            return
        self.end()
        # A max margin saves nothing on the way: there is no use in waiting for it. Nor for lost workers.
        there = self._alone_since is None
        saving = [future for future, item in running.items() if there and isinstance(item, Cell)]
        try:
            wait(saving, _GRACE_SECONDS)
        finally:
            if not all(future.done() for future in running):
                self.pool.kill()

    def end(self) -> None:
        """Tell workers that are still at something to save it and stop."""
        if self.boxes is not None:
            self.boxes.close()


def many_lost(lost: list[tuple[Item, Done]]) -> RunError:
    """Return the error that names items whose workers died time and again."""
    labels = "; ".join(item.label for item, _ in lost)
    return RunError(
        f"{labels}: the worker process died each of {1 + _ATTEMPTS_ALONE} times ({lost[-1][1].details}); is "
        "there memory enough? Everything else is kept, and the same command tries these again"
    )


@dataclass
class Meter:
    """Run-steps done in the whole sweep, told to the caller."""

    cells: Sequence[Cell]
    progress: Announce | None
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


def key_of_item(item: Item) -> str:
    """Return the name of an item's result."""
    return key_of(item.description())
