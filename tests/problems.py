"""Small problems that several test files share."""

from __future__ import annotations

import numpy as np

import steepest as st


def random_problem(classes=4, samples=12, features=20, seed=0, scale=1.0):
    """Return i.i.d. Gaussian features with every class present; separable for features > samples."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, samples - classes)])
    return st.Classification(scale * generator.normal(size=(samples, features)), labels, name="random")


def weights_with_margins(problem, margins):
    """Return weights [k, d] of least norm whose pair margins at sample i all equal margins[i]."""
    targets = np.zeros((problem.samples, problem.n_classes))
    targets[np.arange(problem.samples), problem.labels] = margins
    return np.linalg.lstsq(problem.features, targets, rcond=None)[0].T
