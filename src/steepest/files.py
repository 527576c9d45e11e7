"""Files that are whole or not there: written under another name, brought to the disk, then renamed.

Every file that steepest writes goes through here, so that a full disk, Ctrl-C or a crash leaves what was
there before as it was.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from steepest.errors import RunError

__all__ = ["write_bytes", "write_text", "writing"]

_LONGEST_STEM = 40
"""Characters of a file's name in its temporary one, so that a name of the longest length has one too."""


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a binary file whose content takes the place of ``path`` once the block ends without an error.

    Folders that are missing are made. A link is followed, and what is no plain file (/dev/stdout, a pipe) is
    written to directly.

    Raises:
        RunError: it cannot be written; what was there before is left as it was.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "made" / "numbers.bin"
    ...     with writing(path) as file:
    ...         _ = file.write(bytes([1, 2, 3]))
    ...     list(path.read_bytes()), len(list(path.parent.iterdir()))
    ([1, 2, 3], 1)
    """
    try:
        place = Path(path).resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        with _opened(place) as file:
            yield file
    except OSError as error:
        raise RunError(f"{os.fspath(path)}: cannot be written ({error.strerror or error})") from error


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write bytes as a whole, or leave what was there, and return the path; see :func:`writing`.

    Args:
        path: of the file.
        content: all of it.

    Raises:
        RunError: it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     list(write_bytes(Path(folder) / "numbers.bin", bytes([1, 2])).read_bytes())
    [1, 2]
    """
    with writing(path) as file:
        file.write(content)
    return Path(path)


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write a text in UTF-8 as a whole, or leave what was there, and return the path; see :func:`writing`.

    Args:
        path: of the file.
        content: all of it.

    Raises:
        RunError: it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "words.txt", "γ").read_text("utf-8")
    'γ'
    """
    return write_bytes(path, content.encode())


@contextmanager
def _opened(place: Path) -> Iterator[IO[bytes]]:
    if place.exists() and not place.is_file() and not place.is_dir():
        with place.open("wb") as file:
            yield file
        return
    # Threads and processes that write the same file must not share its temporary name.
    temporary = place.with_name(f".{place.name[:_LONGEST_STEM]}.{uuid.uuid4().hex[:12]}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    finally:
        with suppress(OSError):
            temporary.unlink()
