"""Curves of five optimisers on the digits, each at its best learning rate of a grid: optimisers.py PICTURE.

A network 64-128-128-10, batches of 128, rates that fall to zero; medians and ranges of three seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.nn import Linear, ReLU, Sequential, functional

import steepest as st
from steepest.optim import SteepestDescent

NORMS = {"Muon": "spectral", "Signum": "max", "NormalizedSGD": "frobenius", "rows": "row-2/inf"}
DIGITS = st.datasets.digits()
RATES = (0.05, 0.025, 0.0125, 0.0063, 0.0031, 0.0016, 0.0008)


def curve(name: str, rate: float, seed: int, steps: int) -> np.ndarray:
    """Train on 1200 digits; return the loss on the other 597 at every tenth step."""
    torch.manual_seed(seed)
    X, y = torch.tensor(DIGITS.features).float(), torch.tensor(DIGITS.labels)
    model = Sequential(Linear(64, 128), ReLU(), Linear(128, 128), ReLU(), Linear(128, 10))
    chosen = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    if name in NORMS:
        chosen = SteepestDescent(model, rate, NORMS[name], 0.9, nesterov=True, scale="matched-rms")
    schedule, losses = torch.optim.lr_scheduler.LinearLR(chosen, 1.0, 0.02, steps), []
    for step, batch in enumerate(torch.randint(1200, (steps + 1, 128))):
        if step % 10 == 0:
            losses.append(functional.cross_entropy(model(X[1200:]), y[1200:]).item())
        model.zero_grad()
        functional.cross_entropy(model(X[batch]), y[batch]).backward()
        chosen.step()
        schedule.step()
    return np.array(losses)


def draw(path: Path, steps: int = 300, rates: tuple[float, ...] = RATES) -> Path:
    """Draw the curves at the rates with the lowest median loss at the end, and return the path."""
    panel = (figure := Figure(figsize=(7.5, 4.4), layout="constrained")).subplots()
    for name in (*NORMS, "AdamW"):
        tried = [(rate, np.array([curve(name, rate, seed, steps) for seed in range(3)])) for rate in rates]
        rate, losses = min(tried, key=lambda each: np.median(each[1][:, -1]))
        label = f"{name} at {rate:.2g}: {np.median(losses[:, -1]):.3f}"
        panel.semilogy(range(0, steps + 1, 10), np.median(losses, 0), label=label)
        panel.fill_between(range(0, steps + 1, 10), losses.min(0), losses.max(0), alpha=0.2)
    panel.yaxis.set(major_formatter="{x:g}", minor_formatter="{x:g}")
    panel.set(xlabel="step", ylabel="loss on held-out digits")
    panel.legend()
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    print(draw(Path((sys.argv[1:] or ["optimisers.png"])[0])))
