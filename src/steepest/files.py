"""Files that are whole or not there: written under another name, brought to the disk, then renamed.

Every file that steepest writes goes through here, so that a full disk, Ctrl-C or a crash leaves what was
there before as it was.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from steepest.errors import InvalidArgument, RunError

__all__ = ["check_writable", "write_bytes", "write_text", "writing"]

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


def check_writable(argument: str, path: Path, endings: Iterable[str]) -> None:
    """Refuse a file that could not be written in the end, or whose ending is another.

    Told before the work, not after it.

    Args:
        argument: what names the file, for the message.
        path: of the file.
        endings: those that it may have, such as ".npz".

    Raises:
        InvalidArgument: with what to do.

    >>> check_writable("output", Path("weights.txt"), [".npz"])
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: output='weights.txt': give a file name that ends in .npz
    """
    allowed = tuple(endings)
    if path.suffix not in allowed:
        listed = " or ".join(filter(None, (", ".join(allowed[:-1]), allowed[-1])))
        raise InvalidArgument(argument, str(path), f"give a file name that ends in {listed}")
    try:
        if path.is_dir():
            raise InvalidArgument(argument, str(path), "this is a folder: give the name of a file in it")
        if not path.parent.is_dir():
            raise InvalidArgument(argument, str(path), f"make the folder {path.parent} first")
        path.exists()
    except OSError as error:
        raise InvalidArgument(argument, str(path), f"no such file can be: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise InvalidArgument(argument, str(path), f"the folder {path.parent} cannot be written to")


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
