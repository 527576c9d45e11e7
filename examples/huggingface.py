"""A GPT-2 of the transformers library, trained by its Trainer with Muon: one optimiser for every parameter.

The network is tiny and begins from random weights, the text is generated: nothing is downloaded. It needs
transformers and accelerate beside steepest[torch]. Run with

    python examples/huggingface.py
"""

from __future__ import annotations

import argparse
import tempfile

import torch
from character_transformer import text
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

from steepest.optim import Muon

CONTEXT = 64


class Characters(Dataset):
    """Windows of generated text, each its own labels: the model shifts them."""

    def __init__(self, characters: int, seed: int):
        written = text(characters, seed)
        self.alphabet = sorted(set(written))
        codes = torch.tensor([self.alphabet.index(character) for character in written])
        self.windows = codes[: len(codes) // CONTEXT * CONTEXT].unflatten(0, (-1, CONTEXT))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.windows[index], "labels": self.windows[index]}


def main() -> None:
    """Train, stop, go on from the checkpoint, and print the losses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    set_seed(0)
    data = Characters(200_000, seed=0)
    config = GPT2Config(
        vocab_size=len(data.alphabet),
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        for steps in (given.steps // 2, given.steps):
            model = GPT2LMHeadModel(config)
            optimizer = Muon(model, lr=0.01, momentum_dtype="int8")
            if steps < given.steps:
                print(optimizer.routing())
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (given.steps + 1))
            trainer = Trainer(
                model,
                TrainingArguments(
                    output_dir=folder,
                    max_steps=steps,
                    per_device_train_batch_size=16,
                    save_steps=given.steps // 2,
                    logging_steps=max(1, given.steps // 10),
                    report_to="none",
                    use_cpu=True,
                    disable_tqdm=True,
                ),
                train_dataset=data,
                optimizers=(optimizer, schedule),
            )
            trainer.train(resume_from_checkpoint=steps == given.steps)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(f"losses {losses[0]} to {losses[-1]}, after {trainer.state.global_step} steps with one resumption")


if __name__ == "__main__":
    main()
