"""A small convolutional network on scikit-learn's digits: learning curves of five optimisers.

Two convolutions with normalisation and a linear head read images of 8 by 8 points. A fifth of the 1,797
images is held out. Run with

    python examples/digits_network.py --output digits-network.png
"""

from __future__ import annotations

import torch
from comparison import Task, arguments, compare, draw
from torch import Tensor, nn

import steepest as st

BATCH = 64
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)


def network() -> nn.Module:
    """Return a network that maps images [batch, 64] to logits of ten digits."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def task() -> Task:
    """Return the task, with the same images held out whatever the seed of a run."""
    problem = st.datasets.digits()
    order = torch.randperm(problem.samples, generator=torch.Generator().manual_seed(0))
    X = torch.tensor(problem.features, dtype=torch.float32)[order]
    y = torch.tensor(problem.labels)[order]
    X = (X - X.mean()) / X.std()
    trained = len(y) * 4 // 5

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(trained, (BATCH,), generator=generator)
        return X[chosen], y[chosen]

    def loss(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(given[0]), given[1])

    @torch.no_grad()
    def held_out(model: nn.Module) -> tuple[float, float]:
        model.eval()
        logits = model(X[trained:])
        model.train()
        found = nn.functional.cross_entropy(logits, y[trained:])
        return float(found), float((logits.argmax(-1) == y[trained:]).float().mean())

    return Task(network, batch, loss, held_out)


def main() -> None:
    """Tune, train, print and draw."""
    given = arguments(__doc__, "digits-network.png", steps=300)
    rates = RATES[1:3] if given.quick else RATES
    found = compare(task(), rates, given.steps, given.seeds, given.tuning_seeds)
    draw(found, "A convolutional network on digits", given.output)


if __name__ == "__main__":
    main()
