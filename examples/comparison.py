"""Learning curves of several optimisers on one task, each at the learning rate that suits it.

Every optimiser is tried on the same grid of learning rates, from seeds of its own; what is reported are fresh
seeds at the rate whose mean loss on held-out data was smallest at the end. The learning rate falls linearly
to 0 after a short rise. The other scripts of this folder import this module.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from steepest.optim import Muon, NormalizedSGD, Signum, SteepestDescent

Made = Callable[[nn.Module, float], torch.optim.Optimizer]

_SAME_LENGTH = {"scale": "matched-rms"}
"""Steps of root mean square 0.2 lr, as AdamW's are about: one grid suits all."""

OPTIMISERS: Mapping[str, Made] = {
    "Muon": lambda model, lr: Muon(model, lr, momentum=0.95),
    "Signum": lambda model, lr: Signum(model, lr, momentum=0.9, **_SAME_LENGTH),
    "NormalizedSGD": lambda model, lr: NormalizedSGD(model, lr, momentum=0.9, **_SAME_LENGTH),
    "rows": lambda model, lr: SteepestDescent(model, lr, "row-2/inf", momentum=0.9, **_SAME_LENGTH),
    "AdamW": lambda model, lr: torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.95), weight_decay=0.0),
}
"""Muon with the default policy for a whole model; "rows" is steepest descent in the largest row length."""

TUNING_SEED = 1000
"""Seeds of the tuning runs begin here, so that no reported run has been chosen."""


@dataclass(frozen=True)
class Task:
    """What is trained: a model, batches of it, and its losses, each a function of a seed or a model."""

    model: Callable[[], nn.Module]
    batch: Callable[[torch.Generator], tuple[Tensor, Tensor]]
    loss: Callable[[nn.Module, tuple[Tensor, Tensor]], Tensor]
    held_out: Callable[[nn.Module], tuple[float, float]]
    """Mean loss and accuracy on data that no batch has."""


@dataclass(frozen=True)
class Curve:
    """What one run measured: steps, losses and accuracies on held-out data, and its processor seconds."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    seconds: float


def trained(task: Task, made: Made, lr: float, seed: int, steps: int, looks: int = 12) -> Curve:
    """Train from one seed, and look at held-out data a few times; a diverged run has infinite losses."""
    torch.manual_seed(seed)
    model = task.model()
    optimizer = made(model, lr)
    rise = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / rise, (steps - step) / (steps - rise))
    )
    generator = torch.Generator().manual_seed(seed)
    looked = sorted({round(step) for step in np.linspace(0, steps, looks + 1)})
    found: list[tuple[float, float]] = []
    started = time.process_time()
    for step in range(steps + 1):
        if step in looked:
            loss, accuracy = task.held_out(model)
            found.append((loss if np.isfinite(loss) else np.inf, accuracy))
        if step < steps:
            optimizer.zero_grad()
            task.loss(model, task.batch(generator)).backward()
            optimizer.step()
            schedule.step()
    losses, accuracies = zip(*found, strict=True)
    return Curve(tuple(looked), losses, accuracies, time.process_time() - started)


def tuned_rate(
    task: Task, made: Made, rates: Sequence[float], seeds: int, steps: int
) -> tuple[float, dict[float, float]]:
    """Return the rate of the smallest mean loss at the end, and the mean losses of all."""
    ends = {
        rate: float(
            np.mean(
                [trained(task, made, rate, TUNING_SEED + seed, steps, 1).losses[-1] for seed in range(seeds)]
            )
        )
        for rate in rates
    }
    return min(ends, key=lambda rate: ends[rate]), ends


def compare(
    task: Task,
    rates: Sequence[float],
    steps: int,
    seeds: int,
    tuning_seeds: int,
    optimisers: Mapping[str, Made] = OPTIMISERS,
) -> dict[str, tuple[float, list[Curve]]]:
    """Tune and train each optimiser; print a table; return rates and curves by name."""
    print(f"mean loss of {tuning_seeds} tuning seeds after {steps} steps, by learning rate")
    print(f"{'':>14}" + "".join(f"{rate:>10.4g}" for rate in rates))
    found = {}
    for name, made in optimisers.items():
        best, ends = tuned_rate(task, made, rates, tuning_seeds, steps)
        edge = "  (at the edge of the grid)" if best in (rates[0], rates[-1]) else ""
        print(f"{name:>14}" + "".join(f"{ends[rate]:>10.4f}" for rate in rates) + edge, flush=True)
        found[name] = best, [trained(task, made, best, seed, steps) for seed in range(seeds)]
    print(f"\n{seeds} fresh seeds: median [smallest, largest]")
    print(f"{'':>14}{'lr':>10}{'loss':>26}{'accuracy':>26}{'seconds':>10}")
    for name, (rate, curves) in found.items():
        losses = _spread([curve.losses[-1] for curve in curves], 4)
        accuracies = _spread([curve.accuracies[-1] for curve in curves], 3)
        seconds = np.median([curve.seconds for curve in curves])
        print(f"{name:>14}{rate:>10.4g}{losses:>26}{accuracies:>26}{seconds:>10.1f}")
    return found


def _spread(values: Sequence[float], digits: int) -> str:
    return f"{np.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def draw(found: Mapping[str, tuple[float, list[Curve]]], title: str, output: Path) -> None:
    """Draw medians and bands from the smallest to the largest loss of the seeds; write the numbers beside."""
    # Examples that draw nothing train the same networks where there is no matplotlib.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name, (rate, curves) in found.items():
        losses = np.array([curve.losses for curve in curves])
        (line,) = axes.plot(curves[0].steps, np.median(losses, axis=0), label=f"{name}, lr {rate:.3g}")
        axes.fill_between(
            curves[0].steps, losses.min(axis=0), losses.max(axis=0), alpha=0.2, color=line.get_color(), lw=0
        )
    axes.set(title=title, xlabel="steps", ylabel="loss on held-out data", yscale="log")
    axes.legend()
    figure.savefig(output, dpi=150)
    with output.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["optimiser", "lr", "seed", "step", "loss", "accuracy"])
        for name, (rate, curves) in found.items():
            for seed, curve in enumerate(curves):
                for row in zip(curve.steps, curve.losses, curve.accuracies, strict=True):
                    writer.writerow([name, rate, seed, *row])
    print(f"wrote {output} and {output.with_suffix('.csv')}")


def arguments(description: str | None, output: str, steps: int) -> argparse.Namespace:
    """Read the options that all scripts of this folder have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seeds", type=int, default=3, help="fresh ones, from which bands are drawn")
    parser.add_argument("--tuning-seeds", type=int, default=1, help="for each learning rate of the grid")
    parser.add_argument("--output", type=Path, default=Path(output))
    parser.add_argument("--quick", action="store_true", help="a few steps at two rates, to see it run")
    given = parser.parse_args()
    if given.quick:
        given.steps, given.seeds = min(given.steps, 3), min(given.seeds, 2)
    return given
