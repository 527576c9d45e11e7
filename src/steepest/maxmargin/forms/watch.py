"""A computation that is watched: told how far it has come, and stopped by its caller or by Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from steepest.maxmargin.forms.best import relative_gap

__all__ = ["Progress", "ProgressCallback", "Watch", "watched"]

_APART = 0.05
"""Seconds between two calls of a callback, at least."""
_RECENT = 0.5
"""Share of the time so far from which the pace is taken."""


@dataclass(frozen=True)
class Progress:
    """How far a max-margin computation has come."""

    method: str
    """The method at work."""
    iterations: int
    """Its iterations so far."""
    method_gap: float
    """Relative gap of its own bounds, ahead of the certified ones, rounding not accounted for; at most 1."""
    margin: float
    """The certified lower bound so far, in units of the features."""
    upper_bound: float
    """The certified upper bound so far; infinite before there is one."""
    seconds: float
    """Since the computation began."""
    iterations_per_second: float
    """Of the method at work, on average."""
    remaining_seconds: float
    """Until the gap that was asked for, if the method's falls on as of late; infinite where it does not."""

    @property
    def relative_gap(self) -> float:
        """Relative gap of the certified bounds so far; 1 before there are two."""
        return relative_gap(self.margin, self.upper_bound) if self.upper_bound < math.inf else 1.0


ProgressCallback = Callable[[Progress], bool | None]
"""Called twenty times a second at most; where it returns True the computation ends with its best bounds."""


@dataclass
class Watch:
    """What is told to a callback, and whether the computation is to stop."""

    callback: ProgressCallback
    gap: float
    started: float = field(default_factory=time.perf_counter)
    stopped: bool = False
    interrupted: bool = False
    margin: float = 0.0
    upper_bound: float = math.inf
    _last: float = -math.inf
    _method: tuple[str, float, int] = ("", 0.0, 0)
    """The method at work, when it began and with which count of iterations."""
    _falls: list[tuple[float, float]] = field(default_factory=list)
    """Seconds and decimal logarithms of the gap, as they were told."""

    def tell(self, method: str, iterations: int, gap: float) -> None:
        """Tell the callback, unless it was told a moment ago."""
        seconds = time.perf_counter() - self.started
        if method != self._method[0]:
            self._method, self._falls = (method, seconds, iterations), []
        if seconds - self._last < _APART or self.stopped:
            return
        self._last = seconds
        gap = max(gap, 0.0) if gap <= 1.0 else 1.0  # NaN and infinity too are no gap yet
        self._falls.append((seconds, math.log10(max(gap, 1e-300))))
        _, began, first = self._method
        taken = max(seconds - began, 1e-9)
        found = Progress(
            method,
            iterations,
            gap,
            self.margin,
            self.upper_bound,
            seconds,
            (iterations - first) / taken,
            self._remaining(),
        )
        if self.callback(found) is True:
            self.stopped = True

    def certified(self, margin: float, upper_bound: float) -> None:
        """Take note of certified bounds."""
        self.margin, self.upper_bound = margin, upper_bound

    def _remaining(self) -> float:
        now, reached = self._falls[-1]
        wanted = math.log10(self.gap)
        began = self._falls[0][0]
        before = next(each for each in self._falls if each[0] >= began + _RECENT * (now - began))
        fall = before[1] - reached
        if reached <= wanted:
            return 0.0
        return (reached - wanted) * (now - before[0]) / fall if fall > 0 else math.inf


@contextmanager
def watched(callback: ProgressCallback | None, gap: float) -> Iterator[Watch | None]:
    """Yield what watches a computation; Ctrl-C within the block stops it, a second one interrupts as ever.

    Without a callback nothing is watched, and Ctrl-C is what it always is.
    """
    if callback is None:
        yield None
        return
    watch = Watch(callback, gap)
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield watch
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if watch.interrupted:
            usual(number, frame)
        watch.stopped = watch.interrupted = True

    signal.signal(signal.SIGINT, stop)
    try:
        yield watch
    finally:
        signal.signal(signal.SIGINT, usual)
