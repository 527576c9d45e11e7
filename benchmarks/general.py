"""Max margins of norms that hide all but value, dual and direction, beside the norms themselves.

What a norm of a user's own gets from cutting planes: the certified gap and the seconds, on Gaussian data.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import steepest as st
from benchmarks.margin import instance
from benchmarks.tables import machine, print_table

NORMS = (
    "frobenius",
    "spectral",
    "nuclear",
    "schatten-4",
    "entrywise-3",
    "max",
    "sum",
    "row-2/inf",
    "row-2/1",
)
INSTANCES = ("3x10x8", "5x50x50", "10x100x100")


@dataclass(frozen=True)
class Hidden:
    """A norm without its capabilities."""

    norm: st.geometry.Norm

    def __call__(self, A: Any) -> Any:
        """Return the norm's value."""
        return self.norm(A)

    def dual(self, A: Any) -> Any:
        """Return the dual norm's value."""
        return self.norm.dual(A)

    def direction(self, S: Any) -> Any:
        """Return the norm's direction."""
        return self.norm.direction(S)

    def __str__(self) -> str:
        return f"hidden {self.norm}"


def run(arguments: list[str]) -> None:
    """Print a table of gaps and seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks general", description=__doc__)
    parser.add_argument("instances", nargs="*", default=INSTANCES, help="classes x samples x features")
    parser.add_argument("--norms", default=",".join(NORMS))
    parser.add_argument("--limit", type=float, default=30.0, help="seconds a line")
    options = parser.parse_args(arguments)
    print(machine("numpy", "scipy"))
    rows = []
    for name in options.instances:
        problem = instance(name)
        for norm in map(st.norm, options.norms.split(",")):
            hidden = st.max_margin(problem, Hidden(norm), time_limit=options.limit)
            known = st.max_margin(problem, norm, time_limit=options.limit)
            assert hidden.margin <= known.upper_bound
            assert known.margin <= hidden.upper_bound
            rows.append(
                [
                    name,
                    str(norm),
                    f"{hidden.relative_gap:.0e}",
                    f"{hidden.seconds:.2f}",
                    f"{known.relative_gap:.0e}",
                    f"{known.seconds:.2f}",
                ]
            )
    print_table(["instance", "norm", "gap by cuts", "seconds", "gap with all it offers", "seconds"], rows)
