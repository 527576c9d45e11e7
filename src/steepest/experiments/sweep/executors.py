"""Where the cells of a sweep are computed: this process, processes beside it, a Dask or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral

from steepest.arguments import one_of
from steepest.errors import InvalidArgument
from steepest.experiments.sweep.clusters import dask_pool, ray_pool
from steepest.experiments.sweep.pools import Pool, local_pool
from steepest.threads import available_cores

__all__ = ["BACKENDS", "Executor"]

BACKENDS = ("auto", "threads", "loky", "dask", "ray")
"""What ``backend`` may be."""

_LONG_ENOUGH = 15.0
"""Seconds of one core's work that repay starting processes, which takes about two of each core's."""


@dataclass(frozen=True)
class Executor:
    """Where a sweep is computed, and by how many workers.

    Args:
        backend: "threads" computes in this process, the runs of a cell side by side; "loky" in processes on
            this machine, a cell each; "dask" and "ray" on a cluster whose workers share the folder of
            results. "auto" takes processes where there is work enough for them. A cluster without workers is
            waited for, with a warning, and given up after a minute.
        workers: how many; by default the cores that this process may use, or all that the cluster has.
        scheduler: the address of the Dask scheduler or the Ray cluster; by default the one that Dask's or
            Ray's own settings name.

    Raises:
        InvalidArgument: another backend, fewer workers than one, or a scheduler where there is none.

    >>> Executor("loky", workers=2)
    Executor(backend='loky', workers=2, scheduler=None)
    """

    backend: str = "auto"
    workers: int | None = None
    scheduler: str | None = None

    def __post_init__(self):
        one_of("backend", self.backend, BACKENDS)
        if self.workers is not None and (
            isinstance(self.workers, bool) or not isinstance(self.workers, Integral) or self.workers < 1
        ):
            raise InvalidArgument("workers", self.workers, "give an integer of at least 1")
        if self.scheduler is not None and not isinstance(self.scheduler, str):
            raise InvalidArgument("scheduler", self.scheduler, "give its address as a text")
        if self.scheduler is not None and self.backend not in ("dask", "ray"):
            remedy = "only the backends dask and ray have a scheduler; name one of them too"
            raise InvalidArgument("scheduler", self.scheduler, remedy)

    @contextmanager
    def opened(self, cells: int, seconds: float) -> Iterator[Pool]:
        """Yield the pool for this many cells that take about this many seconds of one core.

        Raises:
            MissingExtra: the package of the backend is not installed.
            RunError: no cluster answers.
        """
        match self.backend:
            case "dask":
                with dask_pool(self.scheduler, self.workers) as pool:
                    yield pool
            case "ray":
                yield ray_pool(self.scheduler, self.workers)
            case _:
                yield local_pool(self.processes(cells, seconds), self.workers or available_cores())

    @property
    def elsewhere(self) -> bool:
        """Whether cells are computed on machines of a cluster, and not on this one."""
        return self.backend in ("dask", "ray")

    def settled(self, cells: int, seconds: float) -> Executor:
        """Return this executor with "auto" decided for so many ``cells`` that take so many ``seconds``.

        Several sweeps may share them.
        """
        if self.backend != "auto":
            return self
        return replace(self, backend="loky" if self.processes(cells, seconds) else "threads")

    def processes(self, cells: int, seconds: float) -> int:
        """Return how many processes on this machine would compute so many cells; 0 is this one alone.

        ``seconds`` is what the cells take on one core: little work is not worth starting processes.
        """
        workers = self.workers or available_cores()
        alone = cells < 2 or workers < 2 or seconds < _LONG_ENOUGH
        if self.backend == "loky" or (self.backend == "auto" and not alone):
            return max(1, min(workers, cells))
        return 0
