"""``python -m steepest``, and the console script ``steepest``: the command line, where it is installed."""

from __future__ import annotations

import sys

from steepest.errors import MissingExtra
from steepest.extras import require

__all__ = ["main"]

_MISSING = 3
"""The exit code of a run that could not be finished; ``steepest.cli`` has them all, but needs the extra."""


def main() -> int:
    """Run the command line and return its exit code; without the extra [lab], say so in one line."""
    try:
        require("lab", "the command line")
    except MissingExtra as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - what prints otherwise is missing
        return _MISSING
    from steepest.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
