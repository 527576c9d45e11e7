"""How often verdicts change on fresh data: disjoint blocks of ten data sets each, judged one by one."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from benchmarks.tables import machine, print_table
from steepest.experiments import Executor, Verdict, check_claims, find_experiment, run_experiment

_BLOCK = 10


def run(arguments: list[str]) -> None:
    """Run blocks of data seeds of a figure on the paper's data and print how often each verdict comes out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks verdicts", description=__doc__)
    parser.add_argument("--figures", nargs="+", default=["figure1", "figure3", "figure4"])
    parser.add_argument("--blocks", type=int, default=10, help="blocks of ten seeds, from seed 0 on")
    parser.add_argument("--output", type=Path, default=Path("results/verdicts"), help="where runs are kept")
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args(arguments)
    print(f"{machine('numpy', 'numba', 'scipy')}, {given.blocks} blocks of {_BLOCK} data seeds\n")
    rows = []
    for figure in given.figures:
        found: dict[tuple[str, str], Counter[Verdict]] = {}
        paper = find_experiment(figure)
        data = [each for each in paper.data if not each.generalises]
        for block in range(given.blocks):
            seeds = list(range(_BLOCK * block, _BLOCK * (block + 1)))
            experiment = paper.replaced({"data": [each.model_dump() for each in data], "seed": seeds})
            dataset = run_experiment(
                experiment, given.output, executor=Executor(workers=given.workers)
            ).dataset
            if dataset is None:
                return
            for row in check_claims(dataset, paper.claims):
                found.setdefault((row.name, row.norm), Counter())[row.verdict] += 1
        rows += [
            [figure, norm, name, *(str(counts[verdict]) for verdict in Verdict)]
            for (name, norm), counts in found.items()
        ]
    print_table(["figure", "norm", "claim", *(str(verdict) for verdict in Verdict)], rows)
