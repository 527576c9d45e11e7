"""The max margin whose ν cross-validation chooses, as scikit-learn's estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from steepest.arrays import Array
from steepest.errors import InvalidArgument
from steepest.estimators import linear
from steepest.estimators.grid import grid
from steepest.estimators.max_margin_classifier import MaxMarginClassifier
from steepest.estimators.max_margin_path import MaxMarginPath
from steepest.estimators.softest import highest_nu
from steepest.estimators.solving import misses_gap, problem_of, settings_of
from steepest.estimators.training import (
    checked_features,
    checked_samples,
    class_shares,
    distinct,
    encoded_labels,
)
from steepest.estimators.warnings import GapWarning, MarginWarning
from steepest.geometry import Norm

__all__ = ["MaxMarginPathCV"]


class MaxMarginPathCV(ClassifierMixin, BaseEstimator):
    """:class:`steepest.estimators.MaxMarginClassifier` with ν chosen by cross-validation.

    Every fold fits one :class:`steepest.estimators.MaxMarginPath`; the ν of the best mean score, the largest
    of equal ones, is fitted to all samples. In a fold whose margin at some ν is not positive the smallest ν
    that has one stands for it; the fit to all samples warns of that. ``norm``, ``gap``, ``fit_intercept``,
    ``class_weight``, ``method`` and ``time_limit`` are those of the classifier.

    Args:
        nus: values of ν, or how many, as of a path.
        cv: number of folds, a splitter of scikit-learn, or the folds; None for five, stratified.
        scoring: a score's name or a scorer; None for the accuracy.
        n_jobs: folds fitted at a time, as scikit-learn counts them.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> chosen = MaxMarginPathCV(nus=[0.1, 0.3], cv=3).fit(X[50:], y[50:])
    >>> chosen.nu_ in (0.1, 0.3), chosen.scores_.shape
    (True, (3, 2))
    """

    nu_: float
    """The ν chosen."""
    nus_: np.ndarray
    """Values of ν tried, ascending, shape [m]."""
    scores_: np.ndarray
    """Scores on the samples left out, shape [folds, m]."""
    best_score_: float
    """The mean score of ``nu_`` over the folds."""
    classifier_: MaxMarginClassifier
    """The classifier fitted to all samples, with its margin and certificate."""
    coef_: np.ndarray
    """Its weights, shape [k, d], or [1, d] for two classes."""
    intercept_: np.ndarray
    """Its intercepts, shape [k], or [1] for two classes."""
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
        cv: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        norm: Norm | str = "frobenius",
        gap: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        method: str = "auto",
        time_limit: float | None = None,
    ):
        self.nus = nus
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.norm = norm
        self.gap = gap
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.method = method
        self.time_limit = time_limit

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> MaxMarginPathCV:
        """Choose ν and fit it to all samples; arguments and errors are those of the classifier.

        Args:
            X: features, shape [n, d].
            y: labels, shape [n].
            sample_weight: weights of the samples, in fits and in scores, shape [n].
            groups: for splitters that keep groups together, shape [n].

        Raises:
            InvalidArgument: the scorer gives NaN as the mean of every ν.

        Warns:
            MarginWarning: the fit to all samples has no margin, as a classifier's ``fit`` says.
            GapWarning: that fit, or some fits to folds, ended before their gap was reached.
        """
        settings = settings_of(self)
        given = (X, y, sample_weight)
        X, y, weights = checked_samples(self, X, y, sample_weight)
        classes, labels, total = encoded_labels(y, weights, self.class_weight)
        splitter: Any = check_cv(self.cv, y, classifier=True)
        folds = list(splitter.split(X, y, groups))
        training = distinct(X, labels, classes, total)
        highest = min(_highest_nu(self, y[train], weights[train]) for train, _ in folds)
        self.nus_ = grid(self.nus, problem_of(training, settings, soft=True), training, settings, highest)
        path = MaxMarginPath(self.nus_, **_of_classifier(self))
        scorer = (
            check_scoring(MaxMarginClassifier(), scoring=self.scoring) if self.scoring is not None else None
        )
        weighted = weights if sample_weight is not None else None
        tried: Any = Parallel(n_jobs=self.n_jobs)(
            delayed(_scores)(path, scorer, X, y, weighted, train, test) for train, test in folds
        )
        self.scores_ = np.array([scores for scores, _ in tried])
        self._warn_of([widest for _, widest in tried])
        means = self.scores_.mean(axis=0)
        if np.isnan(means).all():
            remedy = "give a scorer that is a number for some nu: of each the mean over the folds is NaN"
            raise InvalidArgument("scoring", self.scoring, remedy)
        # Of equal scores the last, of the largest nu; NaN is no score.
        best = len(means) - 1 - int(np.nanargmax(means[::-1]))
        self.nu_, self.best_score_ = float(self.nus_[best]), float(means[best])
        self.classifier_ = MaxMarginClassifier(nu=self.nu_, **_of_classifier(self)).fit(*given)
        self.coef_, self.intercept_ = self.classifier_.coef_, self.classifier_.intercept_
        self.classes_ = self.classifier_.classes_
        return self

    def _warn_of(self, widest: list[float]) -> None:
        """Warn once of the folds in which the gaps of some fits are above the one asked for."""
        missed = [gap for gap in widest if gap > self.gap]
        if missed:
            larger = "gap" if self.time_limit is None else "gap or time_limit"
            message = (
                f"in {len(missed)} of {len(widest)} folds the certified gaps of some nu are up to "
                f"{max(missed):.1e}, and gap={self.gap:g} was asked for: give a larger {larger}, or another "
                "method"
            )
            warnings.warn(message, GapWarning, stacklevel=3)

    def decision_function(self, X: Any) -> Array:
        """Return scores of rows [n, d]: [n] for two classes, positive for the second, otherwise [n, k]."""
        check_is_fitted(self)
        return linear.scores(checked_features(self, X), self.coef_, self.intercept_)

    def predict(self, X: Any) -> Array:
        """Return the label of largest score for rows [n, d], shape [n]."""
        return linear.labels(self.decision_function(X), self.classes_)


def _of_classifier(estimator: MaxMarginPathCV) -> dict[str, Any]:
    names = ("norm", "gap", "fit_intercept", "class_weight", "method", "time_limit")
    return {name: getattr(estimator, name) for name in names}


def _highest_nu(estimator: MaxMarginPathCV, y: np.ndarray, weights: np.ndarray) -> float:
    classes, labels, weights = encoded_labels(y, weights, estimator.class_weight)
    return highest_nu(class_shares(labels, weights, len(classes)), intercept=estimator.fit_intercept)


def _scores(
    path: MaxMarginPath,
    scorer: Any,
    X: Array,
    y: np.ndarray,
    weights: np.ndarray | None,
    train: np.ndarray,
    test: np.ndarray,
) -> tuple[list[float], float]:
    """Return the scores of a path, fitted to some samples, on others, one for each ν, and its widest gap."""
    fitted, settings = MaxMarginPath(**path.get_params(deep=False)), {}
    with warnings.catch_warnings():
        # Of these the fit to all samples warns, or the folds together.
        warnings.simplefilter("ignore", MarginWarning)
        warnings.simplefilter("ignore", GapWarning)
        fitted.fit(X[train], y[train], sample_weight=None if weights is None else weights[train])
    if weights is not None:
        settings["sample_weight"] = weights[test]
    X, y = X[test], y[test]
    missed = [each.gap_ for each in fitted.classifiers_ if misses_gap(each.solution_, path.gap)]
    if scorer is None:
        scores = [each.score(X, y, **settings) for each in fitted.classifiers_]
    else:
        scores = [scorer(each, X, y, **settings) for each in fitted.classifiers_]
    return scores, max(missed, default=0.0)
