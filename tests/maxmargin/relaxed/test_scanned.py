"""Soft margins, intercepts and free features where features are sparse or in a file."""

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.errors import InvalidArgument, InvalidData
from steepest.maxmargin import Status
from steepest.maxmargin.relaxed import scanned


def texts(samples=80, features=60, classes=4, seed=0):
    """Sparse counts with a tenth of the labels wrong."""
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    X = (rng.random((samples, features)) < 0.1) * rng.integers(1, 4, (samples, features)).astype(float)
    X[np.arange(samples), y] += 2.0
    wrong = rng.random(samples) < 0.1
    return X, np.where(wrong, rng.integers(0, classes, samples), y)


@pytest.fixture(autouse=True)
def _as_if_large(monkeypatch):
    """Scan however small the features are."""
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 0)


def assert_same(first, second, gap):
    """Both are bounds on the same margin: each lower one is below each upper one, and the gaps are small."""
    assert max(first.margin, second.margin) <= min(first.upper_bound, second.upper_bound)
    assert first.status is second.status is Status.SOLVED
    assert max(first.relative_gap, second.relative_gap) <= gap


def assert_feasible(solution, problem, caps=None, free=()):
    """Dual weights meet their conditions as far as sums in floating point show."""
    q, y = solution.dual, problem.labels
    assert (q >= 0).all()
    assert q.sum() == pytest.approx(1.0, abs=1e-12)
    if caps is not None:
        assert (q.sum(axis=1) <= caps * (1 + 1e-12)).all()
    if solution.intercept is not None:
        leaving = np.bincount(y, q.sum(axis=1), minlength=problem.n_classes)
        np.testing.assert_allclose(leaving, q.sum(axis=0), atol=1e-15)
    A = problem.pair_sum(q)
    np.testing.assert_allclose(A[:, list(free)], 0.0, atol=1e-12)


@pytest.mark.parametrize("norm", ["frobenius", "row-2/inf", "spectral", "entrywise-3"])
def test_sparse_soft_margins_are_those_of_arrays(norm):
    X, y = texts()
    problem = st.Classification(sparse.csr_array(X), y)
    found = st.max_margin(problem, norm, 1e-5, nu=0.1, intercept=True)
    assert_same(found, st.max_margin(st.Classification(X, y), norm, 1e-7, nu=0.1, intercept=True), 1e-5)
    assert_feasible(found, problem, np.full(80, 1 / 8))


def test_weights_and_free_columns_of_sparse_features():
    X, y = texts()
    X[:, 7] = 20240000.0 + np.arange(80)
    weights = np.arange(80) % 3
    terms = {"nu": 0.2, "intercept": True, "free": [7], "sample_weight": weights, "class_weight": "balanced"}
    problem = st.Classification(sparse.csr_array(X), y)
    found = st.max_margin(problem, "frobenius", 1e-5, **terms)
    assert_same(found, st.max_margin(st.Classification(X, y), "frobenius", 1e-5, **terms), 1e-5)
    assert not found.dual[weights == 0].any()
    assert found.free == (7,)
    assert found.intercept is not None


def test_hard_margin_with_an_intercept_of_sparse_features():
    X, _ = texts(40, 60)
    y = np.arange(40) % 2
    X[:, 3] += 1e6
    problem = st.Classification(sparse.csr_array(X), y)
    found = st.max_margin(problem, "frobenius", 1e-6, intercept=True)
    assert_same(found, st.max_margin(st.Classification(X, y), "frobenius", 1e-8, intercept=True), 1e-6)
    assert found.separable is True
    assert found.intercept is not None
    margins = np.asarray(problem.pair_margins(found.weights)) + (
        found.intercept[problem.labels][:, None] - found.intercept
    )
    assert margins.min() >= found.margin * (1 - 1e-6)


@pytest.mark.parametrize("norm", ["frobenius", "max"])
def test_bands_of_few_samples_find_the_margin_of_all(norm, tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    y = np.arange(6000) % 3
    X = (rng.normal(size=(6000, 4)) + 3.0 * np.eye(3, 4)[y]).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = st.Classification(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    monkeypatch.setattr("steepest.maxmargin.solve._READ", 0)
    monkeypatch.setattr(scanned, "_NUMBERS", 1)
    # A band has a thousand samples, and 3000 are beyond the level.
    found = st.max_margin(mapped, norm, 1e-4, nu=0.5, intercept=True)
    assert not mapped.loaded
    direct = st.max_margin(st.Classification(X, y), norm, 1e-6, nu=0.5, intercept=True)
    assert_same(found, direct, 1e-4)
    assert_feasible(found, mapped, np.full(6000, 1 / 3000))


def test_the_soft_margin_of_contradictory_sparse_features_is_bounded_by_zero():
    X = sparse.csr_array(np.repeat(np.eye(3), 4, axis=0))
    problem = st.Classification(X, np.tile([0, 1], 6))
    found = st.max_margin(problem, "frobenius", 1e-4, nu=0.5, time_limit=20)
    assert found.margin == 0.0
    assert found.upper_bound < 1e-12
    assert found.status is Status.SOLVED or found.status is Status.NO_SOFT_MARGIN


@pytest.mark.parametrize("intercept", [False, True])
def test_no_soft_margin_of_sparse_features_is_certified(intercept, monkeypatch):
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 0)
    generator = np.random.default_rng(5)
    X, y = generator.normal(size=(80, 4)) + 3.0, generator.integers(0, 2, 80)
    terms = {"nu": 0.05, "intercept": intercept}
    found = st.max_margin(st.Classification(sparse.csr_array(X), y), "frobenius", 1e-6, **terms)
    assert found.status is Status.NO_SOFT_MARGIN
    assert st.max_margin(st.Classification(X, y), "frobenius", 1e-6, **terms).status is found.status
    q = found.dual
    assert q.sum() == pytest.approx(1)
    assert (q.sum(axis=1) <= (1 + 1e-11) / (0.05 * 80)).all()
    A = q.T @ X - np.eye(2)[y].T @ (q.sum(axis=1)[:, None] * X)
    assert np.abs(A).max() < 1e-12
    # At a larger nu there is one, and nothing is said.
    much = st.max_margin(st.Classification(sparse.csr_array(X), y), "frobenius", 1e-3, nu=0.999)
    assert much.status is Status.SOLVED


@pytest.mark.parametrize(("numbers", "few"), [(1 << 25, 1000), (1 << 14, 1000), (1 << 25, 1)])
@pytest.mark.parametrize(
    ("norm", "intercept"), [("frobenius", False), ("frobenius", True), ("spectral", True)]
)
def test_more_wrong_labels_than_nu_in_a_file_are_certified(
    norm, intercept, numbers, few, tmp_path, monkeypatch
):
    """One label in twenty is wrong; of sums that are too many to be corrected nothing is said."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 4000)
    X = (rng.normal(size=(4000, 8)) + 4.0 * np.eye(5, 8)[y]).astype(np.float32)
    y = np.where(rng.random(4000) < 0.05, (y + 1) % 5, y)
    np.save(tmp_path / "X.npy", X)
    monkeypatch.setattr("steepest.maxmargin.solve._READ", 0)
    monkeypatch.setattr(scanned, "_NUMBERS", numbers)
    monkeypatch.setattr("steepest.maxmargin.relaxed.exact_dual._MOST_SUMS", few)
    problem = st.Classification(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    found = st.max_margin(problem, norm, 1e-4, nu=0.02, intercept=intercept)
    assert not problem.loaded
    assert found.margin == 0.0
    assert found.upper_bound < 1e-6
    if few == 1:
        assert found.status is Status.GAP_NOT_REACHED
    else:
        assert found.status is Status.NO_SOFT_MARGIN
        assert_feasible(found, problem, np.full(4000, 1 / 80))
        terms = np.abs(problem.pair_sum(np.abs(found.dual))).max()
        assert np.abs(problem.pair_sum(found.dual)).max() < 1e-12 * max(terms, 1.0)


@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_a_deadline_that_leaves_no_time_leaves_bounds(norm):
    X, y = texts()
    problem = st.Classification(sparse.csr_array(X), y)
    found = st.max_margin(problem, norm, 1e-8, nu=0.3, intercept=True, time_limit=1e-9)
    whole = st.max_margin(st.Classification(X, y), norm, 1e-6, nu=0.3, intercept=True)
    assert found.margin <= whole.upper_bound
    assert whole.margin <= found.upper_bound < np.inf
    assert_feasible(found, problem, np.full(80, 1 / 24))


def test_small_sparse_features_are_solved_as_an_array(monkeypatch):
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 1 << 20)
    X, y = texts()
    problem = st.Classification(sparse.csr_array(X), y)
    found = st.max_margin(problem, "max", 1e-7, nu=0.1, intercept=True)
    assert (found.method, found.status) == ("interior point", Status.SOLVED)
    y = np.arange(80) % 4
    hard = st.max_margin(st.Classification(sparse.csr_array(X), y), "max")
    whole = st.max_margin(st.Classification(X, y), "max")
    assert hard.margin > 0
    assert (hard.method, hard.margin, hard.unique) == (whole.method, whole.margin, whole.unique)
    with pytest.raises(InvalidData, match="toarray"):
        problem.features.sum()


def test_a_start_changes_no_margin_and_takes_fewer_steps():
    X, y = texts(120, 40)
    problem = st.Classification(X, y)
    first = st.max_margin(problem, "frobenius", 1e-5, nu=0.2, intercept=True, method="scans")
    again = st.max_margin(problem, "frobenius", 1e-5, nu=0.2, intercept=True, method="scans", start=first)
    assert_same(again, first, 1e-5)
    assert again.iterations < first.iterations
    other = st.max_margin(problem, "frobenius", 1e-5, nu=0.19, intercept=True, method="scans", start=first)
    assert_same(other, st.max_margin(problem, "frobenius", 1e-7, nu=0.19, intercept=True), 1e-5)
    in_sparse = st.Classification(sparse.csr_array(X), y)
    assert_same(st.max_margin(in_sparse, "frobenius", 1e-5, nu=0.2, intercept=True, start=first), first, 1e-5)


@pytest.mark.parametrize("start", ["weights", 3.0, None])
def test_starts_that_are_none_are_refused(start):
    X, y = texts(40, 8)
    problem = st.Classification(X, y)
    start = st.max_margin(st.Classification(X[:20], y[:20]), "max", nu=0.5) if start is None else start
    with pytest.raises(InvalidArgument, match="start"):
        st.max_margin(problem, "max", nu=0.5, start=start)


def test_the_optimum_of_least_norm_is_refused_where_features_are_sparse():
    X, y = texts(20, 8)
    with pytest.raises(InvalidArgument, match="canonical=True: leave it out, or give features as an array"):
        st.max_margin(st.Classification(sparse.csr_array(X), y), "max", canonical=True)


@pytest.mark.parametrize("left", [1e-3, 1e-6])
def test_nearly_the_largest_nu_with_an_intercept_leaves_no_gap(left):
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], [42, 10, 8])
    problem = st.Classification(rng.normal(size=(60, 5)) + 1.5 * np.eye(3, 5)[y], y)
    terms = {"nu": 0.6 - left, "intercept": True}
    found = st.max_margin(problem, "spectral", 1e-6, **terms)
    assert_same(found, st.max_margin(problem, "spectral", 1e-6, method="scans", **terms), 1e-6)
    assert_feasible(found, problem, np.full(60, 1 / (60 * (0.6 - left))))


@pytest.mark.parametrize("seed", range(4))
def test_nearly_all_samples_at_their_caps_leave_no_gap(seed):
    """Dual weights that balance but for rounding are brought within caps that exceed 1 by little."""
    rng, weights = np.random.default_rng(seed), np.r_[3.0, 2.0, np.ones(35)]
    y = np.arange(37) % 4
    X = rng.random((37, 3)) + 0.3 * np.eye(4, 3)[y]
    problem = st.Classification(X, y)
    found = st.max_margin(problem, "frobenius", 1e-8, nu=0.9999, intercept=True, sample_weight=weights)
    assert found.status is Status.SOLVED
    assert_feasible(found, problem, weights / (0.9999 * weights.sum()))


def test_features_in_a_small_file_stay_there_unless_scans_fall_short(tmp_path, monkeypatch):
    X, y = texts(classes=2)
    np.save(tmp_path / "X.npy", X)
    monkeypatch.setattr("steepest.maxmargin.solve._LARGE", 0)
    mapped = st.Classification(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    found = st.max_margin(mapped, "frobenius", 1e-6, nu=0.5)
    assert found.method.startswith("scans")
    assert not mapped.loaded
    monkeypatch.setattr("steepest.maxmargin.relaxed.split._MOST_STEPS", 1)
    read = st.max_margin(mapped, "frobenius", 1e-6, nu=0.5)
    assert mapped.loaded
    assert_same(found, read, 1e-6)


def test_features_in_a_file_are_not_read_when_time_is_up(tmp_path, monkeypatch):
    X, y = texts(classes=2)
    np.save(tmp_path / "X.npy", X)
    monkeypatch.setattr("steepest.maxmargin.solve._LARGE", 0)
    mapped = st.Classification(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    found = st.max_margin(mapped, "frobenius", 1e-12, nu=0.5, time_limit=1e-6)
    assert not mapped.loaded
    assert found.status is Status.GAP_NOT_REACHED
    assert 0.0 <= found.margin <= found.upper_bound
