"""What scikit-learn's check of class weights asks of linear classifiers, which takes an intercept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import train_test_split

from steepest.estimators import MaxMarginClassifier

_ASKED = 0.87
"""Share of the held-out rows that check_class_weight_classifiers wants in the class of weight 1000."""


@pytest.mark.filterwarnings(
    "ignore::steepest.estimators.warnings.MarginWarning"
)  # ν is raised until it balances
@pytest.mark.parametrize("centers", [2, 3])
def test_only_an_intercept_puts_most_rows_of_the_check_into_one_class(centers):
    made: Any = make_blobs(centers=centers, random_state=0, cluster_std=20)
    X, y = made
    parts: Any = train_test_split(X, y, test_size=0.5, random_state=0)
    train, held_out, labels, _ = parts
    # Where one class has the largest logit lies within a half-plane through the origin, at a row.
    angles = np.arctan2(held_out[:, 1], held_out[:, 0])
    ahead = (angles - angles[:, None]) % (2 * np.pi)
    most = float(np.mean(ahead <= np.pi, axis=1).max())
    assert most <= 0.7 < _ASKED

    weights = dict.fromkeys(range(1, centers), 1e-4) | {0: 1000.0}
    through = MaxMarginClassifier("nuclear", nu=0.5, fit_intercept=False, class_weight=weights)
    assert np.mean(through.fit(train, labels).predict(held_out) == 0) <= most
    free = MaxMarginClassifier("nuclear", nu=0.5, class_weight=weights)
    assert np.mean(free.fit(train, labels).predict(held_out) == 0) > _ASKED
