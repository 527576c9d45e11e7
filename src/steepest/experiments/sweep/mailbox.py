"""How a sweep and a worker in another process reach each other: by a folder that both can see.

It exists as long as the sweep wants its workers to go on, and holds a small file of progress for each. So it
works for every kind of worker, on this machine or on another that shares the disk.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from steepest.errors import RunError

__all__ = ["Mailbox", "Mailboxes"]

_SECONDS = 0.5
"""How often a worker tells how far it is and looks whether it is to go on."""


@dataclass
class Mailbox:
    """A worker's side: called with the run-steps that it has done; raises KeyboardInterrupt to stop it."""

    file: Path
    parent: int | None
    """The process without which it is not to go on, if that is its parent."""
    _due: float = field(default=0.0, compare=False)

    def __call__(self, done: int = 0) -> None:
        """Tell how far the worker is.

        Raises:
            KeyboardInterrupt: the sweep ended, was interrupted, or its process is gone.
        """
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS
        orphaned = self.parent is not None and os.getppid() != self.parent
        if orphaned or not self.file.parent.is_dir():
            raise KeyboardInterrupt
        with suppress(OSError):
            self.file.write_text(str(done), encoding="ascii")


@dataclass(frozen=True)
class Mailboxes:
    """The sweep's side."""

    folder: Path
    parent: int | None

    @classmethod
    def open(cls, directory: Path, parent: int | None) -> Mailboxes:
        """Make a folder of its own for one sweep, whose workers end with ``parent`` if it is their parent.

        Raises:
            RunError: it cannot be made.
        """
        folder = directory / f"sweep-{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written ({error.strerror or error})") from error
        return cls(folder.resolve(), parent)

    def of(self, key: str) -> Mailbox:
        """Return the mailbox of the worker at one result."""
        return Mailbox(self.folder / key, self.parent)

    def told(self, key: str) -> int:
        """Return the run-steps that the worker at a result has told of."""
        try:
            return int((self.folder / key).read_text(encoding="ascii"))
        except (OSError, ValueError):
            # Nothing told yet, or caught in the middle of being written.
            return 0

    def close(self) -> None:
        """Tell all workers to stop."""
        shutil.rmtree(self.folder, ignore_errors=True)
