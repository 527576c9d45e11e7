"""What averages in bfloat16 and in 8 bits cost in loss: the character transformer, three seeds each.

Run with

python examples/momentum_dtypes.py
"""

from __future__ import annotations

import numpy as np
import torch
from character_transformer import task
from comparison import Made, arguments, trained

from steepest.optim import Muon, NormalizedSGD, Signum

RATES = {Muon: 0.03, Signum: 0.01, NormalizedSGD: 0.01}
"""The best of the grid of character_transformer.py."""
DTYPES = (None, "bfloat16", "int8")


def made(cls: type[Muon] | type[Signum] | type[NormalizedSGD], dtype: str | None, kept: list[float]) -> Made:
    """Return what makes an optimiser, and notes after each step how many bytes an entry its state takes."""

    def make(model: torch.nn.Module, lr: float) -> torch.optim.Optimizer:
        optimizer = cls(model, lr, momentum=0.9, scale="matched-rms", momentum_dtype=dtype)
        optimizer.register_step_post_hook(lambda *_: kept.append(_bytes(optimizer)))
        return optimizer

    return make


def _bytes(optimizer: torch.optim.Optimizer) -> float:
    taken = sum(each.nbytes for state in optimizer.state.values() for each in state.values())
    return taken / sum(param.numel() for param in optimizer.state)


def main() -> None:
    """Train from the same seeds with each dtype, and print losses and bytes."""
    given = arguments(__doc__, "", steps=200)
    text = task(20_000 if given.quick else 200_000)
    for cls, rate in RATES.items():
        base = np.nan
        for dtype in DTYPES:
            kept: list[float] = []
            losses = [
                trained(text, made(cls, dtype, kept), rate, seed, given.steps, 1).losses[-1]
                for seed in range(given.seeds)
            ]
            base = np.mean(losses) if dtype is None else base
            shown = " ".join(f"{loss:.4f}" for loss in losses)
            change = 100 * (np.mean(losses) / base - 1)
            line = f"{cls.__name__:>14} {dtype!s:>9}: {kept[-1]:.3f} bytes an entry"
            print(f"{line}; {shown}; mean {change:+.2f} %", flush=True)


if __name__ == "__main__":
    main()
