"""Soft margins in polyhedral norms by gradient steps: projections, balanced flows, and bounds that hold."""

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as strategies_of

import steepest as st
from steepest.maxmargin import Status
from steepest.maxmargin.first_order.projections import project_capped_simplex, project_entries
from steepest.maxmargin.first_order.scaled_projections import project_scaled_box, project_scaled_sum
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.forms.worst import within_caps
from steepest.maxmargin.relaxed.band import Band
from steepest.maxmargin.relaxed.capped import project_capped_pairs
from steepest.maxmargin.relaxed.flows import with_balanced_flows
from steepest.maxmargin.relaxed.point import Point
from steepest.maxmargin.relaxed.saddle import solve_saddle_of_band
from steepest.maxmargin.relaxed.split import solve_band

SEEDS = strategies_of.integers(0, 10_000)


@settings(max_examples=40)
@given(seed=SEEDS, room=strategies_of.floats(1.0, 4.0), start=strategies_of.floats(-3.0, 3.0))
def test_pairs_are_projected_as_whole_arrays_are(seed, room, start):
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(7, 3)) * 10.0 ** rng.integers(-3, 2)
    caps = rng.dirichlet(np.ones(7)) * room
    expected, _ = project_capped_simplex(v, caps)
    out = np.empty(21)
    project_capped_pairs(v.ravel(), np.arange(8) * 3, caps, 1.0, start, out)
    np.testing.assert_allclose(out.reshape(7, 3), expected, atol=1e-11)
    assert out.sum() == pytest.approx(1.0, abs=1e-12)


def test_caps_that_leave_nothing_are_filled_whatever_the_entries_are():
    out = np.empty(4)
    threshold = project_capped_pairs(
        np.array([5.0, -5.0, -9.0, -9.0]), np.array([0, 2, 4]), np.array([0.5, 0.5]), 1.0, 0.0, out
    )
    assert out.tolist() == [0.5, 0.0, 0.25, 0.25]
    assert threshold == -np.inf


@settings(max_examples=40)
@given(seed=SEEDS, guess=strategies_of.one_of(strategies_of.none(), strategies_of.floats(0.0, 10.0)))
def test_projections_in_features_of_other_sizes_are_nearest(seed, guess):
    rng = np.random.default_rng(seed)
    V, sizes = 2.0 * rng.normal(size=(3, 5)), rng.uniform(0.1, 3.0, 5)
    for project, norm in ((project_scaled_box, "max"), (project_scaled_sum, "sum")):
        nearest, _ = project(V, sizes, guess)
        ball = st.norm(norm)
        assert float(ball(nearest / sizes)) <= 1.0 + 1e-12
        # ⟨V - nearest, W⟩ is largest over the ball at the nearest point.
        left = (V - nearest) * sizes
        assert float(ball.dual(left)) == pytest.approx(float(np.sum((V - nearest) * nearest)), abs=1e-10)
    np.testing.assert_allclose(
        project_scaled_sum(V, np.ones(5), guess)[0], project_entries(V, None, 1.0)[0], atol=1e-12
    )


@settings(max_examples=25)
@given(seed=SEEDS)
def test_flows_balance_without_leaving_caps_or_changing_signs(seed):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(4), rng.integers(0, 4, 56)])
    q = rng.random((60, 4)) * (y[:, None] != np.arange(4))
    caps = np.where(rng.random(60) < 0.3, q.sum(axis=1), np.inf)
    free = np.stack([np.ones(60), rng.normal(size=60)], axis=1)
    one_hot = np.eye(4)[y]

    def sums(dual):
        return (one_hot * dual.sum(axis=1)[:, None] - dual).T @ free

    q = with_balanced_flows(q, y, free, caps, sums(q))
    near = with_balanced_flows(q, y, free, caps, sums(q))
    if (near > 1e-3 * (q > 0)).all() or np.abs(sums(near)).max() < 1e-9:
        np.testing.assert_allclose(sums(with_balanced_flows(near, y, free, caps, sums(near))), 0.0, atol=1e-6)
    assert (near >= 0.0).all()
    assert not near[one_hot.astype(bool)].any()
    full = np.isfinite(caps)
    np.testing.assert_array_equal(near[full], q[full])


def test_a_soft_margin_that_is_not_positive_ends_the_steps():
    _, _, band = _band(3, nu=0.1)
    point = next(solve_band(band, st.norm("sum"), 1e-6, Deadline()))
    assert point.reached == 1.0
    assert float(np.abs(band.pair_sum(point.dual)).max()) <= 1e-9


def _band(seed, classes=3, samples=60, features=12, nu=0.6, *, of_zeros=False):
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    X = rng.normal(size=(samples, features)) * np.where(rng.random((samples, features)) < 0.5, 1.0, 0.0)
    X[np.arange(samples), y] += 1.0
    both = np.concatenate([X, np.ones((samples, 1))], axis=1)
    block = sparse.csr_array(both) if of_zeros else both
    caps = np.full(samples, 1 / (nu * samples))
    return X, y, Band(block, y, classes, features, caps, np.zeros((classes, features + 1)))


@pytest.mark.parametrize("of_zeros", [False, True])
@pytest.mark.parametrize("norm", ["max", "sum", "row-1/inf"])
def test_gradient_steps_end_where_a_linear_program_does(norm, of_zeros):
    X, y, band = _band(3, of_zeros=of_zeros)
    point = next(solve_band(band, st.norm(norm), 1e-7, Deadline()))
    solution = st.max_margin(
        st.Classification(X, y),
        norm,
        1e-8,
        nu=0.6,
        intercept=True,
        method="interior-point" if norm in ("max", "sum") else "cutting-planes",
    )
    W = point.weights[:, :-1]
    level = band.level(point.weights, band.margins(point.weights).min(axis=1)) / float(st.norm(norm)(W))
    assert point.reached <= 1e-7
    assert level == pytest.approx(solution.margin, rel=1e-6)
    assert (point.dual.sum(axis=1) <= band.caps * (1 + 1e-9)).all()


@pytest.mark.parametrize("norm", ["max", "sum", "row-1/inf"])
def test_sparse_soft_margins_in_polyhedral_norms_are_certified(norm, monkeypatch):
    monkeypatch.setattr("steepest.maxmargin.solve._SMALL", 0)
    rng = np.random.default_rng(1)
    X, y = sparse.random_array((90, 70), density=0.1, rng=rng, format="csr"), np.arange(90) % 3
    X = sparse.csr_array(X + sparse.csr_array((np.full(90, 0.5), (np.arange(90), y)), shape=(90, 70)))
    found = st.max_margin(st.Classification(X, y), norm, 1e-5, nu=0.4, intercept=True)
    array = st.max_margin(st.Classification(X.toarray(), y), norm, 1e-7, nu=0.4, intercept=True)
    assert found.status is array.status is Status.SOLVED
    assert max(found.margin, array.margin) <= min(found.upper_bound, array.upper_bound)


@pytest.mark.parametrize(
    "norm", ["frobenius", "spectral", "nuclear", "max", "sum", "row-2/inf", "entrywise-3"]
)
def test_two_classes_whose_caps_all_bind_have_their_margin_in_closed_form(norm):
    rng = np.random.default_rng(2)
    y = np.array([0] * 9 + [1] * 21)
    X, weights = rng.normal(size=(30, 4)), rng.integers(1, 4, 30)
    problem = st.Classification(X, y)
    solution = st.max_margin(problem, norm, 1e-10, nu=1, sample_weight=weights)
    signs = np.where(y == 0, 1.0, -1.0) * weights / weights.sum()
    mean = np.outer([1.0, -1.0], signs @ X)
    assert solution.margin == pytest.approx(float(st.norm(norm).dual(mean)), rel=1e-9)
    assert solution.relative_gap <= 1e-10
    assert solution.method == "direction of the caps"


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "nuclear", "max", "sum"])
def test_several_classes_whose_caps_all_bind_have_the_largest_mean_margin(norm):
    rng = np.random.default_rng(4)
    y, X = np.arange(24) % 4, rng.normal(size=(24, 5))
    solution = st.max_margin(st.Classification(X, y), norm, nu=1.0)
    assert solution.status is Status.SOLVED
    np.testing.assert_allclose(solution.dual.sum(axis=1), 1 / 24, rtol=1e-12)
    logits = X @ solution.weights.T
    logits[np.arange(24), y] -= np.inf
    true = np.einsum("ij,ij->i", X, solution.weights[y])
    assert np.mean(true - logits.max(axis=1)) == pytest.approx(solution.margin, rel=1e-9)


def test_caps_that_sum_to_one_but_for_rounding_move_no_dual_weights():
    caps = np.full(100, 1.0 / 100.0)
    caps[0] = np.nextafter(caps[0], 0.0)
    y = np.zeros(100, dtype=int)
    q = np.zeros((100, 3))
    q[:, 1] = caps
    np.testing.assert_allclose(within_caps(q, y, caps), q, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("norm", ["max", "sum"])
def test_steps_start_where_all_dual_weight_is_settled_at_caps(norm):
    """Columns of 2^±200 leave starts whose only dual weight is that of samples outside of the band."""
    _, _, band = _band(3)
    weights = np.zeros((3, 13))
    weights[:, :3] = np.eye(3)
    start = Point(weights, np.zeros((60, 3)), 0.0, 1.0, 0)
    with np.errstate(all="raise", under="ignore"):
        point = next(solve_saddle_of_band(band, st.norm(norm), 1e-4, Deadline(), start, 1000.0))
    expected = next(solve_band(band, st.norm(norm), 1e-7, Deadline()))
    assert point.reached <= 1e-4
    assert point.level == pytest.approx(expected.level, abs=1e-2)
