"""What a person sees while a command works; all of it on standard error, so that results can be piped."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from steepest.experiments.inputs import Announce
    from steepest.maxmargin import Progress

_FIRST_LINE = 10.0
"""Seconds after which the first line is written of what is no terminal; each next one after as long again."""
_KNOWN = 1e5
"""Seconds beyond which an estimate is none."""
_SOON = 2.0
"""Seconds after which a terminal shows that code is compiled."""
_COMPILING = "compiling for this machine, once: some 25 seconds, or more where it is busy"


def _at_a_terminal() -> bool:
    # A service may have closed it.
    return sys.stderr is not None and sys.stderr.isatty()


def _in_log(line: str) -> None:
    typer.echo(line, err=True)


def waiting(what: str) -> Any:
    """Return a context in which a terminal shows that something is being done."""
    if not _at_a_terminal():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


@contextmanager
def _compilation_told(say: Callable[[str], None], seconds: float) -> Iterator[None]:
    """Say after so many seconds that code is compiled, if any was: nothing else is reported meanwhile."""
    from numba.core.event import install_recorder

    with install_recorder("numba:compile") as recorded:
        timer = threading.Timer(seconds, lambda: say(_COMPILING) if recorded.buffer else None)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def saying(what: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done: beside a spinner, or in lines of a log."""
    if _at_a_terminal():
        from rich.console import Console

        with Console(stderr=True).status(what) as status, _compilation_told(status.update, _SOON):
            yield lambda doing: status.update(f"{what}: {doing}")
        return
    start, said = time.monotonic(), _FIRST_LINE

    def line(doing: str) -> None:
        nonlocal said
        seconds = time.monotonic() - start
        if seconds >= said:
            said = 2 * seconds
            typer.echo(f"{what}: {doing}, {seconds:,.0f} s", err=True)

    with _compilation_told(_in_log, _FIRST_LINE):
        yield line


@contextmanager
def solving(what: str) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows how far a max margin has come: beside a spinner, or in lines of a log."""
    if _at_a_terminal():
        from rich.console import Console

        with Console(stderr=True).status(what) as status, _compilation_told(status.update, _SOON):
            yield lambda found: status.update(f"{what}: {_of_max_margin(found)}")
        return
    said = _FIRST_LINE

    def line(found: Progress) -> None:
        nonlocal said
        if found.seconds >= said:
            said = 2 * found.seconds
            typer.echo(f"{what}: {_of_max_margin(found)}", err=True)

    with _compilation_told(_in_log, _FIRST_LINE):
        yield line


def _of_max_margin(found: Progress) -> str:
    left = (
        f"about {found.remaining_seconds:,.0f} s left" if found.remaining_seconds < _KNOWN else "still open"
    )
    certified = f"certified {found.margin:.6g} to {found.upper_bound:.6g} (gap {found.relative_gap:.1g}), "
    return (
        f"{found.method}, {certified if found.margin > 0 else ''}"
        f"gap {found.method_gap:.1g} not yet certified, {found.iterations:,} iterations, "
        f"{found.iterations_per_second:,.0f} a second, {found.seconds:,.0f} s, {left}"
    )


@contextmanager
def progress(unit: str) -> Iterator[Announce]:
    """Yield a function that shows progress: a bar on a terminal, otherwise a line every tenth of the way."""
    if _at_a_terminal():
        with _bar(unit) as report:
            yield report
    else:
        with _compilation_told(_in_log, _FIRST_LINE):
            yield _Lines(unit)


@contextmanager
def _bar(unit: str) -> Iterator[Announce]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        TaskID,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="dim", no_wrap=True)

    console = Console(stderr=True)
    columns = (BarColumn(16), TaskProgressColumn(), Rate(), TimeRemainingColumn(compact=True))
    # The text gives way where a terminal is narrow, never the numbers.
    text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    with Progress(text, *columns, console=console, transient=True, expand=True) as bar:
        task: TaskID | None = None

        def report(what: str, done: int, total: int) -> None:
            nonlocal task
            if task is None:
                # What is there from the start was not done in this run, and says nothing of its speed.
                task = bar.add_task(what, total=total, completed=done)
            bar.update(task, description=what, completed=done, total=total)

        yield report


class _Lines:
    """Progress for a log file: a line at each tenth of the way."""

    def __init__(self, unit: str):
        self.unit = unit
        self.tenth = -1

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if tenth > self.tenth:
            self.tenth = tenth
            typer.echo(f"{10 * tenth:3d} %  {done:,} of {total:,} {self.unit}  {what}", err=True)
