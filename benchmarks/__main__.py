"""`python -m benchmarks NAME`: prints one benchmark's table; `python -m benchmarks` lists them."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names, with the other arguments."""
    here = Path(__file__).parent
    names = sorted(each.stem for each in here.glob("[a-z]*.py") if "def run(" in each.read_text())
    if not arguments or arguments[0] not in names:
        print(f"usage: python -m benchmarks [{' | '.join(names)}] [--help]", file=sys.stderr)
        return 2
    import_module(f"benchmarks.{arguments[0]}").run(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
