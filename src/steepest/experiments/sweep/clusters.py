"""Clusters that exist already, Dask's and Ray's; their workers share the folder of results."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from steepest.errors import InvalidArgument, RunError
from steepest.experiments.sweep.pools import Pool
from steepest.extras import require

__all__ = ["dask_pool", "ray_pool"]

_REACH_SECONDS = 2.0
"""How long whatever listens at an address may take to accept a connection."""

_ANSWER_SECONDS = 10.0
"""How long a scheduler, which may be busy, may take to say what it is."""


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

    @property
    def name(self) -> str:
        return f"the Dask scheduler at {self.client.scheduler.address}"

    def capacity(self) -> int:
        workers = len(self.client.nthreads())
        return workers if self.limit is None else min(workers, self.limit)

    def threads(self) -> int:
        return min(self.client.nthreads().values(), default=1)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.executor.submit(function, *arguments)

    def kill(self) -> None:
        # Dask cannot end a thread of a worker; what it computes stops when it looks for its sweep's folder.
        self.executor.shutdown(wait=False)


@contextmanager
def dask_pool(scheduler: str | None, limit: int | None) -> Iterator[Pool]:
    """Yield the pool of a Dask cluster, by the address of its scheduler or as Dask itself is set up.

    Raises:
        MissingExtra: Dask is not installed.
        InvalidArgument: neither an address nor a client of Dask.
        RunError: no scheduler answers at the address.
    """
    distributed = _imported("distributed", "dask")
    address = scheduler or import_module("dask").config.get("scheduler-address", None)
    if address is None:
        # The caller's own client stays the caller's.
        client = _present_client(distributed)
        yield _DaskPool(client, client.get_executor(pure=False), limit)
        return
    # Distributed itself would try for long, in silence, and then say it in a traceback.
    _within(_REACH_SECONDS, address, lambda: _reach(address))
    _within(_ANSWER_SECONDS, address, lambda: _require_scheduler(distributed, address))
    with distributed.Client(address, set_as_default=False, timeout=_ANSWER_SECONDS) as client:
        yield _DaskPool(client, client.get_executor(pure=False), limit)


def _reach(address: str) -> None:
    addressing = import_module("distributed.comm.addressing")
    scheme, place = addressing.parse_address(address)
    host, port = addressing.parse_host_port(place)
    if scheme in ("tcp", "tls"):
        socket.create_connection((host, port), _REACH_SECONDS).close()


def _require_scheduler(distributed: Any, address: str) -> None:
    arguments = distributed.Security().get_connection_args("client")

    async def ask() -> Any:
        async with distributed.rpc(address, connection_args=arguments) as scheduler:
            return await scheduler.identity()

    if (kind := asyncio.run(ask())["type"]) != "Scheduler":
        raise ValueError(f"a {kind} answers")


def _within(seconds: float, address: str, question: Callable[[], None]) -> None:
    """Ask a question in a thread of its own, for looking up a name or a handshake may take for ever."""
    found: list[str] = []

    def ask() -> None:
        try:
            question()
            found.append("")
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no scheduler
            found.append(" ".join(str(error).split()) or type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    reason = found[0] if found else f"nothing within {seconds:g} seconds"
    if reason:
        raise RunError(f"scheduler={address}: no Dask scheduler answers there ({reason})")


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
    name = "the Ray cluster"
    beside = True
    parent = None

    def capacity(self) -> int:
        processors = int(self.ray.cluster_resources().get("CPU", 0))
        return processors if self.limit is None else min(processors, self.limit)

    def threads(self) -> int:
        return 1

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self.ray.remote(max_retries=0)(function).remote(*arguments).future()

    def kill(self) -> None:
        # As with Dask: a call stops when it looks for its sweep's folder.
        return


def ray_pool(address: str | None, limit: int | None) -> Pool:
    """Return the pool of a Ray cluster, by its address or as Ray itself is set up.

    Raises:
        MissingExtra: Ray is not installed.
        RunError: no cluster answers.
    """
    ray = _imported("ray", "ray")
    try:
        if not ray.is_initialized():
            ray.init(address=address or "auto", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RunError(f"scheduler={address}: no Ray cluster answers there ({reason})") from error
    return _RayPool(ray, limit)


def _imported(package: str, extra: str) -> Any:
    require(extra, f"the backend {extra}")
    return import_module(package)
