"""Does the best learning rate of a narrow network fit a wide one? Muon on digits, widths 64 to 512.

A perceptron of three layers is trained at each width on a grid of learning rates by factors of 2, with steps
scaled by √(rows / columns) ("spectral-width"), with steps of the root mean square of AdamW's ("matched-rms"),
and with AdamW itself. The head starts at zero. Run with

    python examples/width_transfer.py --output width-transfer.png
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import torch
from comparison import Made, Task, arguments, trained
from digits_network import task as digits_task
from matplotlib.figure import Figure
from torch import nn

from steepest.optim import Muon, Policy, Route

WIDTHS = (64, 128, 256, 512)


def _muon(scale: str) -> Made:
    """Return Muon with every matrix in the spectral norm, the first and the last too."""
    policy = Policy(patterns={"*": Route("spectral", scale)})
    return lambda model, lr: Muon(model, lr, momentum=0.9, polar="polar-express-5", policy=policy)


SCALINGS: Mapping[str, tuple[Made, Sequence[float]]] = {
    "spectral-width": (
        _muon("spectral-width"),
        tuple(2.0**power for power in range(-6, 0)),
    ),
    "matched-rms": (
        _muon("matched-rms"),
        tuple(2.0**power for power in range(-8, -2)),
    ),
    "AdamW": (
        lambda model, lr: torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.95), weight_decay=0.0),
        tuple(2.0**power for power in range(-10, -3)),
    ),
}


def network(width: int) -> nn.Module:
    """Return a perceptron of three layers without biases, whose head is zero."""
    head = nn.Linear(width, 10, bias=False)
    nn.init.zeros_(head.weight)
    layers = nn.Linear(64, width, bias=False), nn.ReLU(), nn.Linear(width, width, bias=False), nn.ReLU()
    return nn.Sequential(*layers, head)


def task(width: int) -> Task:
    """Return the digits with a network of a width; whose head of zeros makes all start alike."""
    digits = digits_task()
    return Task(lambda: network(width), digits.batch, digits.loss, digits.held_out)


def main() -> None:
    """Train every width at every rate, print the best, and draw losses over rates."""
    given = arguments(__doc__, "width-transfer.png", steps=40)
    widths = WIDTHS[:2] if given.quick else WIDTHS
    mpl.use("agg")
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    tasks = {width: task(width) for width in widths}
    for axes, (name, (made, grid)) in zip(figure.subplots(1, 3, sharey=True), SCALINGS.items(), strict=True):
        rates = grid[3:5] if given.quick else grid
        best: dict[int, int] = {}
        for width in widths:
            losses = np.array(
                [
                    [
                        trained(tasks[width], made, rate, seed, given.steps, 1).losses[-1]
                        for seed in range(given.seeds)
                    ]
                    for rate in rates
                ]
            )
            means = losses.mean(axis=1)
            best[width] = int(np.argmin(means))
            (line,) = axes.plot(rates, means, "o-", label=str(width), markersize=3)
            axes.fill_between(
                rates, losses.min(axis=1), losses.max(axis=1), alpha=0.2, color=line.get_color(), lw=0
            )
            shown = " ".join(f"{mean:.4f}" for mean in means)
            edge = " (at the edge)" if best[width] in (0, len(rates) - 1) else ""
            found = f"best 2^{np.log2(rates[best[width]]):.0f}{edge}"
            print(f"{name:>15} {width:>4}: {found}; {shown}", flush=True)
            kept = means[best[widths[0]]] / means[best[width]]
            print(f"{'':>21} loss at the best rate of width {widths[0]}: {kept:.3f} times the smallest")
        steps = max(best.values()) - min(best.values())
        print(f"{name:>15}: best rates of all widths within {steps} steps of a factor 2\n")
        axes.set_xscale("log", base=2)
        axes.set(title=name, yscale="log", ylim=(0.08, 12), xlabel="learning rate")
        axes.legend(title="width")
    figure.axes[0].set_ylabel("loss on held-out data")
    figure.savefig(given.output, dpi=150)
    print(f"wrote {given.output}")


if __name__ == "__main__":
    main()
