"""The definition of separability, as linear programs on data of small whole numbers: one for every pair."""

from __future__ import annotations

import numpy as np
import scipy.optimize


def overlapped_by_programs(X, y, classes):
    """Return the set of pairs (i, c) to which no weights without negative margins give a positive one."""
    rows, pairs = [], []
    for i, x in enumerate(X):
        for c in range(classes):
            if c != y[i]:
                row = np.zeros((classes, X.shape[1]))
                row[y[i]], row[c] = x, -x
                rows.append(row.ravel())
                pairs.append((i, c))
    M = np.array(rows)
    overlapped = set()
    for pair, row in zip(pairs, M, strict=True):
        found = scipy.optimize.linprog(-row, A_ub=-M, b_ub=np.zeros(len(M)), bounds=(-1, 1))
        # Vertices of such programs are fractions of small denominators.
        if -found.fun < 1e-7:
            overlapped.add(pair)
    return overlapped, set(pairs)
