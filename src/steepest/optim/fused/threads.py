"""Threads of compiled steps: as many as PyTorch takes for its own operations, kept from step to step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

__all__ = ["in_threads", "threads_for"]

_ENTRIES_A_THREAD = 1 << 18
"""Fewer are stepped in less time than it takes to wake a thread."""


def threads_for(entries: int) -> int:
    """Return how many threads step so many entries.

    >>> threads_for(1000)
    1
    """
    return max(1, min(torch.get_num_threads(), entries // _ENTRIES_A_THREAD))


def in_threads(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks, each but the first in a thread of its own, and wait for all."""
    waiting = [_pool(os.getpid()).submit(task) for task in tasks[1:]]
    for task in tasks[:1]:
        task()
    for each in waiting:
        each.result()


@cache
def _pool(_process: int) -> ThreadPoolExecutor:
    # A forked process has none of its parent's threads.
    return ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="steepest")
