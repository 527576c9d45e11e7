"""Which margin does each optimiser maximise? The head of a small network on digits, watched while it trains.

Three optimisers, each steepest descent in a norm, train the same network from three seeds; the head's margin
in each norm stands beside the largest that its features allow, certified. Run with

    python examples/which_margin.py --output which-margin.png
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import steepest as st
from steepest.optim import MarginMonitor, SteepestDescent, cross_entropy

NORMS = {"max": "Signum", "frobenius": "NormalizedSGD", "spectral": "Muon"}
"""Each norm, and the optimiser whose steps are steepest in it."""
RATES = {"Signum": 0.003, "NormalizedSGD": 0.1, "Muon": 0.03}
"""Learning rates at the first step; they fall with the square root of the steps."""
MOMENTUM = 0.95
"""Without it mini-batches keep the margin of sign steps from growing."""


def network(seed: int) -> nn.Module:
    """Return a homogeneous network of two layers for the digits."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 48, bias=False), nn.ReLU(), nn.Linear(48, 10, bias=False)).double()


def optimizer(name: str, model: nn.Module) -> torch.optim.Optimizer:
    """Return an optimiser by its name, with steps of its norm's own length and exact polar factors."""
    norm = {optimizer: norm for norm, optimizer in NORMS.items()}[name]
    return SteepestDescent(model.parameters(), RATES[name], norm, MOMENTUM, scale="unit", polar="svd")


def trained(
    name: str, seed: int, steps: int, loader: list[tuple[torch.Tensor, torch.Tensor]]
) -> MarginMonitor:
    """Train on batches of 256, measured at steps that double; return what was seen."""
    model = network(seed)
    chosen = optimizer(name, model)
    schedule = torch.optim.lr_scheduler.LambdaLR(chosen, lambda step: (1 + step / 100) ** -0.5)
    measured = [0, *(2**power for power in range(4, steps.bit_length())), steps - 1]
    with MarginMonitor(model, loader, norms=list(NORMS), every=measured).attach(chosen) as monitor:
        for _, (X, y) in zip(range(steps), batches(loader, seed), strict=False):
            chosen.zero_grad()
            cross_entropy(model(X), y).backward()
            chosen.step()
            schedule.step()
    return monitor


def batches(
    loader: list[tuple[torch.Tensor, torch.Tensor]], seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of 256 samples in a fresh order each epoch, for ever."""
    ((X, y),) = loader
    generator = torch.Generator().manual_seed(seed)
    while True:
        for chosen in torch.randperm(len(y), generator=generator).split(256):
            yield X[chosen], y[chosen]


def main() -> None:
    """Train, print the errors at the end, and draw how they came about."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=4096)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("which-margin.png"))
    given = parser.parse_args()
    problem = st.datasets.digits()
    loader = [(torch.tensor(problem.features, dtype=torch.float64), torch.tensor(problem.labels))]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    print(f"{'':>14}" + "".join(f"{norm:>22}" for norm in NORMS))
    for axes, name in zip(figure.subplots(1, 3, sharey=True), NORMS.values(), strict=True):
        runs = [trained(name, seed, given.steps, loader).records for seed in range(given.seeds)]
        steps = [record.step + 1 for record in runs[0]]
        shown = []
        for norm in NORMS:
            shares = 1 - np.array([[record.margins[norm].relative_error for record in run] for run in runs])
            axes.plot(steps, np.median(shares, axis=0), label=norm)
            axes.fill_between(steps, shares.min(axis=0), shares.max(axis=0), alpha=0.2)
            last = shares[:, -1]
            shown.append(f"{np.median(last):8.3f} [{last.min():.3f}, {last.max():.3f}]")
        print(f"{name:>14}" + "".join(f"{each:>22}" for each in shown), flush=True)
        axes.set(title=name, xscale="log", xlabel="steps", ylim=(0, 1))
        axes.legend(title="norm", loc="upper left")
    figure.axes[0].set_ylabel("head's margin, as a share of\nthe largest on its features")
    figure.savefig(given.output, dpi=150)
    print(f"wrote {given.output}")


if __name__ == "__main__":
    mpl.use("agg")
    main()
