"""How many threads linear algebra takes: as many as its products repay.

Libraries of linear algebra take a thread for each core whatever the size. On the small matrices of most
problems here they then wait for each other, and a max margin takes two to five times as long as with one
thread, or more where other work fills the cores.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["available_cores", "linear_algebra_threads"]

_REPAY_SEVERAL = 3e8
"""Multiplications in one product from which several threads are faster than one."""


def available_cores() -> int:
    """Return the number of cores that this process may use.

    >>> available_cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def linear_algebra_threads(most: int | None, multiplications: float) -> Iterator[None]:
    """Limit the threads of linear algebra in this process, for products of so many multiplications.

    ``most`` is how many there may be, None for as many as the user's settings allow; small products get one.
    Callers in several threads of Python share the limit of the first of them until the last is done.

    >>> import numpy as np
    >>> X, W = np.ones((100, 20)), np.ones((3, 20))
    >>> with linear_algebra_threads(None, multiplications=100 * 20 * 3):
    ...     logits = X @ W.T
    """
    limit = 1 if multiplications < _REPAY_SEVERAL else most
    if limit is None:
        yield
        return
    _shared.enter(limit)
    try:
        yield
    finally:
        _shared.leave()


class _Shared:
    """The limit that callers share: what was before comes back with the last of them, in whatever order."""

    def __init__(self):
        self._lock = threading.Lock()
        self._callers = 0
        self._limiter: Any = None
        self._first: threading.Thread | None = None

    def enter(self, limit: int) -> None:
        with self._lock:
            if self._callers == 0:
                self._limiter = _libraries().limit(limits=limit, user_api="blas")
                self._first = threading.current_thread()
            self._callers += 1

    def leave(self) -> None:
        with self._lock:
            self._callers -= 1
            if self._callers == 0:
                if self._first is not threading.current_thread():
                    _let_any_thread_set_limits()
                self._limiter.restore_original_limits()


def _let_any_thread_set_limits() -> None:
    # In later versions of threadpoolctl only the thread that set the first limit can set others until it
    # takes its own back; here it may have gone on to something else before the last caller is done.
    for each in _libraries().lib_controllers:
        clear = getattr(each, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)


_shared = _Shared()


@cache
def _libraries() -> ThreadpoolController:
    # What compiled loops call comes with SciPy; it has to be loaded to be found.
    import_module("scipy.linalg")
    return ThreadpoolController()
