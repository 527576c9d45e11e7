"""A character transformer on generated text: learning curves of five optimisers.

The text is drawn from a grammar, so nothing is downloaded: short stories in which names come back, verbs
agree with their subjects, and sums are right. Two blocks of width 64 read 64 characters. Run with

    python examples/character_transformer.py --output character-transformer.png
"""

from __future__ import annotations

import random

import torch
from comparison import Task, arguments, compare, draw
from torch import Tensor, nn

WIDTH, HEADS, BLOCKS, CONTEXT, BATCH = 64, 4, 2, 64, 16
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)

_NAMES = ("ada", "boris", "chloe", "dmitri", "edith", "farid", "greta", "hugo")
_NOUNS = ("cat", "dog", "bird", "horse", "clerk", "judge")
_VERBS = ("see", "like", "follow", "hear", "greet")
_ADJECTIVES = ("small", "old", "quiet", "red", "clever")


def story(generator: random.Random) -> str:
    """Return a short story: two names, sentences about them with agreeing verbs, and a sum.

    >>> story(random.Random(0)).count(".") >= 3
    True
    """
    names = generator.sample(_NAMES, 2)
    sentences = [f"{names[0]} and {names[1]} meet"]
    for _ in range(generator.randint(2, 4)):
        subject = generator.choice([names[0], names[1], _noun_phrase(generator)])
        is_plural = subject.startswith("the ") and subject.endswith("s")
        verb = generator.choice(_VERBS) + ("" if is_plural else "s")
        sentences.append(f"{subject} {verb} {generator.choice([*names, _noun_phrase(generator)])}")
    left, right = generator.randint(0, 9), generator.randint(0, 9)
    sentences.append(f"{left} + {right} = {left + right}")
    return ". ".join(sentences) + ".\n"


def _noun_phrase(generator: random.Random) -> str:
    adjective = f"{generator.choice(_ADJECTIVES)} " if generator.random() < 0.5 else ""
    return f"the {adjective}{generator.choice(_NOUNS)}{generator.choice(['', 's'])}"


def text(characters: int, seed: int) -> str:
    """Return stories of so many characters in all."""
    generator = random.Random(seed)
    stories: list[str] = []
    length = 0
    while length < characters:
        stories.append(story(generator))
        length += len(stories[-1])
    return "".join(stories)[:characters]


class Block(nn.Module):
    """Causal attention and a perceptron, each after a normalisation and beside a shortcut."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Map [batch, length, width] to the same shape."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).flatten(-2))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Embeddings of characters and positions, blocks, and a head."""

    def __init__(self, characters: int):
        super().__init__()
        self.embedding = nn.Embedding(characters, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, characters, bias=False)
        for table in (self.embedding, self.positions):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Map characters [batch, length] to logits of those that follow."""
        return self.head(self.norm(self.blocks(self.embedding(x) + self.positions.weight[: x.shape[1]])))


def task(characters: int = 200_000) -> Task:
    """Return the task: nine tenths of the text to train on, the rest held out."""
    written = text(characters, seed=0)
    alphabet = {character: code for code, character in enumerate(sorted(set(written)))}
    codes = torch.tensor([alphabet[character] for character in written])
    training, held = codes[: len(codes) * 9 // 10], codes[len(codes) * 9 // 10 :]
    windows = held[: (len(held) - 1) // CONTEXT * CONTEXT].unflatten(0, (-1, CONTEXT))[:64]
    targets = held[1 : len(held) // CONTEXT * CONTEXT + 1].unflatten(0, (-1, CONTEXT))[: len(windows)]

    def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(training) - CONTEXT, (BATCH,), generator=generator)
        places = starts[:, None] + torch.arange(CONTEXT)
        return training[places], training[places + 1]

    def loss(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(given[0]).flatten(0, 1), given[1].flatten())

    @torch.no_grad()
    def held_out(model: nn.Module) -> tuple[float, float]:
        logits = model(windows)
        found = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return float(found), float((logits.argmax(-1) == targets).float().mean())

    return Task(lambda: Transformer(len(alphabet)), batch, loss, held_out)


def main() -> None:
    """Tune, train, print and draw."""
    given = arguments(__doc__, "character-transformer.png", steps=200)
    rates = RATES[1:3] if given.quick else RATES
    found = compare(
        task(20_000 if given.quick else 200_000), rates, given.steps, given.seeds, given.tuning_seeds
    )
    draw(found, "A character transformer on generated text", given.output)


if __name__ == "__main__":
    main()
