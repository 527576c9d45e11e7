"""The path over ν and its cross-validation."""

from __future__ import annotations

import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from tests.estimators.data import overlapping, separable

from steepest.errors import InvalidArgument
from steepest.estimators import GapWarning, MarginWarning, MaxMarginClassifier, MaxMarginPath, MaxMarginPathCV
from steepest.estimators.solving import Settings, of_missed_gaps


def test_every_point_of_a_path_is_the_classifier_of_its_nu():
    X, y = overlapping(classes=3)
    path = MaxMarginPath(nus=[0.9, 0.5], norm="max").fit(X, y)
    assert path.nus_.tolist() == [0.5, 0.9]
    for nu, each, labels in zip(path.nus_, path.classifiers_, path.staged_predict(X), strict=True):
        alone = MaxMarginClassifier(norm="max", nu=nu).fit(X, y)
        # It went on from its neighbour, and is the same within the gap that both certify.
        assert max(each.margin_, alone.margin_) <= min(each.upper_bound_, alone.upper_bound_)
        assert max(each.gap_, alone.gap_) <= 1e-4
        assert (labels == alone.predict(X)).mean() > 0.97
        assert each.get_params() == alone.get_params()
    assert path.coefs_.shape == (2, 3, 3)
    assert path.intercepts_.shape == (2, 3)


def test_margins_grow_with_nu_and_a_grid_begins_where_they_are_positive():
    X, y = overlapping(classes=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = MaxMarginPath(nus=5).fit(X, y)
    assert (path.margins_ > 0).all()
    # A mean of more margins is never below, as far as the bounds tell.
    assert (np.diff(path.upper_bounds_) >= -1e-9).all()
    assert len(path.nus_) == 5
    with pytest.warns(MarginWarning):
        assert MaxMarginClassifier(nu=0.8 * path.nus_[0]).fit(X, y).nu_ >= 0.9 * path.nus_[0]


def test_below_the_smallest_nu_all_are_its_fit_in_one_warning():
    X, y = overlapping(classes=2)
    with pytest.warns(MarginWarning, match=r"^nu=0\.002: no weights have a positive") as told:
        path = MaxMarginPath(nus=[0.001, 0.002, 0.5]).fit(X, y)
    assert len(told) == 1
    assert told[0].filename == __file__
    first: Any = path.classifiers_[0]
    assert first.nu_ == path.classifiers_[1].nu_
    assert first.nu_ > 0.002
    assert path.classifiers_[2].nu_ == 0.5


def test_cross_validation_chooses_the_nu_of_the_best_mean_score():
    X, y = overlapping(classes=3)
    names = np.array(["a", "b", "c"])[y]
    nus, folds = [0.4, 0.6, 0.8], StratifiedKFold(3, shuffle=True, random_state=0)
    chosen = MaxMarginPathCV(nus=nus, cv=folds).fit(X, names)
    expected = [cross_val_score(MaxMarginClassifier(nu=nu), X, names, cv=folds) for nu in nus]
    np.testing.assert_allclose(chosen.scores_, np.transpose(expected))
    means = chosen.scores_.mean(axis=0)
    assert chosen.best_score_ == means.max()
    assert chosen.nu_ == max(nu for nu, mean in zip(nus, means, strict=True) if mean == means.max())
    alone = MaxMarginClassifier(nu=chosen.nu_).fit(X, names)
    assert np.array_equal(chosen.coef_, alone.coef_)
    assert np.array_equal(chosen.predict(X), alone.predict(X))
    assert chosen.classifier_.margin_ == alone.margin_


def test_scores_groups_jobs_and_sparse_features():
    X, y = overlapping(classes=2)
    groups = np.arange(len(y)) // 10
    settings = {"nus": [0.5, 0.7], "cv": GroupKFold(3), "scoring": "balanced_accuracy"}
    chosen = MaxMarginPathCV(**settings).fit(X, y, groups=groups)
    with joblib.parallel_config(backend="threading"):
        parallel = MaxMarginPathCV(**settings, n_jobs=2).fit(sparse.csr_array(X), y, groups=groups)
    assert np.array_equal(chosen.scores_, parallel.scores_)
    train, test = next(GroupKFold(3).split(X, y, groups))
    fitted = MaxMarginClassifier(nu=0.7).fit(X[train], y[train])
    assert chosen.scores_[0, 1] == balanced_accuracy_score(y[test], fitted.predict(X[test]))


def test_a_score_that_is_no_number_is_never_the_best():
    X, y = overlapping(classes=2)
    fits: list[float] = []

    def second_alone(estimator, X, y):
        fits.append(estimator.nu)
        return 0.5 if estimator.nu == pytest.approx(0.7) else np.nan

    assert MaxMarginPathCV([0.5, 0.7, 0.9], scoring=second_alone, cv=3).fit(X, y).nu_ == pytest.approx(0.7)
    assert fits
    with pytest.raises(InvalidArgument, match=r"scoring=.*is NaN"):
        MaxMarginPathCV([0.5, 0.7], scoring=lambda *_: np.nan, cv=3).fit(X, y)


def test_a_grid_of_separable_data_begins_at_the_hard_margin():
    X, y = separable(classes=2)
    path = MaxMarginPath(nus=3, gap=1e-6).fit(X, y)
    hard = MaxMarginClassifier(gap=1e-6).fit(X, y)
    assert path.nus_[0] == pytest.approx(1 / len(y))
    assert path.margins_[0] == pytest.approx(hard.margin_, rel=2e-6)


@pytest.mark.parametrize("estimator", [MaxMarginPath, MaxMarginPathCV])
@pytest.mark.parametrize(
    ("nus", "message"),
    [
        (1, "^nus=1: give a whole number of at least 2"),
        ([], "^nus=.*: give a whole number of at least 2, or the values"),
        ("many", "^nus='many': give a whole number.*values of nu; norms are given by name, norm="),
        ([0.1, 1.5], r"^nus\[1\]=1\.5: give a share in \(0, 1\]"),
    ],
)
def test_grids_that_cannot_be_used_are_refused(estimator, nus, message):
    with pytest.raises(InvalidArgument, match=message):
        estimator(nus).fit(*separable(classes=2))


def test_gaps_that_time_did_not_allow_are_told_once_with_their_nu():
    X, y = (each[:14] for each in overlapping(classes=2))
    settings: dict[str, Any] = {"gap": 1e-17, "time_limit": 20.0}
    asked = "and gap=1e-17 was asked for: give a larger gap or time_limit, or another method$"
    with pytest.warns(
        GapWarning, match=rf"^the certified gaps are up to .* of nu=0\.5, 0\.6, {asked}"
    ) as told:
        path = MaxMarginPath(nus=[0.5, 0.6], **settings).fit(X, y)
    assert [each.filename for each in told if each.category is GapWarning] == [__file__]
    assert all(each.gap_ > 1e-17 for each in path.classifiers_)
    with pytest.warns(GapWarning) as told:
        MaxMarginPathCV(nus=[0.6], cv=2, **settings).fit(X, y)
    messages = [str(each.message) for each in told if each.category is GapWarning]
    assert messages[0].startswith("in 2 of 2 folds the certified gaps of some nu are up to ")
    # The other one is of the fit to all samples.
    assert len(messages) == 2


def test_one_nu_of_a_path_that_misses_its_gap_is_named():
    X, y = overlapping(classes=2)
    path = MaxMarginPath(nus=[0.5, 0.6, 0.7], gap=1e-3).fit(X, y)
    widest = max(path.classifiers_, key=lambda each: each.gap_)
    solutions = [(each.nu_, each.solution_) for each in path.classifiers_]
    between = sorted(each.gap_ for each in path.classifiers_)[-2:]
    settings = Settings("frobenius", sum(between) / 2, True)
    message = of_missed_gaps(solutions, settings)
    assert message is not None
    assert f" of nu={widest.nu_:.4g}, and gap=" in message
    assert message.startswith("the certified gap is ")
