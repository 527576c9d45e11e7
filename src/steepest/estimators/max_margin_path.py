"""Max margins along a grid of ν, from the hardest to the softest, as scikit-learn's estimator."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from steepest.arrays import Array
from steepest.estimators import linear
from steepest.estimators.grid import grid, path
from steepest.estimators.max_margin_classifier import MaxMarginClassifier, fitted
from steepest.estimators.solving import of_missed_gaps, problem_of, settings_of
from steepest.estimators.training import checked_features, checked_samples, distinct, encoded_labels
from steepest.estimators.warnings import GapWarning, MarginWarning
from steepest.geometry import Norm

__all__ = ["MaxMarginPath"]


class MaxMarginPath(BaseEstimator):
    """All soft margins along a grid of ν: the margin grows with ν, and so does the weight inside it.

    From the largest ν down each goes on from its neighbour, so that it is the classifier of its ν within the
    gap that both certify, and not bit for bit. ``norm``, ``gap``, ``fit_intercept``, ``class_weight``,
    ``method`` and ``time_limit`` are those of every :class:`steepest.estimators.MaxMarginClassifier`.

    Args:
        nus: values of ν, or how many: geometrically from the smallest ν with a positive margin (the share of
            the lightest sample, where the data is separable) to the largest.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> path = MaxMarginPath(nus=[0.25, 0.5, 1.0]).fit(X, y)
    >>> [labels.tolist() for labels in path.staged_predict([[0.0], [3.0]])]
    [[0, 1], [0, 1], [0, 1]]
    """

    nus_: np.ndarray
    """Values of ν, ascending, shape [m]."""
    classifiers_: list[MaxMarginClassifier]
    """A fitted classifier for each ν."""
    coefs_: np.ndarray
    """Their weights, shape [m, r, d], with r = 1 row for two classes and k rows for k > 2."""
    intercepts_: np.ndarray
    """Their intercepts, shape [m, r]."""
    margins_: np.ndarray
    """Soft margins that they attain, shape [m]."""
    upper_bounds_: np.ndarray
    """Upper bounds of the soft margins, shape [m]."""
    classes_: np.ndarray
    """The labels that have samples of positive weight, sorted, shape [k]."""
    n_features_in_: int
    """Number of features d."""
    feature_names_in_: np.ndarray
    """Names of the features, shape [d], if they had any."""

    def __init__(
        self,
        nus: Any = 10,
        *,
        norm: Norm | str = "frobenius",
        gap: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        method: str = "auto",
        time_limit: float | None = None,
    ):
        self.nus = nus
        self.norm = norm
        self.gap = gap
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.method = method
        self.time_limit = time_limit

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MaxMarginPath:
        """Fit a classifier for each ν, and return the path.

        ``X``, ``y``, ``sample_weight`` and the errors are those of a classifier's ``fit``.

        Warns:
            MarginWarning: at the smallest values of ν no margin is positive, or at the largest it has no
            bound: these are then fits of the nearest ν that has one.
            GapWarning: ``time_limit`` or rounding ended the fit of some ν before its gap was reached.
        """
        settings = settings_of(self)
        X, y, weights = checked_samples(self, X, y, sample_weight)
        self.classes_, labels, weights = encoded_labels(y, weights, self.class_weight)
        training = distinct(X, labels, self.classes_, weights)
        problem = problem_of(training, settings, soft=True)
        self.nus_ = grid(self.nus, problem, training, settings)
        solutions, messages = path(problem, training, settings, self.nus_)
        for message in messages:
            warnings.warn(message, MarginWarning, stacklevel=2)
        message = of_missed_gaps(solutions, settings)
        if message is not None:
            warnings.warn(message, GapWarning, stacklevel=2)
        self.classifiers_ = [
            fitted(self._classifier(float(nu)), training, solution, used, solution.separable)
            for nu, (used, solution) in zip(self.nus_, solutions, strict=True)
        ]
        self.coefs_ = np.stack([each.coef_ for each in self.classifiers_])
        self.intercepts_ = np.stack([each.intercept_ for each in self.classifiers_])
        self.margins_ = np.array([each.margin_ for each in self.classifiers_])
        self.upper_bounds_ = np.array([each.upper_bound_ for each in self.classifiers_])
        return self

    def _classifier(self, nu: float) -> MaxMarginClassifier:
        settings = {name: value for name, value in self.get_params(deep=False).items() if name != "nus"}
        classifier = MaxMarginClassifier(nu=nu, **settings)
        classifier.n_features_in_ = self.n_features_in_
        if hasattr(self, "feature_names_in_"):
            classifier.feature_names_in_ = self.feature_names_in_
        return classifier

    def staged_decision_function(self, X: Any) -> Iterator[Array]:
        """Yield the scores of rows [n, d] for each ν, ascending, as ``decision_function`` of a classifier."""
        check_is_fitted(self)
        X = checked_features(self, X)
        for coef, intercept in zip(self.coefs_, self.intercepts_, strict=True):
            yield linear.scores(X, coef, intercept)

    def staged_predict(self, X: Any) -> Iterator[Array]:
        """Yield the labels of rows [n, d] for each ν, ascending."""
        for scores in self.staged_decision_function(X):
            yield linear.labels(scores, self.classes_)
