"""Small samples that tests of estimators share."""

from __future__ import annotations

from typing import Any

from sklearn import datasets

blobs: Any = datasets.make_blobs
"""With the types that its documentation says."""


def separable(classes, seed=0) -> tuple[Any, Any]:
    """Return 40 samples of well-separated clusters in the plane."""
    return blobs(40, 2, centers=[[0, 0], [9, 1], [2, 8]][:classes], cluster_std=0.8, random_state=seed)


def overlapping(classes, seed=0) -> tuple[Any, Any]:
    """Return 60 samples of clusters that overlap, in three dimensions."""
    centers = [[0, 0, 0], [3, 1, 0], [0, 3, 3]][:classes]
    return blobs(60, 3, centers=centers, cluster_std=1.2, random_state=seed)
