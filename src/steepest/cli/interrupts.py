"""SIGTERM, by which schedulers and services end a process, taken for Ctrl-C: results are kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Termination", "termination_as_interrupt"]


class Termination:
    """Whether SIGTERM came."""

    def __init__(self) -> None:
        self.came = False


@contextmanager
def termination_as_interrupt() -> Iterator[Termination]:
    """Treat SIGTERM as Ctrl-C within the block, and yield whether it came."""
    found = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield found  # signals are the main thread's business
        return

    def interrupt(_number: int, frame: FrameType | None) -> None:
        found.came = True
        usual = signal.getsignal(signal.SIGINT)
        # Ignored where a shell started this in the background; the wish to end it is no less clear.
        handler = usual if callable(usual) else signal.default_int_handler
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield found
    finally:
        signal.signal(signal.SIGTERM, before)
