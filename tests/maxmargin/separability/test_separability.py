"""Separability is decided as its definition says, with evidence that holds in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as some
from tests.maxmargin.separability.programs import overlapped_by_programs

import steepest as st
from steepest.errors import InvalidArgument
from steepest.maxmargin import Separation

KINDS = Separation


def exact_margins(problem, W):
    """Every pair's margin in rational arithmetic, by the definition."""
    rows = [[Fraction(w) for w in row] for row in W]
    margins = {}
    for i, (x, true) in enumerate(zip(problem.features.tolist(), problem.labels.tolist(), strict=True)):
        scores = [sum(w * Fraction(v) for w, v in zip(row, x, strict=True)) for row in rows]
        margins |= {(i, c): scores[true] - scores[c] for c in range(len(rows)) if c != true}
    return margins


def assert_evidence_holds(found):
    """Check weights and dual weights of a verdict that is exact, in rational arithmetic."""
    problem = found.problem
    if found.kind is KINDS.SEPARABLE:
        assert min(exact_margins(problem, found.weights.tolist()).values()) > 0
        assert found.margin > -1e-15
        return
    total = {}
    for i, c, q in found.exact_dual:
        assert q > 0
        assert c != problem.labels[i]
        for j, x in enumerate(problem.features[i].tolist()):
            for row, sign in ((int(problem.labels[i]), 1), (c, -1)):
                total[row, j] = total.get((row, j), Fraction(0)) + sign * q * Fraction(x)
    assert not any(total.values())
    assert sum(q for _, _, q in found.exact_dual) == 1
    assert found.residual == 0
    if found.kind is KINDS.WEAKLY_SEPARABLE:
        margins = exact_margins(problem, found.exact_weights)
        zero = {tuple(pair) for pair in found.overlapped.tolist()}
        assert all((margin == 0) == (pair in zero) for pair, margin in margins.items())
        assert min(margins.values()) >= 0


@some.composite
def small_data(draw):
    """Whole numbers of one digit, with or without a column of ones, often near to separable."""
    generator = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    k, d = int(generator.integers(2, 5)), int(generator.integers(1, 5))
    n = int(generator.integers(k, 13))
    X = generator.integers(-2, 3, size=(n, d)).astype(float)
    if generator.random() < 0.5:
        X[:, 0] = 1.0
    if generator.random() < 0.6:
        scores = X @ generator.integers(-2, 3, size=(d, k)) + 0.3 * generator.normal(size=(n, k))
        y = np.argmax(scores, axis=1)
    else:
        y = generator.integers(0, k, n)
    assume(len(np.unique(y)) > 1)
    return X, np.unique(y, return_inverse=True)[1], generator


def transformed(X, generator):
    """The same question in other features: scaled rows and columns, multiples added, an offset."""
    d = X.shape[1]
    yield "columns", X * np.exp2(generator.integers(-900, 900, d))
    yield "rows", X * np.exp2(generator.integers(-30, 30, (len(X), 1)))
    yield "mixed", X @ (np.triu(generator.integers(-3, 4, (d, d)), 1) + 7 * np.eye(d))
    if (X[:, 0] == 1).all() and d > 1:
        yield "offsets", X + np.append(0, generator.integers(0, 2**50, d - 1))


@settings(max_examples=60, deadline=None)
@given(small_data())
def test_verdicts_are_those_of_the_definition_whatever_the_units(data):
    X, y, generator = data
    overlapped, pairs = overlapped_by_programs(X, y, int(y.max()) + 1)
    kind = KINDS.WEAKLY_SEPARABLE
    if not overlapped:
        kind = KINDS.SEPARABLE
    elif overlapped == pairs:
        kind = KINDS.NOT_SEPARABLE
    finite = None
    for way, features in [("as it is", X), *transformed(X, generator)]:
        found = st.separability(st.Classification(features, y))
        assert found.kind is kind, way
        assert found.overlapped is not None, way
        assert {tuple(pair) for pair in found.overlapped.tolist()} == overlapped, way
        if found.exact:
            assert_evidence_holds(found)
        if way == "as it is":
            assert found.exact
            finite = found.coefficients == 0
        elif way in ("rows", "columns"):
            np.testing.assert_array_equal(found.coefficients == 0, finite, err_msg=way)


@given(seed=some.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_what_a_reference_of_infinite_coefficients_moves_is_what_the_weights_move(seed):
    """Along exact weights of quasi-complete separation every coefficient but 0 is infinite, by sign."""
    generator = np.random.default_rng(seed)
    n = 60
    rare = np.arange(n) % 5 == 0
    X = np.column_stack([np.ones(n), generator.normal(size=(n, 2)), rare])
    y = ((X[:, 1] + generator.logistic(size=n) > 0) | rare).astype(int)
    found = st.separability(st.Classification(X, y))
    assume(found.kind is KINDS.WEAKLY_SEPARABLE)
    assert found.exact
    assert_evidence_holds(found)
    assert found.coefficients is not None
    assert found.coefficients.tolist() == [[0, 0, 0, 0], [0, 0, 0, np.inf]]
    assert found.infinite(["one", "a", "b", "rare"]) == ("class 1 against 0: rare to +inf",)


def table(counts):
    """Samples (one, exposed) with their outcome, from counts {(exposed, outcome): number}."""
    rows = [(1.0, float(e), o) for (e, o), count in counts.items() for _ in range(count)]
    X = np.array(rows)
    return X[:, :2], X[:, 2].astype(int)


@pytest.mark.parametrize(
    ("counts", "kind", "coefficients"),
    [
        ({(0, 0): 5, (0, 1): 3, (1, 0): 2, (1, 1): 4}, KINDS.NOT_SEPARABLE, [0, 0]),
        ({(0, 0): 5, (0, 1): 3, (1, 1): 4}, KINDS.WEAKLY_SEPARABLE, [0, np.inf]),
        ({(0, 0): 5, (1, 0): 3, (1, 1): 4}, KINDS.WEAKLY_SEPARABLE, [-np.inf, np.inf]),
        ({(0, 0): 5, (0, 1): 3, (1, 0): 4}, KINDS.WEAKLY_SEPARABLE, [0, -np.inf]),
        ({(0, 0): 5, (1, 1): 4}, KINDS.SEPARABLE, [-np.inf, np.inf]),
    ],
)
def test_tables_of_two_groups_with_and_without_empty_cells(counts, kind, coefficients):
    """The odds ratio of a 2 × 2 table with a zero (Albert and Anderson 1984; Heinze and Schemper 2002)."""
    X, y = table(counts)
    found = st.separability(st.Classification(X, y))
    assert found.kind is kind
    assert found.exact
    assert found.coefficients is not None
    assert found.coefficients.tolist() == [[0, 0], coefficients]
    assert_evidence_holds(found)


UNIX = [[1.7e9 + i, 1.0] for i in range(20)]
HALVES, BY_TURNS = [0] * 10 + [1] * 10, [0, 1] * 10


@pytest.mark.parametrize(
    ("X", "y", "kind"),
    [
        ([[1.7e15, -1], [1.7e15, 1]], [0, 1], KINDS.SEPARABLE),
        ([[3e7, 1], [3e7 + 1, 1]], [0, 1], KINDS.SEPARABLE),
        ([[1e12, -5e-4], [1e12, 5e-4]], [0, 1], KINDS.SEPARABLE),
        ([[1, 1], [2, 1], [3, 1], [1e20, 1]], [0, 1, 1, 1], KINDS.SEPARABLE),
        ([[1, 1], [1 + 1e-13, 1]], [0, 1], KINDS.SEPARABLE),
        ([[1, 1], [1 + 2.0**-52, 1]], [0, 1], KINDS.SEPARABLE),
        (UNIX, HALVES, KINDS.SEPARABLE),
        (UNIX, BY_TURNS, KINDS.NOT_SEPARABLE),
        ([[1.7e15 + i, 1] for i in range(20)], HALVES, KINDS.SEPARABLE),
        ([[1.7e15 + i, 1] for i in range(20)], BY_TURNS, KINDS.NOT_SEPARABLE),
        ([[1.7e15 + i, (-1) ** i] for i in range(20)], BY_TURNS, KINDS.SEPARABLE),
        ([[1e300, 1e-300], [2e300, 1e-300]], [0, 1], KINDS.SEPARABLE),
        ([[5e-324, 1.0], [1e-323, 1.0]], [0, 1], KINDS.SEPARABLE),
        ([[1.0, 2.0], [1.0, 2.0]], [0, 1], KINDS.NOT_SEPARABLE),
        ([[1.0, 2.0], [2.0, 4.0]], [0, 1], KINDS.NOT_SEPARABLE),
        ([[1.0, 2.0], [2.0, 4.0], [0.0, 1.0]], [0, 1, 1], KINDS.WEAKLY_SEPARABLE),
        ([[0.0, 0.0], [0.0, 0.0]], [0, 1], KINDS.NOT_SEPARABLE),
        ([[0.0, 0.0], [1.0, 0.0]], [0, 1], KINDS.WEAKLY_SEPARABLE),
        ([[1.0], [2.0], [3.0]], [0, 1, 2], KINDS.NOT_SEPARABLE),
        ([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], [0, 1, 2], KINDS.SEPARABLE),
    ],
)
def test_hard_inputs(X, y, kind):
    found = st.separability(st.Classification(X, y))
    assert found.kind is kind
    assert found.exact
    assert_evidence_holds(found)


def test_a_feature_that_others_determine_has_no_coefficient_of_its_own():
    """Two indicators that sum to the column of ones, the third of which R would report as NA."""
    group = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    X = np.column_stack([np.ones(8), group, 1 - group, [1, 2, 3, 4, 2, 1, 4, 3]])
    found = st.separability(st.Classification(X, [0, 1, 1, 0, 1, 0, 0, 1]))
    assert found.kind is KINDS.NOT_SEPARABLE
    np.testing.assert_array_equal(found.coefficients, [[0, 0, 0, 0], [0, 0, np.nan, 0]])


@pytest.mark.parametrize("seed", range(6))
def test_codes_for_missing_values_hide_nothing(seed):
    """Entries of 1e16 and more among normal ones; a flag of them beside, as preprocessing makes it."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(60, 4))
    missing = generator.random((60, 4)) < 0.1
    W = generator.normal(size=4)
    y = (X @ W > 0).astype(int)
    coded = np.where(missing, 10.0 ** generator.integers(16, 20), X)
    whole = ~missing.any(axis=1)
    assert st.separability(st.Classification(coded[whole], y[whole])).kind is KINDS.SEPARABLE
    found = st.separability(st.Classification(coded, y))
    assert found.kind is not KINDS.UNDECIDED
    assert found.exact
    if found.exact_dual is not None:
        assert_evidence_holds(found)


def test_many_noisy_samples_overlap_with_a_proof_of_few_samples():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(900, 12)), generator.integers(0, 4, 900)
    found = st.separability(st.Classification(X, y))
    assert found.kind is KINDS.NOT_SEPARABLE
    assert found.exact
    assert len(found.support) <= 37
    assert found.overlapped is not None
    assert len(found.overlapped) == 2700
    assert found.coefficients is not None
    assert not found.coefficients.any()
    assert_evidence_holds(found)


@pytest.mark.sklearn
def test_flowers_of_which_one_kind_stands_apart_are_weakly_separable():
    """Setosa can be told from the others, which cannot be told from each other."""
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    found = st.separability(st.Classification(np.column_stack([X, np.ones(150)]), y))
    assert found.kind is KINDS.WEAKLY_SEPARABLE
    assert found.exact
    assert found.overlapped is not None
    assert {tuple(pair) for pair in found.overlapped.tolist()} == {
        (i, 3 - y[i]) for i in range(150) if y[i] > 0
    }
    assert_evidence_holds(found)


@pytest.mark.sklearn
@pytest.mark.parametrize("name", ["load_wine", "load_breast_cancer"])
def test_raw_measurements_of_very_different_size_are_separable(name):
    import sklearn.datasets

    X, y = getattr(sklearn.datasets, name)(return_X_y=True)
    found = st.separability(st.Classification(X, y))
    assert found.kind is KINDS.SEPARABLE
    assert_evidence_holds(found)


def test_what_no_time_is_left_for_is_undecided_with_its_numbers():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(3000, 60)), generator.integers(0, 30, 3000)
    found = st.separability(st.Classification(X, y), time_limit=1e-9)
    assert found.kind is KINDS.UNDECIDED
    assert found.separable is None
    assert found.margin < 0
    assert 0 < found.residual <= 1
    assert found.coefficients is None
    assert "smallest margin reached is -" in str(found)
    assert "coordinate ascent" in str(found)


@pytest.mark.parametrize("limit", [0, -1.0, "a", float("nan"), True])
def test_a_time_limit_that_is_none_is_refused(limit):
    with pytest.raises(InvalidArgument, match="time_limit="):
        st.separability(st.Classification([[1.0], [-1.0]], [0, 1]), time_limit=limit)


def test_a_time_limit_that_is_long_enough_changes_nothing():
    found = st.separability(st.Classification([[1.0], [-1.0]], ["a", "b"]), time_limit=60)
    assert found.kind is KINDS.SEPARABLE
    assert str(found).startswith("separable: ")
    assert found.infinite() == ("class 'b' against 'a': feature 0 to -inf",)


@pytest.mark.parametrize("names", [["one"], ["one", "size", "more"], "ab", []])
def test_names_that_are_not_one_for_each_feature_are_refused(names):
    data = [[1.0, 3.0], [1.0, 5.0], [1.0, 6.0]], ["low", "high", "high"]
    found = st.separability(st.Classification(*data))
    with pytest.raises(InvalidArgument, match=r"features=.*: give 2 names, one for each feature"):
        found.infinite(names)


def test_a_sweep_over_large_data_is_not_begun_out_of_time():
    generator = np.random.default_rng(0)
    y = np.arange(1000) % 100
    X = generator.normal(size=(100, 110))[y] + 0.1 * generator.normal(size=(1000, 110))
    found = st.separability(st.Classification(X, y), time_limit=1e-9)
    assert found.kind is KINDS.UNDECIDED
    assert "coordinate ascent" not in found.tried
    assert st.separability(st.Classification(X, y)).kind is KINDS.SEPARABLE
