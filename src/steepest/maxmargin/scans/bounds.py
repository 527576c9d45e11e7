"""Bounds on the max margin of data that is scanned, with rounding accounted for."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from steepest.features import Block
from steepest.geometry import Norm
from steepest.maxmargin.certificates.bounds import divided_by_norm, margin_below
from steepest.maxmargin.scans.working_set import Source

__all__ = ["margin_below_by_scan"]

_UNIT = 2.0**-53
_ENOUGH = 1e-10
"""Bounds whose allowance for rounding is below this fraction of them are not computed more accurately."""
_AT_ONCE = 1 << 22
"""Numbers of the rows that are computed more accurately at a time."""


def margin_below_by_scan(source: Source, W: np.ndarray, norm: Norm) -> float:
    """margin(W)/‖W‖ over all samples, rounded down; 0 for W = 0.

    Features of float32 are exact in float64, in which logits are computed: a logit x·w is wrong by at most
    γ_d ‖x‖₁ ‖w‖_∞ (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.5). Where this is
    too coarse, the rows that may decide are computed in doubled precision.
    """
    largest = float(np.max(np.abs(W), initial=0.0))
    if largest == 0.0:
        return 0.0
    W = W / 2.0 ** np.floor(np.log2(largest))
    # The visit holds labels alone, since it travels to where features are.
    labels = source.labels

    def visit(start: int, block: Block) -> tuple[np.ndarray, np.ndarray]:
        y, index = labels[start : start + block.shape[0]], np.arange(block.shape[0])
        block = block.astype(np.float64, copy=False)
        logits = np.asarray(block @ W.T)
        true = logits[index, y]
        logits[index, y] = -np.inf
        margins = true - logits.max(axis=1)
        steps = (int(np.diff(block.indptr).max(initial=0)) if sparse.issparse(block) else block.shape[1]) + 4
        sizes = np.asarray(abs(block).sum(axis=1)).ravel()
        # Both logits are wrong, W's largest entry is below 2, and this sum itself is rounded.
        error = 4.0 * (1 + 1e-6) * steps * _UNIT * sizes + _UNIT * np.abs(margins)
        return margins - error, margins + error

    parts = list(source.rows.scan(visit, source.classes))
    low, high = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    smallest = float(low.min())
    deciding = np.nonzero(low <= high.min())[0]
    if float(np.max(high[deciding] - low[deciding])) <= _ENOUGH * abs(smallest):
        return divided_by_norm(smallest, W, norm)
    others = np.delete(low, deciding)
    bounds = [divided_by_norm(float(others.min()), W, norm)] if len(others) else []
    step = max(1, _AT_ONCE // source.rows.shape[1])
    for start in range(0, len(deciding), step):
        chosen = deciding[start : start + step]
        features = source.rows.take(chosen)
        dense = features.toarray() if sparse.issparse(features) else features
        bounds.append(margin_below(dense, source.labels[chosen], W, norm))
    return min(bounds)
