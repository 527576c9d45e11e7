"""Text files that are never half written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from steepest.errors import RunError

__all__ = ["write_text"]


def write_text(path: Path, content: str) -> Path:
    """Write a text under a temporary name, rename it into place and return its path.

    Folders that are missing are made.

    Raises:
        RunError: it cannot be written; what was there before is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return path
