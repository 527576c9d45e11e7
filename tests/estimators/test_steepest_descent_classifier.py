"""Steepest descent as an estimator: the runs of `descend`, passes that go on, and probabilities."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from tests.estimators.data import overlapping, separable

import steepest as st
from steepest.errors import InvalidArgument, InvalidData
from steepest.estimators import GapWarning, SteepestDescentClassifier


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


@pytest.mark.parametrize("norm", ["spectral", "max"])
def test_a_fit_is_a_run_of_descend(norm):
    X, y = separable(classes=3)
    found = SteepestDescentClassifier(norm, momentum=0.5, step_size=0.2, decay=0.6, max_iter=50).fit(X, y)
    method = st.Method(norm, momentum=0.5, schedule=st.PolynomialDecay(0.2, 0.6))
    run = st.descend(st.Classification(with_ones(X), y), method, 50)
    np.testing.assert_allclose(found.weights_, run.final_weights, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.coef_, found.weights_[:, :-1])
    np.testing.assert_allclose(found.intercept_, found.weights_[:, -1])
    assert found.margin_ == pytest.approx(run.normalized_margin[-1])
    assert (found.n_iter_, found.t_) == (50, 50)
    assert found.loss_ == pytest.approx(np.exp(run.log_loss[-1]))


def test_a_fit_ends_at_its_certified_gap_or_says_so():
    X, y = separable(classes=2)
    found = SteepestDescentClassifier("frobenius", tol=0.2, max_iter=20000).fit(X, y)
    assert found.gap_ <= 0.2
    assert found.n_iter_ < 20000
    best = st.max_margin(st.Classification(with_ones(X), y), "frobenius")
    assert found.margin_ <= best.upper_bound
    assert found.upper_bound_ >= best.margin
    with pytest.warns(GapWarning, match=r"^after 3 passes the certified gap is .*tol=0\.001") as told:
        SteepestDescentClassifier(tol=1e-3, max_iter=3).fit(X, y)
    assert told[0].filename == __file__
    with pytest.warns(GapWarning, match="not all margins are positive: .*separability"):
        SteepestDescentClassifier(tol=1e-3, max_iter=3).fit(*overlapping(classes=3))


@pytest.mark.parametrize("momentum_kind", ["ema", "nesterov", "heavy-ball"])
def test_passes_over_all_samples_are_those_of_a_fit(momentum_kind):
    X, y = overlapping(classes=3)
    settings = {"norm": "frobenius", "momentum": 0.8, "momentum_kind": momentum_kind}
    fitted = SteepestDescentClassifier(**settings, max_iter=7).fit(X, y)
    by_pass = SteepestDescentClassifier(**settings)
    for _ in range(7):
        by_pass.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_allclose(by_pass.weights_, fitted.weights_, rtol=1e-9, atol=1e-11)
    assert (by_pass.n_iter_, by_pass.t_) == (7, 7)


def test_batches_without_some_classes_go_on_with_steps_and_weights():
    X, y = separable(classes=3)
    parts = np.array_split(np.arange(len(y)), 7)
    assert min(len(set(y[part])) for part in parts) < 3
    classifier = SteepestDescentClassifier("max", batch_size=4, momentum=0.5, random_state=0, signal="saga")
    for _ in range(3):
        for part in parts:
            classifier.partial_fit(X[part], y[part], classes=[0, 1, 2, 3])
    assert classifier.classes_.tolist() == [0, 1, 2, 3]
    assert classifier.n_iter_ == 21
    assert classifier.t_ == 3 * sum(-(-len(part) // 4) for part in parts)
    copy = pickle.loads(pickle.dumps(classifier))
    first, second = (each.partial_fit(X, y).weights_ for each in (classifier, copy))
    assert np.array_equal(first, second)
    assert classifier.score(X, y) > 0.9


def test_weights_in_a_pass_are_those_of_a_fit():
    X, y = overlapping(classes=2)
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    settings = {"norm": "frobenius", "class_weight": {1: 2.5}}
    fitted = SteepestDescentClassifier(**settings, max_iter=1).fit(X, y, weights)
    by_pass = SteepestDescentClassifier(**settings).partial_fit(X, y, [0, 1], weights)
    np.testing.assert_allclose(by_pass.weights_, fitted.weights_, rtol=1e-10)


def test_a_warm_start_goes_on_from_the_weights():
    X, y = overlapping(classes=3)
    cold = SteepestDescentClassifier(max_iter=20).fit(X, y)
    warm = SteepestDescentClassifier(max_iter=20, warm_start=True).fit(X, y)
    assert np.array_equal(cold.weights_, warm.weights_)
    before = warm.loss_
    assert warm.fit(X, y).loss_ < before
    assert not np.array_equal(cold.weights_, warm.weights_)
    assert np.array_equal(cold.fit(X, y).loss_, before)
    with pytest.raises(
        InvalidData, match=r"with warm_start=True give samples of the same classes, \[0, 1, 2\]"
    ):
        warm.fit(X[y < 2], y[y < 2])
    with pytest.raises(InvalidData, match=r"X=\(\d+, 1\): with warm_start=True give features .* as before"):
        warm.fit(X[:, :1], y)


def test_probabilities_are_the_softmax_of_scores():
    X, y = overlapping(classes=3)
    found = SteepestDescentClassifier(max_iter=50).fit(X, y)
    np.testing.assert_allclose(found.predict_proba(X), softmax(found.decision_function(X), axis=1))
    np.testing.assert_allclose(np.exp(found.predict_log_proba(X)), found.predict_proba(X))
    X, y = X[y < 2], y[y < 2]
    found = SteepestDescentClassifier(max_iter=50).fit(X, y)
    odds = 1 / (1 + np.exp(-found.decision_function(X)))
    np.testing.assert_allclose(found.predict_proba(X), np.column_stack([1 - odds, odds]))
    other = SteepestDescentClassifier(loss="exponential", max_iter=50).fit(X, y)
    assert not hasattr(other, "predict_proba")
    assert hasattr(CalibratedClassifierCV(other, cv=2).fit(X, y), "predict_proba")


def test_long_descent_on_data_that_overlaps_is_logistic_regression():
    X, y = overlapping(classes=3)
    found = SteepestDescentClassifier("frobenius", step_size=0.5, decay=0.9, max_iter=20000).fit(X, y)
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10000).fit(with_ones(X), y)
    np.testing.assert_allclose(found.predict_proba(X), exact.predict_proba(with_ones(X)), atol=2e-2)


def test_norms_and_batches_are_searched():
    X, y = overlapping(classes=2)
    grid = {"norm": ["frobenius", "max"], "batch_size": [8, 1000]}
    search = GridSearchCV(SteepestDescentClassifier(max_iter=20, random_state=0), grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_size": 0.0}, r"^step_size=0\.0: give a number greater than 0, or a schedule"),
        ({"step_size": "large"}, "^step_size='large': give a number"),
        ({"tol": -1}, "^tol=-1: give a gap between 0 and 1"),
        ({"decay": -1}, "^decay=-1: give"),
        ({"max_iter": 0}, "^max_iter=0: give a whole number of at least 1"),
        ({"batch_size": 0}, "^batch_size=0: give a whole number of at least 1"),
        ({"loss": "hinge"}, "^loss='hinge'"),
        ({"tol": 1.0}, r"^tol=1\.0"),
        ({"momentum": 1.0}, r"^momentum=1\.0"),
        ({"warm_start": 1}, "^warm_start=1: give True or False"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_the_fit(settings, message):
    with pytest.raises(InvalidArgument, match=message):
        SteepestDescentClassifier(**settings).fit(*separable(classes=2))


def test_partial_fits_say_what_they_need():
    X, y = separable(classes=2)
    with pytest.raises(InvalidArgument, match=r"^classes=None: give every class there is"):
        SteepestDescentClassifier().partial_fit(X, y)
    classifier = SteepestDescentClassifier().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(InvalidArgument, match=r"give those of before, \[0, 1\]"):
        classifier.partial_fit(X, y, classes=[0, 2])
    with pytest.raises(InvalidData, match=r"^y=5: give labels that are among classes=\[0, 1\]"):
        classifier.partial_fit(X, np.where(y == 1, 5, 0))
    with pytest.raises(InvalidArgument, match="one batch does not know how often a class comes"):
        SteepestDescentClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    for weights, named in (
        ([1.0, 2.0], r"=\[1.0, 2.0\]"),
        ({1: -2.0}, r"\[1\]=-2.0"),
        ({0: np.nan}, r"\[0\]=nan"),
    ):
        with pytest.raises(
            InvalidArgument, match=f"^class_weight{named}: give a finite weight of at least 0"
        ):
            SteepestDescentClassifier(class_weight=weights).partial_fit(X, y, classes=[0, 1])


def test_ctrl_c_ends_the_fit_and_what_goes_on_around_it(monkeypatch):
    X, y = separable(classes=2)

    class Interrupting:
        def __call__(self, step):
            return 0.1 * (np.asarray(step) + 1.0) ** -0.5

    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("steepest.descent.sweep.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SteepestDescentClassifier(step_size=Interrupting(), max_iter=10**7).fit(X, y)
