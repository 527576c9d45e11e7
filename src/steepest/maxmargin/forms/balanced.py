"""Whether all pairs of a sample and another class weigh the same, where first-order steps end at once."""

from __future__ import annotations

import numpy as np

from steepest.arrays import as_numpy
from steepest.problem import Classification

__all__ = ["is_balanced"]

_SAME = 0.9
"""Share of the largest margin that the smallest has on balanced data."""


def is_balanced(problem: Classification) -> bool:
    """Return whether equal dual weights give all samples about the same margin over every other class.

    It costs two products with the features, of any shape [n, d], and decides no more than where to start.

    >>> is_balanced(Classification(np.eye(3), [0, 1, 2]))
    True
    >>> is_balanced(Classification([[3.0, 0.0], [0.0, 1.0]], [0, 1]))
    False
    """
    X, labels, k = as_numpy(problem.features), problem.labels, problem.n_classes
    size = float(np.abs(X).max())
    if not size > 0.0:
        return False
    X = X / size
    of_classes = as_numpy(problem.one_hot).astype(X.dtype).T @ X
    logits = X @ (k * of_classes - of_classes.sum(axis=0)).T
    samples = np.arange(problem.samples)
    margins = logits[samples, labels][:, None] - logits
    largest = float(margins.max())
    margins[samples, labels] = largest
    return largest > 0.0 and float(margins.min()) >= _SAME * largest
