"""Every check that scikit-learn has for estimators, with no exception."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from steepest.estimators import (
    MaxMarginClassifier,
    MaxMarginPath,
    MaxMarginPathCV,
    SteepestDescentClassifier,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks(
    [
        MaxMarginClassifier(),
        MaxMarginPath(nus=3),
        MaxMarginPathCV(nus=3, cv=3, gap=1e-2),
        SteepestDescentClassifier(),
        SteepestDescentClassifier(batch_size=20, momentum=0.9, loss="exponential", max_iter=200),
    ]
)
def test_estimators_are_scikit_learns(estimator, check):
    check(estimator)
