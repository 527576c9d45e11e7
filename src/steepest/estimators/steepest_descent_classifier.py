"""Linear classification by steepest descent in any norm, with its own certificate, as scikit-learn has it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import device
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from steepest.arguments import real_number, switch, whole_number
from steepest.arrays import Array, as_numpy, namespace, plain_array
from steepest.descent import Method, descend
from steepest.errors import InvalidArgument, InvalidData
from steepest.estimators import linear
from steepest.estimators.passes import Standing, one_pass
from steepest.estimators.solving import dense
from steepest.estimators.training import checked_features, checked_samples, distinct, encoded_labels
from steepest.estimators.warnings import GapWarning
from steepest.geometry import Norm
from steepest.losses import CROSS_ENTROPY, Loss, loss
from steepest.problem import Classification
from steepest.schedules import PolynomialDecay, Schedule
from steepest.signals import Momentum, Signal

__all__ = ["SteepestDescentClassifier"]

_RECORDS = 100
"""Steps, spaced evenly on a log scale, at which the certificate is looked at."""
_RECORDED_ENTRIES = 1 << 25
"""Entries of weights that records may hold, 256 MB."""
_SEEDS = 2**31 - 1


def _gives_probabilities(estimator: SteepestDescentClassifier) -> bool:
    if loss(estimator.loss).name != CROSS_ENTROPY.name:
        raise AttributeError(f"loss={estimator.loss!r} gives no probabilities: use CalibratedClassifierCV")
    return True


class SteepestDescentClassifier(ClassifierMixin, BaseEstimator):
    """Linear classifier by steepest descent in a norm, which knows how far its margin is from the largest.

    W_{t+1} = W_t - η_t D(S_t): norm="spectral" with momentum is Muon, norm="max" without is SignSGD. On
    separable data the direction of W goes to the largest margin in the norm, and the gradients bound that
    margin from above, so that a fit can end by itself at a certified gap (``tol``). Rows that are equal are
    taken together and weigh as many, in an order of their own; a mini-batch is one of distinct rows.

    Args:
        norm: a norm or its name.
        loss: a loss or its name: "cross-entropy" (logistic regression), "exponential", "pairwise-logistic".
        batch_size: distinct rows a step, or all of them where there are fewer; None takes all.
        momentum: β, 0 ≤ β < 1.
        momentum_kind: "ema", "nesterov" or "heavy-ball".
        variance_reduction: True is another way to write signal="svrg".
        signal: "minibatch", "svrg", "loopless-svrg" or "saga"; None for the first, or as above.
        step_size: η_0 of steps η_0 (t + 1)^-decay, in units of the norm of W; or a schedule.
        decay: the exponent of the steps; 0 keeps them constant. A schedule knows its own.
        max_iter: passes over the rows.
        tol: certified relative gap of the margin at which a fit ends, such as 1e-2; None makes all passes.
        fit_intercept: whether W has a column for a constant feature 1, which the norm sees like any other.
        class_weight: None, "balanced", or a weight for each class; times ``sample_weight``.
        random_state: of the order of the mini-batches.
        warm_start: whether a fit starts from the weights of the last one, in place of 0.
        engine: how :func:`steepest.descend` computes.

    >>> X, y = [[0.0, 3.0], [1.0, 2.0], [4.0, 0.0], [5.0, 1.0]], ["low", "low", "high", "high"]
    >>> classifier = SteepestDescentClassifier(norm="max", tol=0.1, max_iter=10000).fit(X, y)
    >>> classifier.predict([[0.0, 2.0], [6.0, 0.0]]).tolist(), classifier.gap_ <= 0.1
    (['low', 'high'], True)
    """

    coef_: np.ndarray
    """Weights of the features, shape [k, d]; of two classes one row, their difference."""
    intercept_: np.ndarray
    """Intercepts, shape [k], or [1] for two classes."""
    weights_: np.ndarray
    """W itself, with the column of the intercept last, shape [k, d + 1]; [k, d] without one."""
    classes_: np.ndarray
    """The classes, sorted, shape [k]."""
    n_features_in_: int
    """Number of features d."""
    feature_names_in_: np.ndarray
    """Names of the features, shape [d], if they had any."""
    margin_: float
    """margin(W) / ‖W‖ at the end of ``fit``: a lower bound of the largest margin of the rows, with a 1 at
    their end where there is an intercept; negative where a sample is misclassified."""
    upper_bound_: float
    """The smallest certificate seen in ``fit``, an upper bound of that margin."""
    gap_: float
    """1 - margin_ / upper_bound_: at most ``tol`` where a fit ended by itself, infinite without a bound."""
    loss_: float
    """The mean loss at the end of ``fit``."""
    n_iter_: int
    """Passes over the samples."""
    t_: int
    """Steps."""
    _standing: Standing

    def __init__(
        self,
        norm: Norm | str = "spectral",
        *,
        loss: Loss | str = "cross-entropy",
        batch_size: int | None = None,
        momentum: float = 0.0,
        momentum_kind: Momentum | str = "ema",
        variance_reduction: bool | None = None,
        signal: Signal | str | None = None,
        step_size: float | Schedule = 0.1,
        decay: float = 0.5,
        max_iter: int = 1000,
        tol: float | None = None,
        fit_intercept: bool = True,
        class_weight: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        engine: str = "auto",
    ):
        self.norm = norm
        self.loss = loss
        self.batch_size = batch_size
        self.momentum = momentum
        self.momentum_kind = momentum_kind
        self.variance_reduction = variance_reduction
        self.signal = signal
        self.step_size = step_size
        self.decay = decay
        self.max_iter = max_iter
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.warm_start = warm_start
        self.engine = engine

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SteepestDescentClassifier:
        """Fit to features [n, d] and labels [n], and return the classifier.

        Args:
            X: an array, a data frame, a tensor, or a sparse matrix, whose zeros are then kept in memory.
            y: labels of at least two classes.
            sample_weight: a weight of at least 0 for each sample in the loss, shape [n].

        Raises:
            ValueError: features or labels that scikit-learn refuses.
            InvalidArgument: any other argument that cannot be used; it is a ValueError too.
            InvalidData: with ``warm_start``, samples of other classes or of other features than before.

        Warns:
            GapWarning: all passes were made, and the certified gap is above ``tol``.
        """
        passes = whole_number("max_iter", self.max_iter, 1)
        start = self.weights_ if switch("warm_start", self.warm_start) and hasattr(self, "weights_") else None
        X, y, weights = checked_samples(self, X, y, sample_weight)
        classes, labels, weights = encoded_labels(y, weights, self.class_weight)
        if start is not None and not np.array_equal(classes, self.classes_):
            remedy = f"with warm_start=True give samples of the same classes, {self.classes_.tolist()}"
            raise InvalidData("y", classes.tolist(), remedy)
        columns = X.shape[1] + switch("fit_intercept", self.fit_intercept)
        if start is not None and start.shape[1] != columns:
            remedy = "with warm_start=True give features and fit_intercept as before, with"
            raise InvalidData("X", tuple(X.shape), f"{remedy} {start.shape[1]} weights a class")
        tolerance = self.tol
        if tolerance is not None:
            tolerance = real_number("tol", tolerance, "give a gap between 0 and 1, or None", above=0, below=1)
        training = distinct(X, labels, classes, weights)
        problem = Classification(_augmented(self, training.features), training.labels)
        method = _method(self, problem, _seed(self))
        batches = method.reshuffling(problem).batches
        entries = problem.n_classes * problem.dimension
        run = descend(
            problem,
            method,
            passes * batches,
            records=max(3, min(_RECORDS, _RECORDED_ENTRIES // entries)),
            initial_weights=start,
            sample_weight=training.weights,
            engine=self.engine,
            stop_at_gap=tolerance,
        )
        if not run.completed:
            # Ctrl-C meant this fit, and whatever goes on around it.
            raise KeyboardInterrupt
        steps = int(run.steps[-1])
        _keep(self, classes, Standing(run.final_weights, method.seed, steps, -(-steps // batches)))
        self.margin_, self.upper_bound_ = float(run.normalized_margin[-1]), float(run.upper_bound[-1])
        self.gap_ = 1.0 - self.margin_ / self.upper_bound_ if self.upper_bound_ > 0 else np.inf
        self.loss_ = float(np.exp(run.log_loss[-1]))
        if self.tol is not None and not self.gap_ <= self.tol:
            message = (
                f"after {self.n_iter_} passes the certified gap is {self.gap_:.2g}, and tol={self.tol:g} was "
                "asked for: give more passes (max_iter), other steps, or a larger tol"
            )
            if self.margin_ <= 0.0:
                message += "; not all margins are positive: steepest.separability says whether they can be"
            warnings.warn(message, GapWarning, stacklevel=2)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> SteepestDescentClassifier:
        """Make one pass over these samples, on from the last fit or pass, and return the classifier.

        Steps go on decreasing and momentum goes on from pass to pass (after ``fit`` it starts anew).

        Args:
            X: features, shape [n, d].
            y: labels, shape [n], of some or all of the classes.
            classes: every class there is; needed in the first call alone.
            sample_weight: weights of these samples in the loss, shape [n].

        Raises:
            ValueError: as ``fit``; the first call lacks ``classes``, or a label is not among them.
            InvalidArgument: a ``class_weight`` that only all samples together would tell, or that is no
                weight for each class; it is a ValueError too.
        """
        if isinstance(self.class_weight, str):
            remedy = "one batch does not know how often a class comes: give a weight for each class"
            raise InvalidArgument("class_weight", self.class_weight, remedy)
        first = not hasattr(self, "classes_")
        known = _known_classes(self, classes)
        X, y, weights = checked_samples(self, X, y, sample_weight, reset=first)
        if self.class_weight is not None:
            by_class = _weight_of_each(self.class_weight)
            weights = weights * [by_class.get(label, 1.0) for label in y.tolist()]
        used = np.flatnonzero(weights > 0)
        problem = Classification(_augmented(self, X[used]), y[used], classes=known).weighted(weights[used])
        standing = None if first else self._standing
        if standing is None:
            standing = Standing(np.zeros((problem.n_classes, problem.dimension)), _seed(self))
        method = _method(self, problem, standing.seed)
        _keep(self, known, one_pass(problem, method, standing, self.engine))
        return self

    def decision_function(self, X: Any) -> Array:
        """Return scores of rows [n, d]: [n] for two classes, positive for the second, otherwise [n, k]."""
        check_is_fitted(self)
        return linear.scores(checked_features(self, X), self.coef_, self.intercept_)

    def predict(self, X: Any) -> Array:
        """Return the label of largest score for rows [n, d], shape [n]."""
        return linear.labels(self.decision_function(X), self.classes_)

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Return the softmax of the scores of rows [n, d], shape [n, k]; for loss="cross-entropy" alone.

        The weights of separable data grow without bound, and these probabilities go to 0 and 1: calibrate by
        :class:`sklearn.calibration.CalibratedClassifierCV` what has run far.
        """
        return linear.probabilities(self.decision_function(X))

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of ``predict_proba``, exact where that is 0, shape [n, k]."""
        return linear.log_probabilities(self.decision_function(X))


def _weight_of_each(class_weight: Any) -> dict[Any, float]:
    remedy = "give a finite weight of at least 0 for each class, in a dict"
    if not isinstance(class_weight, Mapping):
        raise InvalidArgument("class_weight", class_weight, remedy)
    return {
        label: real_number(f"class_weight[{label!r}]", weight, remedy, at_least=0)
        for label, weight in class_weight.items()
    }


def _seed(estimator: SteepestDescentClassifier) -> int:
    return int(check_random_state(estimator.random_state).randint(_SEEDS))


def _method(estimator: SteepestDescentClassifier, problem: Classification, seed: int) -> Method:
    size = estimator.batch_size
    if size is not None:
        size = min(whole_number("batch_size", size, 1), problem.samples)
    steps = estimator.step_size
    if not isinstance(steps, Schedule) or isinstance(steps, type):
        remedy = "give a number greater than 0, or a schedule such as PolynomialDecay(0.1, 0.5)"
        steps = _decaying(real_number("step_size", steps, remedy, above=0), estimator.decay)
    return Method(
        estimator.norm,
        batch_size=size,
        momentum=estimator.momentum,
        variance_reduction=estimator.variance_reduction,
        loss=estimator.loss,
        schedule=steps,
        seed=seed,
        signal=estimator.signal,
        momentum_kind=estimator.momentum_kind,
    )


def _decaying(initial: float, decay: Any) -> PolynomialDecay:
    try:
        return PolynomialDecay(initial, decay)
    except InvalidArgument as error:
        raise InvalidArgument("decay", decay, error.remedy) from error


def _augmented(estimator: SteepestDescentClassifier, X: Array) -> Array:
    """Return features as an array, with a column of ones where there is an intercept."""
    X = dense(X)
    if not switch("fit_intercept", estimator.fit_intercept):
        return X
    xp = namespace(X)
    return xp.concat([X, xp.ones((X.shape[0], 1), dtype=X.dtype, device=device(X))], axis=1)


def _known_classes(estimator: SteepestDescentClassifier, classes: Any) -> np.ndarray:
    """Return the sorted classes of partial fits."""
    given = None if classes is None else np.unique(as_numpy(plain_array(classes, "classes")))
    known = getattr(estimator, "classes_", None)
    if known is None:
        if given is None or len(given) < 2:
            remedy = "give every class there is, two at least, in the first call of partial_fit"
            raise InvalidArgument("classes", classes, remedy)
        return given
    if given is not None and not np.array_equal(given, known):
        raise InvalidArgument("classes", classes, f"leave it out, or give those of before, {known.tolist()}")
    return known


def _keep(estimator: SteepestDescentClassifier, classes: np.ndarray, standing: Standing) -> None:
    weights, intercept = standing.weights, None
    if estimator.fit_intercept:
        weights, intercept = weights[:, :-1], weights[:, -1]
    estimator.classes_, estimator.weights_ = classes, standing.weights
    estimator.coef_, estimator.intercept_ = linear.coefficients(weights, intercept)
    estimator.t_, estimator.n_iter_ = standing.step, max(1, standing.passes)
    estimator._standing = standing
