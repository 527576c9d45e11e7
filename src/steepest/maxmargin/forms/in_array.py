"""Features that are elsewhere, but small, as an array that every method takes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from steepest.problem import Classification

__all__ = ["in_array"]


def in_array(problem: Classification) -> Classification:
    """Return a problem with its features in memory as an array; sparse ones with all their zeros.

    >>> problem = Classification(sparse.csr_array([[2.0, 0.0], [0.0, 1.0]]), ["a", "b"])
    >>> in_array(problem).features.tolist()
    [[2.0, 0.0], [0.0, 1.0]]
    """
    if problem.loaded or problem.rows.becomes_array:
        return problem
    block = problem.rows.take(np.arange(problem.samples))
    features = block.toarray() if sparse.issparse(block) else block
    return Classification(features, problem.classes[problem.labels], problem.name, classes=problem.classes)
