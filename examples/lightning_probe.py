"""A network on digits, trained by Lightning's Trainer with Muon, and watched by MarginMonitor.

It needs the package lightning beside steepest[torch,sklearn]. Run with

    python examples/lightning_probe.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import lightning
import torch
from digits_network import network
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import steepest as st
from steepest.optim import MarginMonitor, Muon


class Digits(lightning.LightningModule):
    """The convolutional network of digits_network.py, with one optimiser and its schedule."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps
        self.network = network()

    def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
        """Return the loss of a batch."""
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        """Return Muon for all parameters, and a schedule that is stepped after each batch."""
        optimizer = Muon(self.network, lr=0.003, momentum_dtype="int8")
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (self.steps + 1))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    """Train, save, go on from the checkpoint, and print margins of the head."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    lightning.seed_everything(0, verbose=False)
    problem = st.datasets.digits()
    X = torch.tensor(problem.features, dtype=torch.float32)
    data = TensorDataset((X - X.mean()) / X.std(), torch.tensor(problem.labels))
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        for steps in (given.steps // 2, given.steps):
            module = Digits(given.steps)
            trainer = lightning.Trainer(max_steps=steps, enable_checkpointing=False, **quiet)
            loader = DataLoader(data, batch_size=64, shuffle=True)
            trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
            checkpoint = str(Path(folder) / "last.ckpt")
            trainer.save_checkpoint(checkpoint)
    (optimizer,) = trainer.optimizers
    kept = {str(value.dtype) for state in optimizer.state.values() for value in state.values()}
    watching = MarginMonitor(module.network, DataLoader(data, batch_size=256), norms=["spectral"], gap=0.1)
    record = watching.measure()
    print(
        f"{trainer.global_step} steps with one resumption; loss {float(trainer.callback_metrics['loss']):.4f}"
    )
    print(f"averages are kept in {', '.join(sorted(kept))}; training accuracy {record.accuracy:.3f}")
    for name, found in record.margins.items():
        print(
            f"margin of the head in the {name} norm: {found.margin:.4g}; largest {found.solution.margin:.4g}"
        )


if __name__ == "__main__":
    main()
