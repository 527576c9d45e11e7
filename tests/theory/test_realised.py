"""The realised-alignment bound: along runs of every kind, from dense, sparse and weighted records."""

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.theory.instances import ANY_NORMS, LOSSES

from steepest import Classification, Method, PolynomialDecay, descend, max_margin
from steepest.datasets import mixture
from steepest.errors import InvalidArgument
from steepest.geometry import norm_label
from steepest.theory import effective_margin, feature_radius, realised_bound
from steepest.theory.batch_condition import batch_alignment, batch_condition
from steepest.theory.stretches import Ground, Stretches, least_falls, measured_stretches

pytestmark = pytest.mark.filterwarnings("ignore::steepest.errors.SteepestWarning")

KINDS = (
    {},
    {"batch_size": 2},
    {"batch_size": 2, "momentum": 0.8},
    {"batch_size": 3, "momentum": 0.9, "momentum_kind": "nesterov"},
    {"batch_size": 2, "momentum": 0.5, "momentum_kind": "heavy-ball"},
    {"batch_size": 2, "variance_reduction": True},
    {"batch_size": 2, "signal": "saga", "momentum": 0.7},
)


def separable(seed, n=6, k=3, d=4, weighted=False):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    problem = Classification(np.eye(k, d)[y] + 0.15 * rng.normal(size=(n, d)), y)
    return problem.weighted(np.exp(rng.normal(size=n))) if weighted else problem


@pytest.mark.parametrize("norm_", ANY_NORMS[::3], ids=norm_label)
@settings(max_examples=4, deadline=None)
@given(
    seed=st.integers(0, 9),
    kind=st.sampled_from(KINDS),
    loss=st.sampled_from(LOSSES),
    first=st.floats(0.02, 1.5),
    dense=st.booleans(),
    weighted=st.booleans(),
    moved=st.booleans(),
)
def test_no_run_is_below_its_realised_bound(norm_, seed, kind, loss, first, dense, weighted, moved):
    problem = separable(seed, weighted=weighted)
    method = Method(norm_, loss=loss, schedule=PolynomialDecay(first, 0.5), seed=seed, **kind)
    start = np.random.default_rng(seed).normal(size=(3, 4)) if moved else None
    records = list(range(41)) if dense else 9
    run = descend(problem, method, 40, records=records, initial_weights=start, engine="reference")
    bound = realised_bound(problem, run)
    whole = realised_bound(problem, run, since=0)
    for floor in (bound.floor, bound.explained, whole.explained):
        assert np.all(floor <= run.normalized_margin)
    assert np.all(whole.explained <= bound.floor)
    # What each stretch proves is at most what Y did, so the best r is the last: the loss's own certificate.
    assert np.all(bound.gains[1:] <= -np.diff(bound.total_odds) + 1e-12)
    useful = np.isfinite(bound.floor)
    own = -bound.total_odds[useful] / np.asarray(norm_(run.weights))[useful]
    np.testing.assert_allclose(bound.floor[useful], own, rtol=1e-8)
    assert np.nanmax(bound.alignment) <= 2 * feature_radius(problem, norm_) * (1 + 1e-12)


def test_the_numbers_of_the_specification_are_the_best_r_and_the_explained_ones_come_close():
    """Mixture, 20,000 steps without momentum; worst cases are far below zero, practice is explained."""
    problem = mixture(seed=0)
    for name, b, floor, explained, measured in (
        ("max", 10, 0.446, 0.444, 0.467),
        ("frobenius", 10, 0.779, 0.776, 0.821),
    ):
        solution = max_margin(problem, name)
        method = Method(name, batch_size=b, schedule=PolynomialDecay(0.15 / solution.margin, 0.5))
        run = descend(problem, method, 20_000)
        bound = realised_bound(problem, run)
        found = np.array([bound.floor[-1], bound.explained[-1], run.normalized_margin[-1]]) / solution.margin
        np.testing.assert_allclose(found, [floor, explained, measured], atol=6e-4)
        assert effective_margin(problem, method, solution).value < -100 * solution.margin


def test_terms_of_every_step_come_closer_than_those_of_the_records_and_stay_below():
    problem = mixture(classes=3, samples_per_class=8, features=12, separation=2.0, seed=2)
    kinds: tuple[dict[str, Any], ...] = (
        {"batch_size": 4},
        {"batch_size": 6, "momentum": 0.9},
        {"batch_size": 4, "signal": "svrg"},
    )
    for kind in kinds:
        method = Method("frobenius", schedule=PolynomialDecay(0.4, 0.5), **kind)
        dense = descend(problem, method, 300, records=list(range(301)))
        kept = descend(problem, method, 300, records=12, alignment=True)
        sparse = descend(problem, method, 300, records=12)
        every, some, none = (realised_bound(problem, run, since=0) for run in (dense, kept, sparse))
        # Each stretch takes the better of its steps' terms and its own.
        assert every.explained[-1] * (1 - 1e-9) <= some.explained[-1] < 1.02 * every.explained[-1]
        assert none.explained[-1] < some.explained[-1] <= kept.normalized_margin[-1]
        # Σ η ρ̂ over the steps between two records, over Σ ‖ΔW‖.
        first, last = int(kept.steps[-2]), int(kept.steps[-1])
        ground = Ground.of(problem, "frobenius", "cross-entropy")
        stretches = measured_stretches(ground, np.asarray(dense.weights)[first : last + 1])
        mean = stretches.forward.sum() / stretches.lengths.sum()
        assert some.alignment[-1] == pytest.approx(mean, rel=1e-9)


def test_a_step_by_hand():
    """One sample, two classes, max-norm: W = 0 to W = ±η; e^Y is e^{-margin}, and Y falls by 2η."""
    problem = Classification([[1.0], [-1.0]], [0, 1])
    run = descend(problem, Method("max", schedule=PolynomialDecay(0.3, 0.5)), 1)
    ground = Ground.of(problem, "max", "exponential")
    stretches = measured_stretches(ground, np.asarray(run.weights))
    assert stretches.forward == pytest.approx([2 * 0.3])
    assert stretches.backward == pytest.approx([2 * 0.3])
    assert least_falls(ground, stretches, np.array([0.0, 0.3])) == pytest.approx([0.6])
    # Cross-entropy: the backward gain is nG / (1 - e^{-nL}) times 0.6 with both samples' p = 1/(1+e^.6).
    p = float(1 / (1 + mpmath.exp(0.6)))
    factor = 2 * p / (1 - (1 - p) ** 2)
    bound = realised_bound(problem, run, since=0)
    assert bound.gains[1] == pytest.approx(0.6 * factor)
    assert bound.alignment[1] == pytest.approx(2.0)
    assert bound.total_odds[0] == pytest.approx(np.log(3.0))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_total_odds_are_convex_along_lines(loss, weighted):
    """The claim behind the backward gain, on second differences along random lines, at every size of loss."""
    rng = np.random.default_rng(3)
    problem = separable(1, weighted=weighted)
    ground = Ground.of(problem, "frobenius", loss)
    for size in (0.3, 3.0, 30.0):
        start, way = size * rng.normal(size=(20, 3, 4)), rng.normal(size=(20, 3, 4))
        line = np.stack([start - way, start, start + way])
        odds = ground.total_odds(measured_stretches(ground, line.reshape(-1, 3, 4)).log_loss).reshape(3, -1)
        assert np.all(odds[0] + odds[2] - 2 * odds[1] >= -1e-9)


def test_an_anchor_that_was_not_recorded_is_refused_and_one_that_was_is_used():
    problem = separable(0)
    run = descend(problem, Method("max", schedule=PolynomialDecay(0.3, 0.5)), 50, records=[10, 30])
    with pytest.raises(InvalidArgument, match=r"since.*7.*recorded step"):
        realised_bound(problem, run, since=7)
    bound = realised_bound(problem, run, since=10)
    assert bound.start == 10
    assert np.all(np.isneginf(bound.explained[:1]))
    every = realised_bound(problem, descend(problem, run.method, 50, records=list(range(51))))
    first = list(every.steps).index(every.start)
    assert every.total_odds[first - 1] > 0 >= every.total_odds[first]
    # By then the loss separates, and nothing later is as close to it as the start itself.
    assert bound.explained[1] == pytest.approx(-bound.total_odds[1] / np.max(np.abs(run.weights[1])))


@pytest.mark.parametrize("name", ["max", "frobenius", "spectral"])
def test_the_mean_step_of_a_partition_lowers_the_odds_as_its_alignment_says(name):
    """E Y(W - ηD) over the batches of one partition, every batch stepped by hand."""
    rng = np.random.default_rng(5)
    problem = separable(2)
    W, eta = rng.normal(size=(3, 4)), 0.01
    found = batch_alignment(problem, name, 2, W, partitions=1, seed=4)
    order = np.random.default_rng(4).permutation(6)
    ground = Ground.of(problem, name, "cross-entropy")
    after = []
    for batch in np.split(order, [2, 4]):
        part = Classification(np.asarray(problem.features)[batch], problem.labels[batch], classes=range(3))
        step = descend(part, Method(name, schedule=PolynomialDecay(eta, 0.5)), 1, initial_weights=W)
        after.append(step.final_weights)
    stretches = measured_stretches(ground, np.stack([W, *after]))
    odds = ground.total_odds(stretches.log_loss)
    total = 6 * np.exp(stretches.log_loss[0])
    factor = 6 * np.exp(stretches.log_proxy[0]) / -np.expm1(-total)
    x = 2 * feature_radius(problem, name) * eta
    assert np.mean(odds[1:]) <= odds[0] - factor * (eta * found.mean - (np.expm1(x) - x)) + 1e-12
    # First order in η: the bound's slope is the slope itself.
    assert np.mean(odds[1:]) - odds[0] == pytest.approx(-factor * eta * found.mean, rel=0.2, abs=3e-4)
    assert found.worst <= found.mean
    two = batch_alignment(problem, name, 2, W, partitions=2, seed=4)
    second = 2 * two.mean - found.mean
    assert two.standard_error == pytest.approx(abs(second - found.mean) / 2)
    assert np.isnan(found.standard_error)


def test_the_condition_on_the_batch_size_is_far_from_the_worst_case():
    problem = mixture(classes=3, samples_per_class=8, features=12, separation=2.5, seed=1)
    solution = max_margin(problem, "frobenius")
    condition = batch_condition(problem, "frobenius", solution, [1, 4, 12, 24])
    assert [row.batches for row in condition.rows] == [24, 6, 2, 1]
    assert np.all(condition.rows[2].mean >= 0)  # two batches
    assert np.all(condition.rows[3].mean >= solution.margin * (1 - 1e-9))
    assert max(condition.worst_case[:3]) < 0 < condition.worst_case[3]
    assert condition.smallest is not None
    assert condition.smallest <= 12
    assert condition.scales == (0.0, 1.0, 4.0, 16.0, 64.0)
    usual = batch_condition(problem, "frobenius", solution, partitions=1)
    assert [row.batch_size for row in usual.rows] == [1, 2, 5, 10, 20, 24]
    with pytest.raises(InvalidArgument, match="partitions"):
        batch_alignment(problem, "max", 4, solution.weights, partitions=0)


def test_where_nothing_can_be_computed_nothing_is_proven():
    """Weights that no run has, at which residuals overflow: +inf in place of NaN would be a false bound."""
    problem, ground = separable(0), Ground.of(separable(0), "max", "cross-entropy")
    lost = np.array([np.nan, 0.5])
    stretches = Stretches(lost, lost, np.full(2, 0.1), np.full(3, -2.0), np.full(3, -2.1))
    falls = least_falls(ground, stretches, np.ones(3))
    assert np.isneginf(falls[0])
    assert 0 < falls[1] < np.inf
    run = descend(problem, Method("max", schedule=PolynomialDecay(0.3, 0.5)), 3, records=[0, 1, 2, 3])
    sizes = np.array([3.0, 1e150, 9e149, 3.0])
    broken = replace(run, weights=sizes[:, None, None] * np.eye(3, 4))
    with np.errstate(all="ignore"):
        bound = realised_bound(problem, broken, since=0)
    assert np.isneginf(bound.gains[2])
    assert np.all(np.isneginf(bound.explained[1:]))
    assert np.all(np.isneginf(bound.floor[1:3]))
    assert bound.floor[3] == bound.floor[0]
