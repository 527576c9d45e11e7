"""What a person sees while a command works; all of it on standard error, so that results can be piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import typer

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


def waiting(what: str) -> Any:
    """Return a context in which a terminal shows that something is being done."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


@contextmanager
def progress(unit: str) -> Iterator[Report]:
    """Yield a function that shows progress: a bar on a terminal, otherwise a line every tenth of the way."""
    if sys.stderr.isatty():
        with _bar() as report:
            yield report
    else:
        yield _Lines(unit)


@contextmanager
def _bar() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="dim", no_wrap=True)

    console = Console(stderr=True)
    columns = (BarColumn(16), TaskProgressColumn(), Rate(), TimeRemainingColumn(compact=True))
    with Progress("{task.description}", *columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


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
