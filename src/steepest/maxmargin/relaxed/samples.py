"""The samples of a relaxed max margin where their features are: read in blocks, or some of them in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sparse

from steepest.doubled import head, precise_product
from steepest.features import Block, Rows
from steepest.maxmargin.relaxed.band import Band, joined_columns
from steepest.maxmargin.relaxed.terms import Terms
from steepest.maxmargin.scans.working_set import row_squares
from steepest.problem import Classification

__all__ = ["Lowest", "Samples", "samples_of"]

_OFFSET = 100.0
"""Offsets of features, in root mean squares of what is left, up to which float32 tells margins apart."""


@dataclass(frozen=True)
class Lowest:
    """The smallest margins of all samples for some weights."""

    margins: np.ndarray
    """Smallest margin of each sample, infinite for those that are left out, shape [n]."""
    classes: np.ndarray
    """The class of that margin, shape [n]."""
    apart: np.ndarray
    """By how much the next margin is larger, shape [n]."""


@dataclass(frozen=True)
class Columns:
    """What is penalised and what is free of a block; it knows no more, so that it travels well."""

    penalised: np.ndarray
    """Features whose weights the norm measures, shape [p]."""
    free: tuple[int, ...]
    intercept: bool
    shift: np.ndarray
    """What is taken from features before, where an intercept makes up for it, shape [d]."""

    def parts(self, block: Block) -> tuple[Block, np.ndarray]:
        """Penalised and free features of some rows in float64, shifted."""
        columns, count = list(self.free), block.shape[0]
        block = block.astype(np.float64, copy=True)
        if sparse.issparse(block):
            if self.shift.any():
                block.data -= self.shift[block.indices]
            free = block[:, columns].toarray() if columns else np.zeros((count, 0))
        else:
            block -= self.shift
            free = block[:, columns]
        free = np.concatenate([np.ones((count, int(self.intercept))), free], axis=1)
        return (block[:, self.penalised] if columns else block), free


@dataclass(frozen=True)
class Samples:
    """All samples, with what a solver divides features by and takes from them."""

    rows: Rows
    labels: np.ndarray
    """Class of each sample, shape [n]."""
    classes: int
    terms: Terms
    caps: np.ndarray
    """Most that the dual weights of each sample may sum to, infinite without caps, 0 where left out, [n]."""
    columns: Columns
    scale: float
    """Root mean square of the lengths of the penalised features."""
    free_scale: np.ndarray
    """Root mean square of each free feature, the intercept's first, shape [f]."""

    @property
    def penalised(self) -> np.ndarray:
        """Features whose weights the norm measures, shape [p]."""
        return self.columns.penalised

    @property
    def sparse(self) -> bool:
        """Whether the features are sparse."""
        return bool(sparse.issparse(self.rows.take(np.zeros(1, dtype=np.int64))))

    @property
    def stored(self) -> int:
        """Numbers that are stored of a row, of a hundred rows and more the largest."""
        step = max(1, self.rows.shape[0] // 100)
        block = self.rows.take(np.arange(0, self.rows.shape[0], step))
        return int(np.diff(block.indptr).max()) if sparse.issparse(block) else self.rows.shape[1]

    def band(
        self, chosen: np.ndarray, caps: np.ndarray, fixed: np.ndarray | None = None, mass: float = 0.0
    ) -> Band:
        """The chosen samples [m] in memory, with their caps, beside what is fixed."""
        features, free = self.columns.parts(self.rows.take(chosen))
        both = joined_columns(features / self.scale, free / self.free_scale)
        p = features.shape[1]
        fixed = np.zeros((self.classes, both.shape[1])) if fixed is None else fixed
        return Band(both, self.labels[chosen], self.classes, p, caps, fixed, mass)

    def weights(self, W: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Weights [k, d] of the features as they are and the intercept [k], from a band's [k, p + f]."""
        p = len(self.penalised)
        V = np.zeros((self.classes, self.rows.shape[1]))
        V[:, self.penalised] = W[:, :p]
        free = W[:, p:] * (self.scale / self.free_scale)
        V[:, list(self.terms.columns)] = free[:, int(self.terms.intercept) :]
        if not self.terms.intercept:
            return V, None
        moved = precise_product(V, head(V), self.columns.shift[None, :])
        b = (free[:, 0] - moved.high[:, 0]) - moved.low[:, 0]
        # A shift of all classes changes no margin; without it the numbers are smallest.
        return V, b - b.mean()

    def in_band(self, V: np.ndarray, intercept: np.ndarray | None) -> np.ndarray:
        """Weights in a band's features [k, p + f] of those of the features as they are."""
        free = V[:, list(self.terms.columns)]
        if self.terms.intercept:
            b = (np.zeros(len(V)) if intercept is None else intercept) + V @ self.columns.shift
            free = np.concatenate([b[:, None], free], axis=1)
        return np.concatenate([V[:, self.penalised], free * (self.free_scale / self.scale)], axis=1)

    def lowest(self, V: np.ndarray, intercept: np.ndarray | None) -> Lowest:
        """The smallest margins of all samples, to select and not to certify, in the features' precision."""
        b = np.zeros(len(V)) if intercept is None else intercept
        # Offsets far above the spread of the features would drown margins in float32.
        exact = float(np.abs(self.columns.shift).max()) > _OFFSET * self.scale
        visit = partial(_lowest_of_block, labels=self.labels, W=V, b=b, exact=exact)
        parts = list(self.rows.scan(visit, self.classes))
        margins, classes, apart = (np.concatenate([part[place] for part in parts]) for place in range(3))
        margins[self.caps == 0.0] = np.inf
        return Lowest(margins, classes, apart)

    def fixed(self, chosen: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """A(q) of chosen samples [m] at their caps, all of it on one class each [m], in a band's features."""
        n, k = self.rows.shape[0], self.classes
        q = self.caps[chosen]
        T = sparse.csr_array((-q, (chosen, classes)), shape=(n, k))
        T = sparse.csr_array(T + sparse.csr_array((q, (chosen, self.labels[chosen])), shape=(n, k)))

        visit = partial(
            _fixed_of_block, T=T, columns=self.columns, scale=self.scale, free_scale=self.free_scale
        )
        return np.sum(list(self.rows.scan(visit, k)), axis=0)


def samples_of(problem: Classification, terms: Terms) -> Samples:
    """The samples of a problem on its terms, with their sizes."""
    rows = problem.rows
    n, d = rows.shape
    caps = np.zeros(n)
    caps[terms.kept] = np.inf if terms.caps is None else terms.caps
    largest = max(rows.scan(lambda _, block: float(abs(block).max()), 1))
    unit = 2.0 ** np.floor(np.log2(largest)) if largest > 0.0 else 1.0
    shift = np.zeros(d)
    if terms.intercept:
        sums, counts = np.zeros(d), np.zeros(d)
        for part, stored in rows.scan(partial(_sums, unit=unit), 1):
            sums, counts = sums + part, counts + stored
        # What is zero in some samples of sparse features stays so.
        shift = np.where(counts == n, sums / n * unit, 0.0)
    columns = Columns(terms.penalised(d), terms.columns, terms.intercept, shift)
    squares, free_squares = 0.0, np.zeros(int(terms.intercept) + len(terms.columns))
    visit = partial(_squares, columns=columns, unit=unit)
    for part, free_part in rows.scan(visit, 1):
        squares, free_squares = squares + part, free_squares + free_part
    scale, free_scale = unit * np.sqrt(squares / n), unit * np.sqrt(free_squares / n)
    return Samples(
        rows,
        problem.labels,
        problem.n_classes,
        terms,
        caps,
        columns,
        float(scale) or 1.0,
        np.where(free_scale > 0, free_scale, 1.0),
    )


def _sums(_: int, block: Block, *, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the features of a block, divided by ``unit``, and how many of each are stored."""
    if sparse.issparse(block):
        d = block.shape[1]
        return np.bincount(block.indices, block.data / unit, d), np.bincount(block.indices, minlength=d)
    return np.sum(block.astype(np.float64) / unit, axis=0), np.full(block.shape[1], block.shape[0])


def _squares(_: int, block: Block, *, columns: Columns, unit: float) -> tuple[float, np.ndarray]:
    """Sums of squares of the penalised features of a block, and of each free one, divided by ``unit``²."""
    features, free = columns.parts(block)
    return float(row_squares(features / unit).sum()), np.sum((free / unit) ** 2, axis=0)


def _fixed_of_block(
    start: int, block: Block, *, T: sparse.csr_array, columns: Columns, scale: float, free_scale: np.ndarray
) -> np.ndarray:
    part = T[start : start + block.shape[0]]
    used = np.flatnonzero(np.diff(part.indptr))
    features, free = columns.parts(block[used])
    A = part[used].T @ joined_columns(features / scale, free / free_scale)
    return A.toarray() if sparse.issparse(A) else np.asarray(A)


def _lowest_of_block(
    start: int, block: Block, *, labels: np.ndarray, W: np.ndarray, b: np.ndarray, exact: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    block = block.astype(np.float64, copy=False) if exact else block
    y, index = labels[start : start + block.shape[0]], np.arange(block.shape[0])
    logits = np.asarray(block @ W.T.astype(block.dtype)) + b
    true = logits[index, y]
    logits[index, y] = -np.inf
    classes = np.argmax(logits, axis=1)
    highest = logits[index, classes]
    logits[index, classes] = -np.inf
    return true - highest, classes, highest - logits.max(axis=1)
