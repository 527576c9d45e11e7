"""A figure of the paper, from runs that this script makes.

Quick ones take one data set and fewer batch sizes, and seconds instead of minutes. What was run is kept in
the folder results, so that a call that was interrupted goes on. Run with

    python examples/gallery/figures.py figure1 figure1.png --quick
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import steepest as st


def draw(name: str, path: Path, quick: bool = True) -> Path:
    """Reproduce figure1 to figure4, print the verdicts on what the paper says of it, and return the path."""
    report = st.experiments.reproduce(name, Path("results") / name, quick=quick)
    for claim in report.claims:
        print(f"{claim.norm}, {claim.data}: {claim.statement}: {claim.verdict.value}")
    picture = next(file for file in report.files if file.suffix == ".png")
    shutil.copyfile(picture, path)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw a figure of the paper.")
    parser.add_argument("name", choices=["figure1", "figure2", "figure3", "figure4"])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--quick", action="store_true", help="one data set, fewer batch sizes")
    given = parser.parse_args()
    print(draw(given.name, given.picture, given.quick))
