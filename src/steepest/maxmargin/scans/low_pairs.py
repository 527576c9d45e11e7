"""The pairs of low margin, found by a scan: what a working set lacks, and the smallest margin of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from steepest.features import Block, Rows

__all__ = ["LowPairs", "low_pairs_of_all", "scan_low_pairs"]


@dataclass(frozen=True)
class LowPairs:
    """Pairs of a block whose margins are below a ceiling, and the smallest margin of the block."""

    samples: np.ndarray
    """i of every pair, counted from the first sample of all, shape [s]."""
    classes: np.ndarray
    """c of every pair, shape [s]."""
    margins: np.ndarray
    """Their margins, shape [s]."""
    smallest: float
    """Smallest margin of any pair of the block."""

    def lowest(self, most: int) -> LowPairs:
        """At most so many pairs, those of lowest margin."""
        if len(self.margins) <= most:
            return self
        kept = np.argpartition(self.margins, most)[:most]
        return LowPairs(self.samples[kept], self.classes[kept], self.margins[kept], self.smallest)


def scan_low_pairs(
    rows: Rows, labels: np.ndarray, W: np.ndarray, ceiling: float, most: int, precision: type | None = None
) -> Iterator[LowPairs]:
    """Yield the pairs of W [k, d] with margins below ``ceiling``, at most ``most`` of each block.

    ``W`` may change between two blocks. Products are of the precision of the features, unless another one is
    given: this selects, and certifies nothing.
    """
    visit = partial(_low_pairs, labels=labels, W=W, ceiling=ceiling, most=most, precision=precision)
    return rows.scan(visit, W.shape[0])


def low_pairs_of_all(
    rows: Rows, labels: np.ndarray, W: np.ndarray, ceiling: float, most: int, precision: type | None = None
) -> LowPairs:
    """At most ``most`` pairs of W [k, d] with margins below ``ceiling``, and the smallest margin of all.

    Products are of a precision of their own where one is given.
    """
    parts = list(scan_low_pairs(rows, labels, W, ceiling, most, precision))
    samples, classes, margins = (
        np.concatenate([getattr(each, name) for each in parts]) for name in ("samples", "classes", "margins")
    )
    return LowPairs(samples, classes, margins, min(each.smallest for each in parts)).lowest(most)


def _low_pairs(
    start: int,
    block: Block,
    *,
    labels: np.ndarray,
    W: np.ndarray,
    ceiling: float,
    most: int,
    precision: type | None,
) -> LowPairs:
    block = block if precision is None else block.astype(precision, copy=False)
    y, index = labels[start : start + block.shape[0]], np.arange(block.shape[0])
    logits = np.asarray(block @ W.T.astype(block.dtype))
    true = logits[index, y]
    logits[index, y] = -np.inf
    # The margin is below the ceiling where the logit is above this.
    samples, classes = np.nonzero(logits > (true - block.dtype.type(ceiling))[:, None])
    margins = true[samples] - logits[samples, classes]
    smallest = float(np.min(true - logits.max(axis=1)))
    return LowPairs(start + samples, classes, margins.astype(np.float64), smallest).lowest(most)
