"""Small samples that tests of estimators share."""

from __future__ import annotations

from sklearn.datasets import make_blobs


def separable(classes, seed=0):
    """Return 40 samples of well-separated clusters in the plane."""
    return make_blobs(40, 2, centers=[[0, 0], [9, 1], [2, 8]][:classes], cluster_std=0.8, random_state=seed)


def overlapping(classes, seed=0):
    """Return 60 samples of clusters that overlap, in three dimensions."""
    centers = [[0, 0, 0], [3, 1, 0], [0, 3, 3]][:classes]
    return make_blobs(60, 3, centers=centers, cluster_std=1.2, random_state=seed)
