"""Pools that take calls and give futures, so that a sweep is the same wherever it is computed."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from steepest.experiments.sweep.worker import become_a_worker

__all__ = ["Pool", "local_pool"]

_IDLE_SECONDS = 60


class Pool(Protocol):
    """Takes calls and gives futures; calls of one pool share nothing but the folder of results."""

    @property
    def beside(self) -> bool:
        """Whether calls go on in other processes while this one does something else."""
        ...

    @property
    def parent(self) -> int | None:
        """The process whose end is to end its calls, where they would notice it."""
        ...

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def capacity(self) -> int:
        """Return how many calls can be under way at once now; 0 where a cluster has no workers."""
        ...

    def threads(self) -> int:
        """Return how many threads one call may use."""
        ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Start a call; its future fails if the process that it runs in dies."""
        ...

    def kill(self) -> None:
        """End all calls that are under way, as far as the place allows."""
        ...


def local_pool(processes: int, cores: int) -> Pool:
    """Return so many processes on this machine that share its cores; 0 is this process alone."""
    return _LocalProcesses(processes, max(1, cores // processes)) if processes else _ThisProcess(cores)


@dataclass(frozen=True)
class _ThisProcess:
    """Computes at once, in the caller's own thread."""

    workers: int
    name = "this process"
    beside = False
    parent = None

    def capacity(self) -> int:
        return 1

    def threads(self) -> int:
        return self.workers

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def kill(self) -> None:
        return


@dataclass(frozen=True)
class _LocalProcesses:
    """Processes on this machine, from the loky that comes with joblib; a dead one is replaced."""

    workers: int
    threads_each: int
    name = "this machine"
    beside = True

    @property
    def parent(self) -> int:
        return os.getpid()

    def capacity(self) -> int:
        return self.workers

    def threads(self) -> int:
        return self.threads_each

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        from joblib.externals.loky.process_executor import BrokenProcessPool

        try:
            return self._executor().submit(function, *arguments)
        except BrokenProcessPool:
            # A worker died between two calls: the next executor is a new one.
            return self._executor().submit(function, *arguments)

    def kill(self) -> None:
        self._executor().shutdown(wait=True, kill_workers=True)

    def _executor(self) -> Any:
        from joblib.externals.loky import get_reusable_executor

        return get_reusable_executor(
            max_workers=self.workers,
            timeout=_IDLE_SECONDS,
            initializer=become_a_worker,
            initargs=(os.getpid(),),
        )
