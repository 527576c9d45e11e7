"""The usual arithmetic, for contrast: ``softmax - onehot`` in float64, which cancels at a margin of about 37.

Nothing is run this way but to show what it does: beyond that margin the residual of the true class is 0 where
it should be minus the sum of the others, and the direction of a step is wrong. See :mod:`steepest.losses` for
the arithmetic that stays exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from steepest.arrays import as_numpy
from steepest.descent import Method
from steepest.errors import InvalidArgument
from steepest.losses import CROSS_ENTROPY
from steepest.problem import Classification

__all__ = ["NaiveRun", "can_be_naive", "naive_descent"]


@dataclass(frozen=True)
class NaiveRun:
    """What a run in the usual arithmetic leaves behind."""

    weights: np.ndarray
    """W_t at the steps that were asked for, shape [r, k, d]."""
    cancelled_at: float
    """The first step in whose batch a true class's residual is 0; NaN if none is."""
    margin: float
    """The smallest margin of that sample then; NaN if there is none."""


def can_be_naive(method: Method) -> bool:
    """Whether :func:`naive_descent` takes a method: cross-entropy, no momentum, no variance reduction."""
    return method.loss == CROSS_ENTROPY and not method.momentum and str(method.signal) == "minibatch"


def naive_descent(problem: Classification, method: Method, steps: np.ndarray) -> NaiveRun:
    """Run a method from W_0 = 0 with the gradient that people write, (softmax(X Wᵀ) - onehot)ᵀ X.

    It takes the same batches in the same order, and the same step sizes, as :func:`steepest.descend`.

    Args:
        problem: the samples.
        method: a method for cross-entropy without momentum and variance reduction.
        steps: the steps to record, in increasing order; the last is the number of updates.

    Raises:
        InvalidArgument: a method with another loss, momentum or variance reduction.

    >>> import steepest as st
    >>> problem = st.datasets.orthogonal_scale_skewed()
    >>> run = naive_descent(problem, st.Method("max", batch_size=1), np.array([0, 3]))
    >>> run.weights.shape, run.cancelled_at
    ((2, 5, 5), nan)
    """
    if not can_be_naive(method):
        raise InvalidArgument("method", method.name, "give cross-entropy, momentum 0, no variance reduction")
    X, one_hot = as_numpy(problem.features), as_numpy(problem.one_hot)
    batches, last = method.reshuffling(problem), int(steps[-1])
    sizes = np.broadcast_to(np.asarray(method.schedule(np.arange(last)), dtype=float), (last,))
    W = np.zeros((problem.n_classes, problem.dimension))
    recorded = {0: W} if int(steps[0]) == 0 else {}
    wanted = set(np.asarray(steps).tolist())
    cancelled_at, margin = math.nan, math.nan
    for step in range(last):
        batch = batches.batch(step)
        logits = X[batch] @ W.T
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        residuals = exponentials / exponentials.sum(axis=1, keepdims=True) - one_hot[batch]
        if math.isnan(cancelled_at) and (cancelled := residuals[one_hot[batch]] == 0.0).any():
            cancelled_at = float(step)
            margin = float(as_numpy(problem.pair_margins(W))[batch[cancelled]].min())
        gradient = residuals.T @ X[batch]
        W = W - sizes[step] * method.norm.direction(gradient)
        if step + 1 in wanted:
            recorded[step + 1] = W
    return NaiveRun(np.stack([recorded[step] for step in np.asarray(steps).tolist()]), cancelled_at, margin)
