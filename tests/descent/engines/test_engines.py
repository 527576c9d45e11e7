"""Engines: compiled and batched take the reference's steps, and the reference takes the exact ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from tests.contracts.loops import through
from tests.contracts.losses import BARE, every_compiled_loss, every_loss
from tests.contracts.norms import FOREIGN, every_norm
from tests.exact import frobenius, gradient_and_logs
from tests.problems import random_problem, weights_with_margins

import steepest as st
from steepest.descent.engines.choice import engine_for
from steepest.descent.state import State
from steepest.errors import InvalidArgument, MissingCapability
from steepest.geometry import RANK_CUTOFF
from steepest.signals import MOMENTUM_KINDS, minibatch_gradient
from steepest.signals import SIGNALS as REGISTERED

FAST = ["compiled", "batched"]
SIGNALS = [(0.0, False), (0.9, False), (0.0, True), (0.9, True)]

every_signal = pytest.mark.parametrize("signal", sorted(REGISTERED))
every_kind_of_momentum = pytest.mark.parametrize("kind", sorted(MOMENTUM_KINDS))


def advance(engine, problem, method, start, steps, *, stop_at=()):
    state = State.start(problem, method, np.asarray(start)[None])
    for stop in (*stop_at, steps):
        state = engine_for(problem, method, engine).advance(problem, [method], state, stop)
    return state


def assert_same_step(fast, plain):
    """Weights agree to rounding; signals agree where the reference's signal is not itself noise."""
    np.testing.assert_allclose(fast.weights, plain.weights, rtol=0, atol=1e-10 * np.abs(plain.weights).max())
    assert set(fast.fields) == set(plain.fields)
    if "momentum" in plain.fields:
        momentum, expected = fast.fields["momentum"], plain.fields["momentum"]
        np.testing.assert_allclose(
            momentum.mantissa * np.exp(momentum.log_scale - expected.log_scale)[:, None, None],
            expected.mantissa,
            rtol=0,
            atol=1e-10,
        )


@pytest.mark.parametrize("engine", FAST)
@every_norm
@pytest.mark.parametrize(("momentum", "reduced"), SIGNALS)
@through("batch_size", [1, 5, None])
def test_engines_agree_with_the_reference(engine, norm, momentum, reduced, batch_size):
    problem = random_problem()
    method = st.Method(norm, batch_size, momentum, reduced, schedule=st.PolynomialDecay(0.2, 0.5), seed=1)
    start = 0.1 * np.random.default_rng(5).normal(size=(4, 20))
    assert_same_step(
        advance(engine, problem, method, start, 15), advance("reference", problem, method, start, 15)
    )


@pytest.mark.parametrize("engine", FAST)
@every_signal
@every_kind_of_momentum
@through("beta", [0.0, 0.8])
def test_engines_agree_in_every_signal_and_momentum(engine, signal, kind, beta):
    problem = random_problem()
    for name, batch_size in (("spectral", 5), ("row-2/inf", 1), ("max", None)):
        method = st.Method(
            name, batch_size, beta, signal=signal, momentum_kind=kind, schedule=st.PolynomialDecay(0.2, 0.5)
        )
        start = 0.1 * np.random.default_rng(5).normal(size=(4, 20))
        assert_same_step(
            advance(engine, problem, method, start, 15), advance("reference", problem, method, start, 15)
        )


def test_a_norm_from_outside_runs_and_is_never_taken_for_another():
    """The batched engine takes it, and the compiled one refuses it by the name of what is missing."""
    problem = random_problem()
    method = st.Method(FOREIGN, 5, 0.5, schedule=st.PolynomialDecay(0.2, 0.5))
    assert engine_for(problem, method).name == "batched"
    own = replace(method, norm=st.norm("entrywise-3"))
    for engine in ("auto", "batched", "reference"):
        run = st.descend(problem, method, 200, engine=engine)
        np.testing.assert_allclose(run.final_weights, st.descend(problem, own, 200).final_weights, atol=1e-11)
    expected = (
        'norm=Foreign.*: engine="compiled" needs compiled code for its direction, which it does not offer; '
        'use engine="auto", "batched" or "reference"'
    )
    with pytest.raises(MissingCapability, match=expected):
        st.descend(problem, method, 3, engine="compiled")


class Stretched:
    """Norms that all call themselves alike, or by no name at all."""

    def __init__(self, factor, name):
        self.factor, self.name = factor, name

    def __call__(self, A):
        return st.norm("max")(A) / self.factor

    def dual(self, A):
        return st.norm("sum")(A) * self.factor

    def direction(self, S):
        return np.sign(S) * self.factor

    def __str__(self):
        return self.name or object.__repr__(self)


@pytest.mark.parametrize("name", [None, "stretched"])
def test_two_norms_of_one_text_are_not_run_as_one(name):
    schedule = st.PolynomialDecay(0.2)
    methods = [st.Method(Stretched(factor, name), 5, schedule=schedule) for factor in (1.0, 2.0)]
    runs = st.descend(random_problem(), methods, 1, engine="batched")
    assert [np.abs(run.final_weights).max() for run in runs] == [0.2, 0.4]


@dataclass(frozen=True)
class Plain:
    """A signal from outside, the gradient over the batch."""

    def start(self, _problem, _loss, _weights):
        return {}

    def step(self, draw, weights, _fields):
        return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor), {}

    def __str__(self):
        return "plain"


def test_a_signal_from_outside_runs_and_the_compiled_engine_names_what_it_lacks():
    problem = random_problem()
    method = st.Method("max", 5, 0.5, signal=Plain(), schedule=st.PolynomialDecay(0.2, 0.5))
    own = st.descend(problem, replace(method, signal="minibatch"), 100)
    for engine in ("auto", "batched", "reference"):
        run = st.descend(problem, method, 100, engine=engine)
        assert run.engine != "compiled"
        np.testing.assert_allclose(run.final_weights, own.final_weights, rtol=0, atol=1e-11)
    with pytest.raises(
        MissingCapability, match=r'signal=Plain.*: engine="compiled" needs compiled code for its steps'
    ):
        st.descend(problem, method, 3, engine="compiled")


@pytest.mark.parametrize("engine", FAST)
@every_compiled_loss
@pytest.mark.parametrize("norm", ["frobenius", "spectral", "max", "schatten-3"])
@pytest.mark.parametrize("margin", [40.0, 800.0, 2500.0])
def test_engines_agree_at_losses_of_1e_minus_1000(engine, loss, norm, margin):
    problem = random_problem(samples=10, features=30)
    start = weights_with_margins(problem, margin + np.linspace(0, 3, problem.samples))
    for momentum, reduced in SIGNALS:
        method = st.Method(norm, 4, momentum, reduced, loss, schedule=st.PolynomialDecay(0.1, 0.5))
        fast, plain = (advance(each, problem, method, start, 5) for each in (engine, "reference"))
        assert plain.fields["momentum"].log_scale[0] < -0.9 * margin
        moved = np.abs(plain.weights - start).max()
        np.testing.assert_allclose(fast.weights, plain.weights, rtol=0, atol=1e-9 * moved + 1e-12)


@pytest.mark.parametrize("engine", FAST)
@every_signal
@every_kind_of_momentum
def test_every_signal_and_momentum_at_losses_that_fall_below_1e_minus_1000(engine, signal, kind):
    """Large steps along a separating direction: an epoch's gradients differ by hundreds of digits."""
    problem = random_problem(samples=10, features=30)
    start = weights_with_margins(problem, 300.0 + np.linspace(0, 3, problem.samples))
    for loss in ("cross-entropy", "exponential"):
        schedule = st.PolynomialDecay(20.0, 0.5)
        method = st.Method("frobenius", 4, 0.5, None, loss, schedule, signal=signal, momentum_kind=kind)
        fast, plain = (advance(each, problem, method, start, 12) for each in (engine, "reference"))
        moved = np.abs(plain.weights - start).max()
        np.testing.assert_allclose(fast.weights, plain.weights, rtol=0, atol=1e-9 * moved)


@pytest.mark.parametrize("engine", ["reference", *FAST])
@pytest.mark.parametrize(("momentum", "reduced"), SIGNALS)
def test_a_run_below_1e_minus_1000_follows_the_exact_signal(engine, momentum, reduced):
    """The whole recursion again in mpmath: batches, snapshot, momentum and Frobenius steps."""
    problem = random_problem(classes=3, samples=6, features=12)
    start = weights_with_margins(problem, 2400.0 + np.linspace(0, 2, 6))
    method = st.Method("frobenius", 2, momentum, reduced, schedule=st.PolynomialDecay(0.5, 0.5), seed=4)
    steps = 4
    state = advance(engine, problem, method, start, steps)
    assert state.fields["momentum"].log_scale[0] < -2302  # 1e-1000
    order = method.reshuffling(problem)

    def gradient(indices, W):
        return gradient_and_logs(problem.features[indices], problem.labels[indices], W, "cross-entropy")[0]

    with mpmath.workdps(60):
        W = mpmath.matrix(start.tolist())
        average = mpmath.zeros(3, 12)
        snapshot, full = start, gradient(range(6), start)
        for step in range(steps):
            floats = np.array([[float(W[c, j]) for j in range(12)] for c in range(3)])
            # Engines round their weights once a step; the exact run starts each step from theirs.
            engine_weights = advance(engine, problem, method, start, step).weights[0] if step else start
            np.testing.assert_allclose(floats, engine_weights, rtol=1e-12, atol=1e-12)
            floats = engine_weights
            if step % order.batches == 0:
                snapshot, full = floats, gradient(range(6), floats)
            signal = gradient(order.batch(step), floats)
            if reduced:
                signal = signal - gradient(order.batch(step), snapshot) + full
            average = mpmath.mpf(momentum) * average + (1 - mpmath.mpf(momentum)) * signal
            size = mpmath.mpf(float(method.schedule(step)))
            W = mpmath.matrix(floats.tolist()) - size * average / frobenius(average)
    exact = np.array([[float(W[c, j]) for j in range(12)] for c in range(3)])
    np.testing.assert_allclose(state.weights[0], exact, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("engine", ["reference", *FAST])
@given(
    cuts=some.lists(some.integers(1, 39), max_size=4),
    signal=some.sampled_from(sorted(REGISTERED)),
    norm=some.sampled_from(["spectral", "max"]),
)
@example(cuts=[13, 14, 31], signal="svrg", norm="max")
@example(cuts=[1, 13, 14, 31], signal="saga", norm="max")
@settings(max_examples=12)
def test_results_do_not_depend_on_where_a_run_is_cut(engine, cuts, signal, norm):
    problem = random_problem()
    method = st.Method(norm, 5, 0.8, signal=signal, schedule=st.PolynomialDecay(0.2, 0.5))
    whole = advance(engine, problem, method, np.zeros((4, 20)), 40)
    parts = advance(engine, problem, method, np.zeros((4, 20)), 40, stop_at=sorted(cuts))
    np.testing.assert_array_equal(parts.weights, whole.weights)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(parts.arrays()[name], array)


@pytest.mark.parametrize("engine", ["reference", *FAST])
def test_engines_leave_the_state_that_they_start_from_unchanged(engine):
    problem = random_problem()
    state = State.start(problem, st.Method(), np.ones((1, 4, 20)))
    engine_for(problem, st.Method(), engine).advance(problem, [st.Method()], state, 3)
    assert np.all(state.weights == 1)
    assert state.step == 0


@pytest.mark.parametrize("engine", ["reference", *FAST])
def test_truncated_spectral_directions_are_counted(engine):
    # Two samples of one direction each: the signal has singular values 1 and e^-31 (3e-14) of their margins.
    problem = st.Classification(np.eye(4)[:3], [0, 1, 2])
    for apart, expected in [(5.0, 0), (31.0, 1)]:
        margins = np.array([50.0, 50.0 + apart, 120.0])
        W = np.zeros((3, 4))
        W[np.arange(3), np.arange(3)] = margins
        steps = st.PolynomialDecay(1e-9, 0.5)
        cut = st.Method("spectral", schedule=steps, rank_cutoff=RANK_CUTOFF)
        assert advance(engine, problem, cut, W, 1).truncated[0] == expected
        assert advance(engine, problem, st.Method("spectral", schedule=steps), W, 1).truncated[0] == 0
        assert advance(engine, problem, st.Method("nuclear"), W, 1).truncated[0] == 0


@every_signal
@every_kind_of_momentum
def test_a_batch_of_runs_gives_what_each_run_gives_alone(signal, kind):
    problem = random_problem()
    methods = [
        st.Method(
            "spectral",
            5,
            beta,
            signal=signal,
            schedule=st.PolynomialDecay(0.1 * (seed + 1), 0.5),
            seed=seed,
            momentum_kind=kind,
        )
        for seed, beta in enumerate([0.0, 0.5, 0.9])
    ]
    engine = engine_for(problem, methods[0], "batched")
    together = engine.advance(problem, methods, State.start(problem, methods[0], np.zeros((3, 4, 20))), 30)
    for run, method in enumerate(methods):
        alone = engine.advance(problem, [method], State.start(problem, method, np.zeros((1, 4, 20))), 30)
        np.testing.assert_allclose(together.weights[run], alone.weights[0], rtol=0, atol=1e-13)


def test_the_engine_is_chosen_by_size_and_an_unknown_one_is_refused():
    assert engine_for(random_problem(), st.Method()).name == "compiled"
    wide = st.Classification(np.ones((1000, 300)) * np.arange(1000)[:, None], np.arange(1000))
    assert engine_for(wide, st.Method()).name == "batched"
    assert engine_for(wide, st.Method(batch_size=1)).name == "compiled"
    many = st.Classification(np.eye(300), np.arange(300))
    assert engine_for(many, st.Method("max")).name == "compiled"
    assert engine_for(many, st.Method("spectral")).name == "batched"
    with pytest.raises(InvalidArgument, match="engine='gpu': give one of auto, reference, compiled, batched"):
        engine_for(random_problem(), st.Method(), "gpu")


STEPS = """
import warnings
import steepest as st
problem = st.datasets.mixture(classes=4, samples_per_class=5, features=12, seed=3)
for norm in ("frobenius", "max", "spectral", "schatten-3"):
    for momentum, reduced in ((0.0, False), (0.9, True)):
        for initial in (0.05, 30.0):
            method = st.Method(norm, 5, momentum, reduced, schedule=st.PolynomialDecay(initial, 0.3))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "variance reduction cannot hold")
                run = st.descend(problem, method, 300, records=3, engine="compiled")
            print(norm, momentum, initial, run.weights.tobytes().hex())
"""

READ_ONLY = """
import numba.core.caching as caching
for each in caching.CacheImpl._locator_classes:
    each.ensure_cache_path = lambda self: (_ for _ in ()).throw(OSError("read-only"))
"""

KEPT = """
from numba.core.caching import Cache
Cache.save_overload = None  # there is nothing left to keep
"""


def test_code_that_cannot_be_kept_on_disk_is_compiled_and_takes_the_same_steps_to_the_last_bit(tmp_path):
    """A package in a folder that nobody may write, for a user without a home; and one with code on disk."""
    package = tmp_path / "site" / "steepest"
    shutil.copytree(Path(st.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    compiled = {**environment, "PYTHONPATH": str(tmp_path / "site")}
    # The second finds on disk what the tests before it, or the first, have left.
    runs = [
        subprocess.run([sys.executable, "-c", script], env=where, capture_output=True, text=True, check=True)
        for script, where in ((READ_ONLY + STEPS, compiled), (STEPS, os.environ), (KEPT + STEPS, os.environ))
    ]
    assert "compiled code cannot be kept" in runs[0].stderr
    assert runs[1].stderr == runs[2].stderr == ""
    assert runs[0].stdout == runs[1].stdout == runs[2].stdout


@pytest.mark.torch
@pytest.mark.parametrize("norm", ["frobenius", "max", "spectral"])
@pytest.mark.parametrize(("momentum", "reduced"), SIGNALS)
def test_batched_on_tensors_agrees_with_the_reference_on_arrays(norm, momentum, reduced):
    import torch

    problem = random_problem()
    twin = st.Classification(torch.asarray(problem.features.copy()), problem.labels)
    method = st.Method(norm, 5, momentum, reduced, schedule=st.PolynomialDecay(0.2, 0.5))
    plain = advance("reference", problem, method, np.zeros((4, 20)), 25)
    start = State.start(twin, method, torch.zeros((1, 4, 20), dtype=torch.float64))
    fast = engine_for(twin, method, "batched").advance(twin, [method], start, 25)
    assert isinstance(fast.weights, torch.Tensor)
    np.testing.assert_allclose(fast.weights.numpy(), plain.weights, rtol=0, atol=1e-11)


@pytest.mark.torch
@every_signal
@every_kind_of_momentum
def test_every_signal_and_momentum_on_tensors(signal, kind):
    import torch

    problem = random_problem()
    twin = st.Classification(torch.asarray(problem.features.copy()), problem.labels)
    method = st.Method(
        "max", 5, 0.7, signal=signal, momentum_kind=kind, schedule=st.PolynomialDecay(0.03, 0.5)
    )
    on_tensors, plain = (st.descend(each, method, 25, engine="batched") for each in (twin, problem))
    np.testing.assert_allclose(on_tensors.weights, plain.weights, rtol=0, atol=1e-11)


@every_loss
def test_every_loss_runs_by_itself_and_a_loss_without_compiled_code_in_the_batched_engine(loss):
    problem = random_problem()
    method = st.Method("max", 5, 0.9, loss=loss, schedule=st.PolynomialDecay(0.2, 0.5))
    run, plain = (st.descend(problem, method, 15, engine=each) for each in ("auto", "reference"))
    assert run.engine == ("batched" if loss is BARE else "compiled")
    np.testing.assert_allclose(run.weights, plain.weights, rtol=0, atol=1e-12)


def test_the_compiled_engine_names_what_a_loss_lacks():
    message = (
        "^loss='additive-margin-2': engine=\"compiled\" needs compiled code for its residuals, "
        'which it does not offer; use engine="auto", "batched" or "reference"$'
    )
    with pytest.raises(MissingCapability, match=message):
        st.descend(random_problem(), st.Method(loss=BARE), 5, engine="compiled")
