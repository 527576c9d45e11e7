"""Linear classification by the certified max margin in any norm, hard or soft, as scikit-learn has it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from steepest.arrays import Array
from steepest.estimators import linear
from steepest.estimators.grid import bounded_nu, checked_nu, softest
from steepest.estimators.solving import of_missed_gaps, problem_of, settings_of, solved
from steepest.estimators.training import (
    Training,
    checked_features,
    checked_samples,
    distinct,
    encoded_labels,
)
from steepest.estimators.warnings import GapWarning, MarginWarning
from steepest.geometry import Norm
from steepest.maxmargin import MaxMarginSolution

__all__ = ["MaxMarginClassifier", "fitted"]


class MaxMarginClassifier(ClassifierMixin, BaseEstimator):
    """Linear classifier of the largest margin in a norm, with bounds on both sides of the margin.

    Of all weights ‖W‖ ≤ 1 and intercepts b it takes those whose smallest margin over the samples,
    (e_{y_i} - e_c)ᵀ (W x_i + b), is the largest; for ``nu`` the mean of the worst margins takes the place of
    the smallest. Rows that are equal are taken together and weigh as many, in an order of their own: a fit
    does not depend on how the rows are ordered. Scores are in units of the features; for probabilities use
    :class:`sklearn.calibration.CalibratedClassifierCV`.

    Args:
        norm: the norm of W, or its name: "frobenius" (of support vector machines), "spectral", "max", ...
        nu: None for the hard margin; or the share ν in (0, 1] of the weight whose worst margins are averaged.
            Samples inside the margin weigh at most about ν in all. Above 2 (1 - the share of the heaviest
            class) a free intercept makes margins as large as it likes: a fit warns, and is of that ν.
        gap: certified relative gap at which the fit ends.
        fit_intercept: whether there is a b, which the norm does not see.
        class_weight: None, "balanced", or a weight for each class; times ``sample_weight``. For the hard
            margin a weight matters only where it is 0.
        method: how :func:`steepest.max_margin` solves.
        time_limit: seconds for each solution, None for no limit.

    A hard margin of data that cannot be separated, and a ν at which no margin is positive, end in a
    :class:`MarginWarning` and in the fit of the smallest ν that has one, to one per cent for up to 1e6
    multiplications of all logits and to some per cent beyond; where no ν has one the weights are 0 and the
    heaviest class is predicted.

    >>> import numpy as np
    >>> X, y = [[0.0, 3.0], [1.0, 2.0], [4.0, 0.0], [5.0, 1.0]], ["low", "low", "high", "high"]
    >>> classifier = MaxMarginClassifier(norm="max").fit(X, y)
    >>> classifier.predict([[0.0, 2.0], [6.0, 0.0]]).tolist(), classifier.separable_
    (['low', 'high'], True)
    >>> bool(classifier.margin_ <= np.abs(classifier.decision_function(X)).min() * (1 + 1e-12))
    True
    """

    coef_: np.ndarray
    """Weights, shape [k, d]; of two classes one row, their difference, whose scores are pair margins."""
    intercept_: np.ndarray
    """Intercepts, shape [k], or [1] for two classes."""
    classes_: np.ndarray
    """The labels that have samples of positive weight, sorted, shape [k]."""
    n_features_in_: int
    """Number of features d."""
    feature_names_in_: np.ndarray
    """Names of the features, shape [d], if they had any."""
    margin_: float
    """The margin that the weights attain, a lower bound of the largest; 0 where none is positive."""
    upper_bound_: float
    """An upper bound of the largest margin."""
    gap_: float
    """(upper_bound_ - margin_) / upper_bound_."""
    nu_: float | None
    """The ν of the fit; None for the hard margin."""
    separable_: bool | None
    """Whether weights separate all samples, with evidence; None where it is not known."""
    support_: np.ndarray
    """The samples that hold the margin up, as indices into X, shape [s]."""
    dual_coef_: np.ndarray
    """Dual weights q_ic of the support, shape [s, k]: 0 at the true class, of sum 1 over all.

    With A(q) = Σ_i Σ_c q_ic (e_{y_i} - e_c) x_iᵀ the upper bound is ‖A(q)‖_*. In the Frobenius norm W is
    A(q) / ‖A(q)‖ but for about the root of the gap; in others it is one of the points of the unit ball at
    which ⟨A(q), W⟩ = ‖A(q)‖_*, within the gap.
    """
    n_iter_: int
    """Iterations of the method that gave the solution."""
    solution_: MaxMarginSolution
    """The solution for the distinct rows: weights of norm 1 and the certificate."""

    def __init__(
        self,
        norm: Norm | str = "frobenius",
        *,
        nu: float | None = None,
        gap: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        method: str = "auto",
        time_limit: float | None = None,
    ):
        self.norm = norm
        self.nu = nu
        self.gap = gap
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.method = method
        self.time_limit = time_limit

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MaxMarginClassifier:
        """Fit to features [n, d] and labels [n], and return the classifier.

        Args:
            X: an array, a data frame, a tensor, or a sparse matrix, which stays one where it is large and the
                norm has what scans need; otherwise its zeros are kept in memory.
            y: labels of at least two classes.
            sample_weight: a weight of at least 0 for each sample, shape [n]; None weighs all alike.

        Raises:
            ValueError: features or labels that scikit-learn refuses; for any other argument
                :class:`steepest.errors.InvalidArgument`, which is one.

        Warns:
            MarginWarning: no margin is positive as it was asked for, or it has no bound.
            GapWarning: ``time_limit`` or rounding ended the fit before its gap was reached.
        """
        settings = settings_of(self)
        X, y, weights = checked_samples(self, X, y, sample_weight)
        classes, labels, weights = encoded_labels(y, weights, self.class_weight)
        training = distinct(X, labels, classes, weights)
        nu = None if self.nu is None else checked_nu(self.nu)
        if nu is not None:
            nu, message = bounded_nu(nu, training, settings)
            if message is not None:
                warnings.warn(message, MarginWarning, stacklevel=2)
        solution = solved(problem_of(training, settings, soft=nu is not None), training.weights, settings, nu)
        separable = solution.separable
        if solution.margin <= 0.0:
            problem = problem_of(training, settings, soft=True)
            nu, solution, message = softest(problem, training, settings, nu, solution)
            warnings.warn(message, MarginWarning, stacklevel=2)
        fitted(self, training, solution, nu, separable)
        message = of_missed_gaps([(nu, solution)], settings)
        if message is not None:
            warnings.warn(message, GapWarning, stacklevel=2)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return scores of rows [n, d]: [n] for two classes, positive for the second, otherwise [n, k]."""
        check_is_fitted(self)
        return linear.scores(checked_features(self, X), self.coef_, self.intercept_)

    def predict(self, X: Any) -> Array:
        """Return the label of largest score for rows [n, d], shape [n]."""
        return linear.labels(self.decision_function(X), self.classes_)


def fitted(
    classifier: MaxMarginClassifier,
    training: Training,
    solution: MaxMarginSolution,
    nu: float | None,
    separable: bool | None,
) -> MaxMarginClassifier:
    """Give a classifier the attributes of a solution of these rows, and return it."""
    classifier.classes_, classifier.separable_, classifier.nu_ = training.classes, separable, nu
    intercept = solution.intercept
    if solution.margin <= 0.0 and intercept is not None:
        # Weights 0 and the limit of free intercepts: the heaviest class, whatever the features are.
        intercept = np.eye(len(training.classes))[int(np.argmax(training.class_shares))]
    classifier.coef_, classifier.intercept_ = linear.coefficients(solution.weights, intercept)
    classifier.margin_, classifier.upper_bound_ = solution.margin, solution.upper_bound
    classifier.gap_, classifier.n_iter_ = solution.relative_gap, solution.iterations
    dual = training.of_samples(solution.dual)
    classifier.support_ = np.flatnonzero(dual.any(axis=1))
    classifier.dual_coef_ = dual[classifier.support_]
    classifier.solution_ = solution
    return classifier
