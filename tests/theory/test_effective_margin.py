"""ρ for the four methods, by hand and on random data; and the finding that it is vacuous without momentum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.norms import FOREIGN, OTHERS
from tests.problems import random_problem
from tests.theory.instances import NORMS, instances

from steepest import Classification, Entrywise, Method, Schatten, datasets, max_margin, norm, theory
from steepest.errors import InvalidArgument
from steepest.losses import CROSS_ENTROPY, residual_weights
from steepest.theory.constants import noise_share
from steepest.theory.effective_margin import setting

PAIR = Classification([[1.0], [-1.0]], [0, 1])


def test_by_hand():
    """n = k = 2, x = ±1, max-norm: R = 1 and γ = 2, at W = ((1), (-1))."""
    assert PAIR.normalized_margin(np.array([[1.0], [-1.0]]), "max") == 2.0
    beta = 0.5
    cases = {
        (None, 0.0, False): 2.0,
        (None, beta, False): 2.0,
        (1, 0.0, False): 2.0 - 4.0,
        (1, beta, False): 2.0 - 4 * (2 / 3),  # κ(1/2, 2) = 2/3
        (1, 0.0, True): 2.0,
        (1, beta, True): 2.0,
    }
    for (size, momentum, reduced), expected in cases.items():
        method = Method("max", batch_size=size, momentum=momentum, variance_reduction=reduced)
        rho = theory.effective_margin(PAIR, method, 2.0)
        assert rho.value == pytest.approx(expected)
        assert rho.vacuous == (expected <= 0)
        # The paper's share is (1-β) m² = 2 where the exact one is 2/3; everything else is the same.
        paper = theory.effective_margin(PAIR, method, 2.0, "paper").value
        assert paper == (2.0 - 4 * 2 if (size, momentum, reduced) == (1, beta, False) else expected)
    assert theory.effective_margin(PAIR, Method("max", batch_size=1), 2.0).batches == 2


@given(instances())
def test_vacuous_without_momentum_for_every_m_above_one_on_any_data(instance):
    """γ ≤ ‖A(q)‖_* ≤ 2R for any q, so γ - 4(m-1)R ≤ -2R: whatever the data, the norm and the constants."""
    problem, norm_ = instance.problem, instance.norm
    q = residual_weights(problem, CROSS_ENTROPY, instance.W)
    upper_bound = float(norm_.dual(problem.pair_sum(q)))  # of the max margin, by duality
    for constants in ("sharp", "paper"):
        for size in range(1, problem.samples):
            rho = theory.effective_margin(problem, Method(norm_, batch_size=size), upper_bound, constants)
            assert rho.batches >= 2
            assert rho.vacuous
            assert rho.value <= -2 * rho.radius * (1 - 1e-9)


@given(instances(), st.floats(0, 0.999), st.floats(0.01, 2))
def test_sharp_constants_never_give_less(instance, momentum, margin):
    method = Method(instance.norm, batch_size=max(1, instance.problem.samples // 2), momentum=momentum)
    sharp, paper = (
        theory.effective_margin(instance.problem, method, margin, each) for each in ("sharp", "paper")
    )
    assert sharp.value >= paper.value - 1e-9 * abs(paper.value)
    assert paper.noise == pytest.approx(
        4 * (paper.batches - 1) * instance.problem.feature_bound
        * noise_share(momentum, paper.batches, "paper" if momentum else "exact")
    )  # fmt: skip


@given(instances(), st.floats(0.05, 1.0), st.data())
def test_required_momentum_makes_the_margin_positive_and_no_less_does(instance, relative, data):
    problem, norm_ = instance.problem, instance.norm
    size = data.draw(st.integers(1, problem.samples))
    margin = 2 * theory.feature_radius(problem, norm_) * relative
    momentum = theory.required_momentum(problem, norm_, size, margin)
    method = Method(norm_, batch_size=size, momentum=momentum)
    assert not theory.effective_margin(problem, method, margin).vacuous
    if method.batch_size_for(problem) < problem.samples:
        assert momentum > 0
        less = Method(norm_, batch_size=size, momentum=1 - (1 - momentum) * 1.001)
        assert theory.effective_margin(problem, less, margin).vacuous


def test_lag_that_momentum_needs_is_of_order_margin_over_radius_and_batches():
    rng = np.random.default_rng(0)
    problem = Classification(rng.normal(size=(1000, 5)), np.arange(1000) % 2)
    radius = theory.feature_radius(problem, "max")
    for size in (1, 10, 100):
        momentum = theory.required_momentum(problem, "max", size, 0.1)
        m = 1000 // size
        assert 1 - momentum == pytest.approx(0.1 / (6 * (m - 1) * radius), rel=0.01)


@pytest.mark.parametrize("norm_", NORMS, ids=str)
def test_margins_come_as_numbers_or_solutions(norm_):
    solution = max_margin(PAIR, norm_)
    method = Method(norm_, batch_size=None)
    assert theory.effective_margin(PAIR, method, solution).value == solution.margin
    with pytest.raises(InvalidArgument, match=f"in the {norm_} norm"):
        theory.effective_margin(PAIR, method, max_margin(PAIR, Entrywise(7)))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match="max-margin solution"):
            theory.effective_margin(PAIR, method, bad)
    with pytest.raises(InvalidArgument, match="constants='best'"):
        theory.effective_margin(PAIR, method, 1.0, "best")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidArgument, match="batch_size=3"):
        theory.effective_margin(PAIR, Method(norm_, batch_size=3), 1.0)


def test_schatten_two_is_frobenius():
    solution = max_margin(PAIR, "frobenius")
    assert theory.effective_margin(PAIR, Method(Schatten(2)), solution).value == solution.margin


def test_required_momentum_solves_for_a_margin_that_is_not_given():
    problem = datasets.gaussian(classes=3, samples_per_class=4, features=20, seed=1)
    given_margin = theory.required_momentum(problem, "frobenius", 3, max_margin(problem, "frobenius"))
    assert theory.required_momentum(problem, "frobenius", 3) == pytest.approx(given_margin, rel=1e-9)


def test_signals_that_no_theorem_is_about_are_refused():
    problem = random_problem()
    for signal in ("saga", "loopless-svrg"):
        with pytest.raises(
            InvalidArgument, match=f"signal='{signal}': the theory covers minibatch and svrg alone"
        ):
            theory.effective_margin(problem, Method("max", 4, signal=signal), 1.0)
    for kind in ("nesterov", "heavy-ball"):
        with pytest.raises(InvalidArgument, match=f"momentum_kind='{kind}': the theory covers ema alone"):
            theory.effective_margin(problem, Method("max", 4, 0.9, momentum_kind=kind), 1.0)
    assert theory.effective_margin(problem, Method("max", 4, momentum_kind="nesterov"), 1.0)


@pytest.mark.parametrize("own", [FOREIGN, *map(norm, OTHERS)], ids=str)
def test_pair_norms_bound_what_a_step_changes_whatever_the_norm(own):
    """|Δ margin| ≤ 2 R(‖·‖) ‖ΔW‖, also for norms that Lemma C.1 is not true of."""
    problem = random_problem()
    radius = theory.feature_radius(problem, own)
    for W in np.random.default_rng(0).normal(size=(20, 4, 20)):
        margins = problem.pair_margins(W)
        assert np.abs(margins[np.isfinite(margins)]).max() <= 2 * radius * float(own(W)) * (1 + 1e-12)
    method = Method(own, 4, 0.5)
    sharp, paper = (setting(problem, method, constants) for constants in ("sharp", "paper"))
    assert sharp.radius == radius <= paper.radius
