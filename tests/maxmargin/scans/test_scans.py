"""Scans: the same certified margins as of the whole, from data in memory, in a file, and sparse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

import steepest as st
from steepest.errors import InvalidArgument, MissingCapability
from steepest.features import DenseRows, protocol
from steepest.geometry.rows import RowNorm
from steepest.geometry.shape_scaled import ScaledNorm
from steepest.maxmargin import Status, solve
from steepest.maxmargin.certificates.bounds import margin_below
from steepest.maxmargin.scans.bounds import margin_below_by_scan
from steepest.maxmargin.scans.solve import source_of

NORMS = ["frobenius", "spectral", "nuclear", "schatten-4", "entrywise-3", "max", "row-2/inf"]


def clusters(classes=6, samples=900, dimension=12, noise=0.5, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    centres = 3.0 * generator.normal(size=(classes, dimension))
    X = centres[y] + noise * generator.normal(size=(samples, dimension))
    return X.astype(np.float32), y


def texts(classes=4, samples=120, words=300, seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    own = generator.random((classes, words)) < 0.2
    counts = generator.poisson(0.1 + 0.6 * own[y])
    return sparse.csr_array(counts.astype(float)), y


@pytest.fixture(autouse=True)
def _as_if_sparse_features_were_large(monkeypatch):
    """Scan them however small they are."""
    monkeypatch.setattr(solve, "_SMALL", 0)


@pytest.fixture
def scanned(monkeypatch):
    """Nothing is read into memory as a whole, and blocks are small."""
    monkeypatch.setattr(solve, "_READ", 0)
    monkeypatch.setattr(protocol, "_ENTRIES", 2000)


@pytest.mark.parametrize("norm", NORMS)
def test_agrees_with_the_whole_problem(norm):
    problem = st.Classification(*clusters())
    gap = 1e-3 if norm in ("max", "sum") else 1e-4
    scans = st.max_margin(problem, norm, gap, method="scans")
    whole = st.max_margin(problem, norm, 1e-7)
    assert scans.status is Status.SOLVED
    assert scans.relative_gap <= gap
    assert scans.margin <= whole.upper_bound
    assert scans.upper_bound >= whole.margin
    assert scans.method.startswith("scans")


@pytest.mark.usefixtures("scanned")
@pytest.mark.parametrize("norm", ["frobenius", "spectral", "max"])
def test_a_memory_mapped_file_is_never_loaded(norm, tmp_path):
    X, y = clusters()
    np.save(tmp_path / "X.npy", X)
    problem = st.Classification(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    solution = st.max_margin(problem, norm, 1e-3)
    assert solution.status is Status.SOLVED
    assert not problem.loaded
    # The certificate of the whole, from the arrays in memory.
    bounds = st.maxmargin.certificate(st.Classification(X, y), norm, solution.weights, solution.dual)
    assert bounds.margin == pytest.approx(solution.margin, rel=1e-9)
    assert bounds.upper_bound == pytest.approx(solution.upper_bound, rel=1e-9)


@pytest.mark.parametrize(
    "norm", ["frobenius", "spectral", "entrywise-3", "row-2/inf", "mean-square-spectral"]
)
def test_sparse_features_give_the_margin_of_the_array(norm):
    X, y = texts()
    problem = st.Classification(X, y)
    solution = st.max_margin(problem, norm, 1e-5)
    whole = st.max_margin(st.Classification(X.toarray(), y), norm, 1e-6)
    assert solution.status is Status.SOLVED
    assert solution.margin == pytest.approx(whole.margin, rel=2e-5)
    assert not problem.loaded


def test_other_methods_are_refused_for_sparse_features():
    with pytest.raises(
        InvalidArgument, match=r"method='interior-point': features that are sparse .* are scanned"
    ):
        st.max_margin(st.Classification(*texts()), "max", method="interior-point")


def test_sorted_labels_and_sizes_far_from_1_change_nothing():
    X, y = clusters()
    order = np.argsort(y, kind="stable")
    reference = st.max_margin(st.Classification(X, y), "frobenius", 1e-6, method="scans")
    for size in (1e-200, 1.0, 1e200):
        problem = st.Classification(size * X[order].astype(float), y[order])
        solution = st.max_margin(problem, "frobenius", 1e-6, method="scans")
        assert solution.status is Status.SOLVED
        assert solution.margin / size == pytest.approx(reference.margin, rel=2e-6)


@pytest.mark.usefixtures("scanned")
def test_a_contradiction_is_certified(tmp_path):
    X, y = clusters()
    y[10] = (y[10] + 1) % 6
    X[10] = 2.0 * X[4]
    np.save(tmp_path / "X.npy", X)
    solution = st.max_margin(st.Classification(np.load(tmp_path / "X.npy", mmap_mode="r"), y), "spectral")
    assert solution.status is Status.NOT_SEPARABLE
    assert solution.separable is False
    assert solution.upper_bound < 1e-9


@pytest.mark.parametrize("cancelling", [False, True])
def test_the_margin_by_scan_is_a_bound_as_sharp_as_that_of_the_whole(cancelling):
    generator = np.random.default_rng(3)
    X, y = generator.normal(size=(50, 8)), np.arange(50) % 3
    W = generator.normal(size=(3, 8))
    if cancelling:
        # Logits of 1e12 that the classes share, beside margins of 1.
        X[:, 0], W[:, 0] = 1e12, 1.0
    norm = st.norm("frobenius")
    scanned = margin_below_by_scan(source_of(DenseRows(X), y, 3), W, norm)
    whole = margin_below(X, y, W, norm)
    assert scanned == pytest.approx(whole, rel=1e-8)


def test_a_deadline_ends_a_scan_with_bounds_that_hold():
    problem = st.Classification(*clusters(noise=2.5, samples=3000))
    solution = st.max_margin(problem, "sum", 1e-9, method="scans", time_limit=0.3)
    assert 0.0 <= solution.margin <= solution.upper_bound


@pytest.mark.parametrize(("norm", "margin"), [("frobenius", 349**-0.5), ("max", 2.0)])
def test_data_that_weighs_all_pairs_the_same_ends_before_any_scan(norm, margin):
    solution = st.max_margin(st.Classification(np.eye(350), np.arange(350)), norm, 1e-6)
    assert solution.method.startswith("first-order")
    assert solution.relative_gap <= 1e-6
    assert solution.margin == pytest.approx(margin, rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"nu": 0.5}])
def test_a_multiple_of_a_norm_that_scans_do_not_serve_is_refused_by_its_own_name(options):
    X = sparse.random_array((400, 400), density=0.01, rng=np.random.default_rng(0), format="csr")
    norm = ScaledNorm(RowNorm(3, 1.5), rows=1.0, columns=0.0)
    with pytest.raises(MissingCapability, match=r"norm='row-3/1.5\*rows\^1.*; give features as an array"):
        st.max_margin(st.Classification(X, np.arange(400) % 2), norm, **options)


def test_arrays_of_a_scanned_solution_are_read_only_with_a_margin_and_without():
    X = sparse.random_array((400, 400), density=0.01, rng=np.random.default_rng(0), format="csr")
    doubled = sparse.csr_array(sparse.vstack([X, X]))
    problem = st.Classification(doubled, np.repeat([0, 1], 400))
    solution = st.max_margin(problem, "frobenius")
    assert solution.status is Status.NOT_SEPARABLE
    assert not solution.weights.any()
    assert not solution.weights.flags.writeable
    assert not solution.dual.flags.writeable
