"""Where the cells of a sweep are computed: this process, processes beside it, a Dask or a Ray cluster.

Every place is a :class:`Pool` that takes calls and gives futures, so that a sweep is the same in all of them.
"""

from __future__ import annotations

import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from numbers import Integral
from typing import Any, Protocol

from steepest.arguments import one_of
from steepest.errors import InvalidArgument, RunError, SteepestWarning
from steepest.extras import require
from steepest.threads import available_cores

__all__ = ["BACKENDS", "Executor", "Pool"]

BACKENDS = ("auto", "threads", "loky", "dask", "ray")
"""What ``backend`` may be."""

_LONG_ENOUGH = 15.0
"""Seconds of one core's work that repay starting processes, which takes about two of each core's."""

_IDLE_SECONDS = 60
_LISTEN_SECONDS = 3.0
_WORKER_SECONDS = 60.0
"""How long a scheduler without workers is waited for."""
_CONNECT_SECONDS = 10


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

    def capacity(self) -> int:
        """Return how many calls can be under way at once now, at least 1."""
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


@dataclass(frozen=True)
class Executor:
    """Where a sweep is computed, and by how many workers.

    Args:
        backend: "threads" computes in this process, the runs of a cell side by side; "loky" in processes on
            this machine, a cell each; "dask" and "ray" on a cluster whose workers share the folder of
            results. "auto" takes processes where there is work enough for them.
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
        one_of("backend", self.backend, tuple(BACKENDS))
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
                with _connected_to_dask(self.scheduler) as client:
                    yield _DaskPool(client, client.get_executor(pure=False), self.workers)
            case "ray":
                yield _RayPool(_connected_to_ray(self.scheduler), self.workers)
            case _:
                workers = self.workers or available_cores()
                processes = self.processes(cells, seconds)
                if processes == 0:
                    yield _ThisProcess(workers)
                else:
                    yield _LocalProcesses(processes, max(1, workers // processes))

    def settled(self, cells: int, seconds: float) -> Executor:
        """Return this executor with "auto" decided for so much work, which several sweeps may share."""
        if self.backend != "auto":
            return self
        return replace(self, backend="loky" if self.processes(cells, seconds) else "threads")

    def processes(self, cells: int, seconds: float) -> int:
        """Return how many processes on this machine would compute so many cells; 0 is this one alone."""
        workers = self.workers or available_cores()
        alone = cells < 2 or workers < 2 or seconds < _LONG_ENOUGH
        if self.backend == "loky" or (self.backend == "auto" and not alone):
            return max(1, min(workers, cells))
        return 0


@dataclass(frozen=True)
class _ThisProcess:
    """Computes at once, in the caller's own thread."""

    workers: int
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
            max_workers=self.workers, timeout=_IDLE_SECONDS, initializer=_leave_interrupts_to_the_parent
        )


def _leave_interrupts_to_the_parent() -> None:
    # A terminal sends Ctrl-C to every process; the sweep tells its workers to stop by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True)
class _DaskPool:
    """The workers of a Dask cluster, a cell each: joblib's own back-end for Dask would wait for ever.

    It never learns of a task whose workers keep dying, or that a worker cannot import; a future does.
    """

    client: Any
    executor: Any
    limit: int | None
    beside = True
    parent = None

    def capacity(self) -> int:
        workers = max(1, len(self.client.nthreads()))
        return workers if self.limit is None else min(workers, self.limit)

    def threads(self) -> int:
        return min(self.client.nthreads().values(), default=1)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.executor.submit(function, *arguments)

    def kill(self) -> None:
        # Dask cannot end a thread of a worker; what it computes stops when it looks for its sweep's folder.
        self.executor.shutdown(wait=False)


@contextmanager
def _connected_to_dask(scheduler: str | None) -> Iterator[Any]:
    distributed = _imported("distributed", "dask")
    address = scheduler or import_module("dask").config.get("scheduler-address", None)
    if address is None:
        # The caller's own client stays the caller's.
        yield _present_client(distributed)
        return
    _require_listener(address)
    try:
        client = distributed.Client(address, set_as_default=False, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise _no_scheduler(address, error) from error
    with client:
        _require_worker(client, address)
        yield client


def _no_scheduler(address: str, error: Exception) -> RunError:
    reason = " ".join(str(error).split())
    return RunError(f"scheduler={address}: no Dask scheduler answers there ({reason})")


def _require_listener(address: str) -> None:
    """Refuse at once an address where nothing listens: Distributed would try on, and log each failure."""
    addressing = import_module("distributed.comm.addressing")
    try:
        scheme, location = addressing.parse_address(address)
        if scheme in ("tcp", "tls"):
            host, port = addressing.parse_host_port(location)
            socket.create_connection((host, port), timeout=_LISTEN_SECONDS).close()
    except (OSError, ValueError) as error:
        raise _no_scheduler(address, error) from error


def _require_worker(client: Any, address: str) -> None:
    """Wait, and say so, for the first worker of a scheduler that has none."""
    if client.nthreads():
        return
    warnings.warn(
        f"scheduler={address}: it has no worker yet; waiting for one up to {_WORKER_SECONDS:g} seconds "
        f"(start one with: dask worker {address})",
        SteepestWarning,
        stacklevel=2,
    )
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except (TimeoutError, OSError) as error:
        remedy = f"no worker joined within {_WORKER_SECONDS:g} seconds; start one with: dask worker {address}"
        raise RunError(f"scheduler={address}: {remedy}") from error


def _present_client(distributed: Any) -> Any:
    try:
        return distributed.get_client()
    except ValueError as error:
        remedy = "give the address of a Dask scheduler, such as tcp://localhost:8786"
        raise InvalidArgument("scheduler", None, remedy) from error


@dataclass(frozen=True)
class _RayPool:
    """The processors of a Ray cluster, a cell each."""

    ray: Any
    limit: int | None
    beside = True
    parent = None

    def capacity(self) -> int:
        processors = max(1, int(self.ray.cluster_resources().get("CPU", 1)))
        return processors if self.limit is None else min(processors, self.limit)

    def threads(self) -> int:
        return 1

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.ray.remote(max_retries=0)(function).remote(*arguments).future()

    def kill(self) -> None:
        # As with Dask: a call stops when it looks for its sweep's folder.
        return


def _connected_to_ray(address: str | None) -> Any:
    ray = _imported("ray", "ray")
    try:
        if not ray.is_initialized():
            ray.init(address=address or "auto", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"scheduler={address}: no Ray cluster answers there ({reason})") from error
    return ray


def _imported(package: str, extra: str) -> Any:
    require(extra, f"the backend {extra}")
    return import_module(package)
