"""Max margins as an estimator: what is fitted, what is warned of, and what scikit-learn does with it."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, NuSVC
from tests.estimators.data import blobs, overlapping, separable

import steepest as st
from steepest.errors import InvalidArgument, SteepestWarning
from steepest.estimators import GapWarning, MarginWarning, MaxMarginClassifier

iris: Any = load_iris
"""With the types that its documentation says."""


def test_two_points_have_the_margin_of_half_their_distance():
    classifier = MaxMarginClassifier(gap=1e-8).fit([[0.0, 1.0], [4.0, 4.0]], ["no", "yes"])
    # W = (-w, w) with ‖W‖ = 1; the pair margin of either point is half of (w_yes - w_no)·(4, 3).
    assert classifier.margin_ == pytest.approx(5 / np.sqrt(2), rel=1e-7)
    direction = np.array([4.0, 3.0]) / 5 * np.sqrt(2)
    np.testing.assert_allclose(classifier.coef_, direction[None], rtol=1e-6)
    np.testing.assert_allclose(classifier.decision_function([[2.0, 2.5]]), [0.0], atol=1e-6)
    assert classifier.coef_.shape == (1, 2)
    assert classifier.intercept_.shape == (1,)
    assert classifier.support_.tolist() == [0, 1]
    np.testing.assert_allclose(classifier.dual_coef_, [[0.0, 0.5], [0.5, 0.0]], atol=1e-6)
    assert classifier.separable_ is True
    assert classifier.nu_ is None


@pytest.mark.parametrize("intercept", [True, False])
def test_the_hard_margin_of_two_classes_is_that_of_a_support_vector_machine(intercept):
    X, y = separable(classes=2)
    if not intercept:
        X = X - X.mean(axis=0)
    ours = MaxMarginClassifier(gap=1e-8, fit_intercept=intercept).fit(X, y)
    if intercept:
        theirs = SVC(kernel="linear", C=1e9, tol=1e-9).fit(X, y)
        cosine = theirs.coef_ @ ours.coef_.T / np.linalg.norm(theirs.coef_) / np.linalg.norm(ours.coef_)
        assert cosine.item() == pytest.approx(1.0, abs=1e-7)
        # Half the width of the band between the classes, times √2 for the norm of both rows of W.
        assert ours.margin_ == pytest.approx(np.sqrt(2) / np.linalg.norm(theirs.coef_), rel=1e-5)
        assert set(ours.support_) <= set(theirs.support_)
    scores = ours.decision_function(X) * np.where(y == ours.classes_[1], 1, -1)
    assert scores.min() == pytest.approx(ours.margin_, rel=1e-9)


@pytest.mark.parametrize(("gap", "norm"), [(1e-4, "frobenius"), (1e-8, "frobenius"), (1e-4, "max")])
def test_the_support_is_what_holds_the_margin_up_and_nothing_else(gap, norm):
    X, y = iris(return_X_y=True)
    X, y = X[y < 2], y[y < 2]
    hard = MaxMarginClassifier(norm, gap=gap).fit(X, y)
    scores = hard.decision_function(X) * np.where(y == 1, 1, -1)
    assert np.flatnonzero(scores < hard.margin_ * (1 + gap)).tolist() == hard.support_.tolist()
    # In the Frobenius norm W is in the direction of A(q), here of two opposite rows.
    q = hard.dual_coef_.sum(axis=1) * np.where(y[hard.support_] == 1, 1, -1)
    if norm == "frobenius":
        assert hard.support_.tolist() == SVC(kernel="linear", C=1e9).fit(X, y).support_.tolist()
        A = q @ X[hard.support_]
        np.testing.assert_allclose(hard.coef_[0], np.sqrt(2) * A / np.linalg.norm(A), atol=2 * np.sqrt(gap))
    # Samples of little weight count too: below the level of the margins all are at their caps.
    soft = MaxMarginClassifier(norm, gap=gap, nu=0.2).fit(X, y, np.where(np.arange(100) % 3 == 0, 0.1, 1.0))
    margins = soft.decision_function(X) * np.where(y == 1, 1, -1)
    level = margins[soft.support_].max()
    assert set(np.flatnonzero(margins < level - 1e-2)) <= set(soft.support_)
    assert len(soft.support_) < 40


@pytest.mark.parametrize("nu", [0.3, 0.6])
def test_the_soft_margin_of_two_classes_is_that_of_nu_svc(nu):
    X, y = overlapping(classes=2)
    ours = MaxMarginClassifier(nu=nu, gap=1e-8).fit(X, y)
    theirs = NuSVC(nu=nu, kernel="linear", tol=1e-9).fit(X, y)
    cosine = theirs.coef_ @ ours.coef_.T / np.linalg.norm(theirs.coef_) / np.linalg.norm(ours.coef_)
    assert cosine.item() == pytest.approx(1.0, abs=1e-6)
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert ours.nu_ == nu


@pytest.mark.parametrize("norm", ["frobenius", "max", "spectral"])
def test_the_dual_weights_certify_the_upper_bound(norm):
    X, y = separable(classes=3)
    # Samples twice and of no weight, so that rows and samples differ.
    X, y = np.concatenate([X, X[:5], -X[:1]]), np.concatenate([y, y[:5], y[:1]])
    weights = np.r_[np.ones(len(X) - 1), 0.0]
    found = MaxMarginClassifier(norm=norm, gap=1e-6).fit(X, y, weights)
    q = np.zeros((len(X), 3))
    q[found.support_] = found.dual_coef_
    assert len(X) - 1 not in found.support_
    assert q.sum() == pytest.approx(1.0)
    codes = np.searchsorted(found.classes_, y)
    A, flow = np.zeros((3, X.shape[1])), np.zeros(3)
    for i in range(len(X)):
        for c in range(3):
            for row, sign in ((codes[i], 1.0), (c, -1.0)):
                A[row] += sign * q[i, c] * X[i]
                flow[row] += sign * q[i, c]
    assert q[np.arange(len(X)), codes].max() == 0
    np.testing.assert_allclose(flow, 0.0, atol=1e-12)
    assert st.norm(norm).dual(A) == pytest.approx(found.upper_bound_, rel=1e-9)
    assert found.margin_ <= found.upper_bound_ <= found.margin_ * (1 + 1.1e-6)
    assert st.norm(norm)(found.solution_.weights) == pytest.approx(1.0)


def test_a_fit_does_not_depend_on_the_order_of_the_rows():
    X, y = overlapping(classes=3)
    order = np.random.default_rng(0).permutation(len(X))
    first, second = (MaxMarginClassifier(nu=0.5).fit(X[i], y[i]) for i in (slice(None), order))
    assert np.array_equal(first.coef_, second.coef_)
    assert np.array_equal(np.sort(order[second.support_]), first.support_)


def test_data_that_is_not_separable_is_told_and_gets_the_softest_answer():
    X, y = overlapping(classes=2)
    with pytest.warns(
        MarginWarning, match=r"^the data is not separable.*; this is the fit of nu=0\."
    ) as told:
        found: Any = MaxMarginClassifier().fit(X, y)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert issubclass(MarginWarning, ConvergenceWarning)
    assert issubclass(MarginWarning, SteepestWarning)
    assert found.separable_ is False
    assert found.margin_ > 0
    assert 0 < found.nu_ < 1
    assert found.score(X, y) > 0.7
    # The fit is that of this nu; a little less has no positive margin.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = MaxMarginClassifier(nu=found.nu_).fit(X, y)
    np.testing.assert_allclose(same.coef_, found.coef_, rtol=1e-12)
    with pytest.warns(MarginWarning, match=r"^nu=0\.\d+: no weights have a positive margin; this is"):
        again: Any = MaxMarginClassifier(nu=0.8 * found.nu_).fit(X, y)
    assert again.nu_ >= 0.9 * found.nu_


def test_where_no_nu_has_a_margin_the_heaviest_class_is_predicted():
    X, y = np.array([[-1.0], [1.0], [-2.0], [2.0], [0.0]]), np.array(list("aaaab"))
    with pytest.warns(MarginWarning, match="weights are 0, and the heaviest class is predicted"):
        found = MaxMarginClassifier().fit(X, y)
    assert (found.predict(X) == "a").all()
    assert not found.coef_.any()
    assert found.margin_ == 0.0


def test_a_nu_above_the_largest_is_told_and_is_the_largest():
    X, y = overlapping(classes=2)
    X, y = np.concatenate([X, X[y == 0] + 0.01]), np.concatenate([y, y[y == 0]])
    message = (
        r"^nu=0\.9: above 0\.6667 free intercepts make .*; this is the fit of nu=0\.6667; give a smaller nu"
    )
    with pytest.warns(MarginWarning, match=message) as told:
        found = MaxMarginClassifier(nu=0.9).fit(X, y)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert found.nu_ == pytest.approx(2 / 3, rel=2e-4)
    assert found.margin_ > 0
    assert MaxMarginClassifier(nu=0.9, fit_intercept=False).fit(X, y).nu_ == 0.9
    assert MaxMarginClassifier(nu=0.9, class_weight="balanced").fit(X, y).nu_ == 0.9


def test_a_gap_that_time_did_not_allow_is_told():
    X, y = blobs(200, 30, centers=5, random_state=0)
    with pytest.warns(
        GapWarning, match=r"gap is .*, and gap=1e-13 was asked for: give a larger gap or time_limit"
    ):
        MaxMarginClassifier("spectral", gap=1e-13, time_limit=0.05).fit(X, y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nu": 0.0}, r"^nu=0\.0: give a share in \(0, 1\]"),
        ({"nu": 1.5}, r"^nu=1\.5: give a share in \(0, 1\]"),
        ({"norm": "spectrl"}, 'did you mean "spectral"'),
        ({"gap": 2}, "^gap=2: give a relative gap"),
        ({"fit_intercept": "yes"}, "^fit_intercept='yes': give True or False"),
        ({"method": "magic"}, "^method='magic': give one of"),
        ({"class_weight": {0: -1.0}}, "^class_weight=.*: give finite weights of at least 0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_at_the_fit(settings, message):
    X, y = np.arange(10.0)[:, None], np.r_[np.zeros(8), np.ones(2)].astype(int)
    with pytest.raises(InvalidArgument, match=message):
        MaxMarginClassifier(**settings).fit(X, y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"^sample_weight=\(3,\): give one weight for each of the 4 samples"),
        ([1.0, -1.0, 1.0, 1.0], r"^sample_weight\[1\]=-1\.0: give weights of at least 0"),
        (np.zeros(4), "all weights are zero"),
        ([1.0, 1.0, 0.0, 0.0], "at least two classes with weight; got 1 class"),
    ],
)
def test_sample_weights_that_cannot_be_used_are_refused(weights, message):
    with pytest.raises(InvalidArgument, match=message):
        MaxMarginClassifier().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1], weights)


def test_class_weights_are_weights_of_samples():
    X, y = overlapping(classes=3)
    by_class = MaxMarginClassifier(nu=0.5, class_weight={0: 1.0, 1: 2.0, 2: 0.5}).fit(X, y)
    by_sample = MaxMarginClassifier(nu=0.5).fit(X, y, np.array([1.0, 2.0, 0.5])[y])
    assert np.array_equal(by_class.coef_, by_sample.coef_)
    balanced = MaxMarginClassifier(nu=0.5, class_weight="balanced").fit(X, y)
    by_sample = MaxMarginClassifier(nu=0.5).fit(X, y, (1 / np.bincount(y))[y])
    np.testing.assert_allclose(balanced.coef_, by_sample.coef_, rtol=1e-6, atol=1e-8)


def test_frames_pipelines_and_searches():
    frame, y = iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    fitted = MaxMarginClassifier(nu=0.2).fit(frame, names)
    assert fitted.feature_names_in_.tolist() == list(frame.columns)
    assert fitted.score(frame, names) > 0.94
    assert fitted.predict(frame).dtype == names.dtype
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.rename(columns={frame.columns[0]: "other"}))
    pipeline = make_pipeline(StandardScaler(), MaxMarginClassifier(gap=1e-2))
    grid = {"maxmarginclassifier__norm": ["frobenius", "max"], "maxmarginclassifier__nu": [0.1, 0.3]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(frame, names)
    assert search.best_score_ > 0.9
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_fitted_classifier_is_pickled_and_cloned():
    X, y = separable(classes=3)
    fitted = MaxMarginClassifier(norm=st.Schatten(4), gap=1e-3).fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.decision_function(X), fitted.decision_function(X))
    assert copy.solution_.margin == fitted.margin_
    again: Any = clone(fitted)
    assert again.get_params() == fitted.get_params()


def test_sparse_features_give_the_same_bits():
    X, y = separable(classes=3)
    X[np.abs(X) < 0.3] = 0.0
    dense = MaxMarginClassifier(nu=0.5).fit(X, y)
    for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        found = MaxMarginClassifier(nu=0.5).fit(kind(X), y)
        assert np.array_equal(found.coef_, dense.coef_)
        np.testing.assert_allclose(found.decision_function(kind(X)), dense.decision_function(X), rtol=1e-12)


@pytest.mark.parametrize(
    "terms", [{"fit_intercept": False}, {"nu": 0.3}, {"nu": 0.2, "fit_intercept": False}]
)
def test_large_sparse_features_stay_sparse(terms, monkeypatch):
    X, y = separable(classes=3)
    X = sparse.csr_array(np.column_stack([np.where(np.abs(X) < 0.5, 0.0, X), np.ones(len(X))]))
    expected = MaxMarginClassifier(**terms).fit(X.toarray(), y)

    def refused(matrix):
        raise AssertionError("the zeros are kept in memory")

    monkeypatch.setattr(sparse.csr_array, "toarray", refused)
    monkeypatch.setattr("steepest.estimators.solving._SMALL_ENTRIES", 0)
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 0)
    found = MaxMarginClassifier(**terms).fit(X, y)
    assert found.margin_ <= expected.upper_bound_
    assert expected.margin_ <= found.upper_bound_
    assert found.gap_ <= 1e-4
    assert (found.predict(X) == y).all()
    # Of the norms that scans serve; of others an array is made.
    with pytest.raises(AssertionError, match="zeros are kept"):
        MaxMarginClassifier(nu=0.5, norm="row-inf/1").fit(X, y)


def test_weights_are_routed():
    X, y = overlapping(classes=2)
    weights = np.linspace(0.5, 2.0, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        classifier: Any = MaxMarginClassifier(nu=0.5)
        classifier.set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), classifier)
        fitted: Any = pipeline.fit(X, y, sample_weight=weights)[-1]
        # Pipelines of scikit-learn 1.5 route weights to a scorer, but not to their own score.
        scorer: Any = get_scorer("accuracy")
        scorer = scorer.set_score_request(sample_weight=True)
        scored = cross_validate(pipeline, X, y, cv=3, scoring=scorer, params={"sample_weight": weights})
    expected = MaxMarginClassifier(nu=0.5).fit(StandardScaler().fit_transform(X), y, weights)
    assert np.array_equal(fitted.coef_, expected.coef_)
    assert scored["test_score"].min() > 0.5


def test_probabilities_are_those_of_a_calibration():
    X, y = overlapping(classes=3)
    assert not hasattr(MaxMarginClassifier(), "predict_proba")
    calibrated = CalibratedClassifierCV(MaxMarginClassifier(nu=0.5, gap=1e-2), cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)


def test_labels_of_pandas_and_weights_of_series():
    X, y = separable(classes=2)
    labels = pd.Series(np.where(y == 1, "yes", "no"), dtype="category")
    fitted = MaxMarginClassifier().fit(pd.DataFrame(X), labels, pd.Series(np.ones(len(y))))
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert fitted.score(X, np.asarray(labels)) == 1.0
