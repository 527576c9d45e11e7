"""Bounds on a relaxed max margin of data that is scanned, with rounding accounted for."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse

from steepest.doubled import two_sum
from steepest.features import Block
from steepest.geometry import Norm
from steepest.geometry.facts import dual_of_error, rounding
from steepest.maxmargin.certificates.bounds import pair_margins_below
from steepest.maxmargin.certificates.products import accurate_product
from steepest.maxmargin.forms.pairs import towards
from steepest.maxmargin.forms.worst import shares_of_worst
from steepest.maxmargin.relaxed.balance import Correction
from steepest.maxmargin.relaxed.samples import Samples

__all__ = ["dual_above_by_scan", "level_below_by_scan"]

_UNIT = 2.0**-53
_ENOUGH = 1e-3
"""Allowances for rounding below this share of the gap that is asked for are not made smaller."""
_AT_ONCE = 1 << 22
"""Numbers of the rows that are dense at a time."""


def level_below_by_scan(
    samples: Samples, W: np.ndarray, intercept: np.ndarray | None, norm: Norm, gap: float
) -> float:
    """The level of weights W [k, d] over the norm of those that it measures, rounded down.

    Logits are computed in float64 and are wrong by at most γ_d ‖x‖₁ ‖w‖_∞ (Higham, Accuracy and Stability of
    Numerical Algorithms, 2002, section 3.5); of the samples that decide, in doubled precision where that is
    too coarse.
    """
    penalised = W[:, samples.penalised]
    size, slack = float(norm(penalised)), rounding(norm, penalised.shape)
    if not 0.0 < size < np.inf:
        return 0.0
    b = np.zeros(len(W)) if intercept is None else intercept
    # The visit holds labels alone, since it travels to where features are.
    largest, offset, labels = float(np.abs(W).max()), float(np.abs(b).max()), samples.labels

    def visit(start: int, block: Block) -> tuple[np.ndarray, np.ndarray]:
        y, index = labels[start : start + block.shape[0]], np.arange(block.shape[0])
        block = block.astype(np.float64, copy=False)
        logits = np.asarray(block @ W.T) + b
        true = logits[index, y]
        logits[index, y] = -np.inf
        margins = true - logits.max(axis=1)
        steps = (int(np.diff(block.indptr).max(initial=0)) if sparse.issparse(block) else block.shape[1]) + 6
        terms = np.asarray(abs(block).sum(axis=1)).ravel() * largest + offset
        # Both logits are wrong, and this bound itself is rounded.
        error = 2.0 * (1 + 1e-6) * steps * _UNIT * terms + 4.0 * _UNIT * np.abs(margins)
        return margins - error, error

    parts = list(samples.rows.scan(visit, samples.classes))
    low, error = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    kept = samples.terms.kept
    low, error = low[kept], error[kept]
    caps = samples.terms.caps
    level = _level(low, caps)
    enough = _ENOUGH * gap * abs(level)
    if _level(low + 2.0 * error, caps) - level > enough:
        if caps is None:
            coarse = np.flatnonzero(low <= (low + 2.0 * error).min())
        else:
            coarse = np.flatnonzero(low <= (low + 2.0 * error)[shares_of_worst(low, caps) > 0].max())
        low[coarse] = np.maximum(low[coarse], _accurate(samples, kept[coarse], W, b))
        level = _level(low, caps)
    bound = level / (size * (1 + slack) if level > 0 else size * (1 - slack))
    return float(np.nextafter(bound - 4 * _UNIT * abs(bound), -np.inf)) if bound else 0.0


def _level(low: np.ndarray, caps: np.ndarray | None) -> float:
    """The smallest of lower bounds on margins, or the mean of the worst, rounded down."""
    if caps is None:
        return float(low.min())
    shares = shares_of_worst(low, caps)
    # Shares that differ from the exact ones by roundings of their sums, of which there are two a sample.
    error = (2 * len(shares) + 4) * _UNIT * float(np.abs(low[shares > 0]).max())
    return float(shares @ low) - error


def _accurate(samples: Samples, chosen: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Lower bounds on the smallest margins of some samples, in doubled precision where that is needed."""
    found = []
    step = max(1, _AT_ONCE // samples.rows.shape[1])
    both = np.concatenate([W, b[:, None]], axis=1)
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        block = _dense(samples.rows.take(part))
        X = np.concatenate([block, np.ones((len(part), 1))], axis=1)
        found.append(pair_margins_below(X, samples.labels[part], both).min(axis=1))
    return np.concatenate(found)


def dual_above_by_scan(
    samples: Samples, chosen: np.ndarray, q: np.ndarray, norm: Norm, correction: Correction, gap: float
) -> float:
    """‖A(q)‖_* / Σq rounded up, for the exact dual weights near q that the correction describes.

    Args:
        samples: the data.
        chosen: the samples that q is about, shape [m].
        q: dual weights, shape [m, k], 0 at the true class, balanced where there is an intercept.
        norm: the norm of the penalised weights.
        correction: how far the exact dual weights are from q.
        gap: the relative gap that is asked for.
    """
    moved = correction.of_pairs(q, samples.labels[chosen])
    A, error, change = _pair_sum(samples, chosen, q, moved, accurate=False)
    value = float(norm.dual(A))
    if dual_of_error(norm, error) > _ENOUGH * gap * value:
        A, error, change = _pair_sum(samples, chosen, q, moved, accurate=True)
        value = float(norm.dual(A))
    total = float(q.sum()) * (1 - q.size.bit_length() * _UNIT) - correction.lost
    relative = rounding(norm, A.shape) + 8 * _UNIT
    bound = (value * (1 + relative) + dual_of_error(norm, error + change) * (1 + 1e-6)) / total
    return float(np.nextafter(bound * (1 + 4 * _UNIT), np.inf)) if bound else 0.0


def _pair_sum(
    samples: Samples, chosen: np.ndarray, q: np.ndarray, moved: np.ndarray, *, accurate: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A(q) of penalised features [k, p], a bound on its error, and on what ``moved`` dual weights change."""
    used = np.flatnonzero(q.any(axis=1))
    k, d = q.shape[1], samples.rows.shape[1]
    A, rest, error, change = (np.zeros((k, d)) for _ in range(4))
    # Rows of products in doubled precision are dense; of sparse ones little is stored.
    step = max(1, _AT_ONCE // (d if accurate or not samples.sparse else 100))
    # Balanced dual weights are whole multiples of one unit, whose sums are exact.
    exact = samples.terms.intercept and not samples.terms.columns
    of_sums = 0.0 if exact else (k + 2) * _UNIT
    for start in range(0, len(used), step):
        part = used[start : start + step]
        T, block = towards(q[part], samples.labels[chosen[part]]), samples.rows.take(chosen[part])
        sizes = np.abs(T).T @ abs(block)
        if accurate:
            term, off = accurate_product(T.T, _dense(block))
            off = off + of_sums * np.asarray(sizes)
        else:
            term = np.asarray(T.T @ block)
            off = ((len(part) + 4) * _UNIT * (1 + 1e-6) + of_sums) * np.asarray(sizes)
        A, lost = two_sum(A, term)
        rest = rest + lost
        error = error + off
        if moved.any():
            change = change + (1 + 1e-9) * np.asarray(moved[part].T @ abs(block))
    total = A + rest
    error = error * (1 + 1e-9) + 4 * _UNIT * (np.abs(total) + len(used) * _UNIT * np.abs(rest))
    penalised = samples.penalised
    return total[:, penalised], error[:, penalised], change[:, penalised]


def _dense(block: Any) -> np.ndarray:
    return block.toarray() if sparse.issparse(block) else block
