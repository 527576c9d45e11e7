"""Signals of the whole registry at any loss: against a plain simulation of unlimited range, and unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import mpmath
import numpy as np
import pytest
from tests.problems import random_problem

import steepest as st
from steepest.errors import InvalidArgument
from steepest.losses import CROSS_ENTROPY, gradient
from steepest.scaled import zeros_like
from steepest.signals import (
    MOMENTUM_KINDS,
    SIGNALS,
    Draw,
    coins,
    minibatch_gradient,
    momentum_kind,
    register_signal,
    signal,
)

every_signal = pytest.mark.parametrize("name", sorted(SIGNALS))


def exact_gradient(problem, W, samples):
    """Σ_i ∇ℓ_i(W) / n of cross-entropy in mpmath, for W a list of rows."""
    X, y, n = problem.features.tolist(), problem.labels, problem.samples
    k, d = problem.n_classes, problem.dimension
    total = mpmath.zeros(k, d)
    for i in samples:
        logits = [mpmath.fdot(W[c], X[i]) for c in range(k)]
        odds = [mpmath.exp(logit - logits[y[i]]) for logit in logits]
        whole = mpmath.fsum(odds)
        for c in range(k):
            share = odds[c] / whole
            weight = share if c != y[i] else -mpmath.fsum(odds[j] for j in range(k) if j != c) / whole
            for j in range(d):
                total[c, j] += weight * X[i][j] / n
    return total


def rows(W):
    return [[mpmath.mpf(float(x)) for x in row] for row in np.asarray(W)]


def exact_signal(name, problem, method, path, step):
    """The signal of a step from the weights at all steps before it, by the signal's definition."""
    reshuffling = method.reshuffling(problem)
    m, everything = reshuffling.batches, range(problem.samples)
    batch = reshuffling.batch(step).tolist()
    here = m * exact_gradient(problem, rows(path[step]), batch)
    if name == "minibatch":
        return here
    if name == "saga":
        seen = dict.fromkeys(everything, 0)
        for before in range(step):
            seen.update(dict.fromkeys(reshuffling.batch(before).tolist(), before))
        for i in batch:
            here -= m * exact_gradient(problem, rows(path[seen[i]]), [i])
        for i in everything:
            here += exact_gradient(problem, rows(path[seen[i]]), [i])
        return here
    snapshots = [0, *np.flatnonzero(coins(method.seed, 0, step + 1, 1 / m)).tolist()]
    last = step - step % m if name == "svrg" else max(snapshots)
    W = rows(path[last])
    return here - m * exact_gradient(problem, W, batch) + exact_gradient(problem, W, everything)


@every_signal
@pytest.mark.parametrize("size", [1.0, 60.0, 4000.0], ids=["near 0", "1e-100", "1e-1000 and below"])
def test_signals_are_those_of_their_definition_at_any_loss(name, size):
    """Directions along a run whose losses fall by hundreds of digits within an epoch."""
    problem = random_problem(classes=3, samples=7, features=9)
    solution = st.max_margin(problem, "frobenius")
    method = st.Method(batch_size=2, signal=name, seed=3)
    path = [(size + 0.3 * size * t) * solution.weights / solution.margin for t in range(9)]
    fields = method.signal.start(problem, method.loss, np.asarray(path[0])[None])
    reshuffling = method.reshuffling(problem)
    with mpmath.workdps(60):
        for step, W in enumerate(path):
            draw = Draw(
                problem,
                CROSS_ENTROPY,
                step,
                reshuffling.batches,
                np.array(reshuffling.batch(step))[None],
                lambda p, step=step: coins(method.seed, step, step + 1, p),
            )
            found, changed = method.signal.step(draw, W[None], fields)
            fields = {**fields, **changed}
            exact = exact_signal(name, problem, method, path, step)
            length = mpmath.norm(exact, 2)
            if length == 0:
                continue
            unit = np.array((exact / length).tolist(), dtype=float)
            mantissa = found.mantissa[0]
            np.testing.assert_allclose(mantissa / np.linalg.norm(mantissa), unit, rtol=0, atol=2e-11)
            log_length = float(mpmath.log(length))
            assert np.log(np.linalg.norm(mantissa)) + found.log_scale[0] == pytest.approx(
                log_length, abs=1e-9
            )


@every_signal
def test_signals_are_unbiased(name):
    """From any state, the mean over all batches of b samples is the gradient at the weights."""
    problem = random_problem(classes=3, samples=6, features=5)
    generator = np.random.default_rng(0)
    W, before = 0.5 * generator.normal(size=(2, 1, 3, 5))
    chosen = signal(name)
    fields = chosen.start(problem, CROSS_ENTROPY, before)

    def never(_probability):
        return np.zeros(1, dtype=bool)

    def draw(step, batch):
        return Draw(problem, CROSS_ENTROPY, step, 3, np.array([batch]), never)

    # One step leaves a table or a snapshot that is not that of the start.
    fields = {**fields, **chosen.step(draw(0, [4, 1]), before, fields)[1]}
    signals = [
        chosen.step(draw(1, list(batch)), W, fields)[0].rounded()[0] for batch in combinations(range(6), 2)
    ]
    full = gradient(problem, CROSS_ENTROPY, W).rounded()[0]
    np.testing.assert_allclose(np.mean(signals, axis=0), full, rtol=0, atol=1e-14)


def test_a_loopless_snapshot_is_taken_once_in_m_steps_and_is_the_same_in_every_cut():
    tosses = coins(7, 0, 40_000, 0.1)
    # 40,000 coins of probability 0.1: five standard deviations are 300.
    assert abs(int(tosses.sum()) - 4000) < 300
    pieces = [coins(7, first, first + 999, 0.1) for first in range(0, 39_960, 999)]
    np.testing.assert_array_equal(np.concatenate(pieces), tosses[:39_960])
    assert not np.array_equal(coins(8, 0, 1000, 0.1), tosses[:1000])


def test_kinds_of_momentum_by_hand():
    """Signals 1, then 2, at β = 1/2: the average is 1/2, 5/4; Nesterov looks ahead; the ball rolls on."""
    problem = st.Classification([[1.0], [-1.0]], [0, 1])
    one = gradient(problem, CROSS_ENTROPY, np.zeros((1, 2, 1)))
    beta, weights = np.array([0.5]), np.zeros((1, 2, 1))
    expected = {"ema": (0.5, 1.25), "nesterov": (0.75, 1.625), "heavy-ball": (1.0, 2.0)}
    for name, sizes in expected.items():
        kind = momentum_kind(name)
        fields = kind.start(weights)
        for factor, size in zip((1.0, 2.0), sizes, strict=True):
            followed, changed = kind.follow(one * factor, beta, fields)
            fields = {**fields, **changed}
            np.testing.assert_allclose(followed.rounded(), size * one.rounded(), rtol=1e-15)
    ball = MOMENTUM_KINDS["heavy-ball"]
    fields = ball.start(weights)
    for expected_weight in (1.0, 2.5, 4.25):
        weights, changed = ball.move(weights, np.ones((1, 2, 1)), beta, fields)
        fields = {**fields, **changed}
        assert (weights == expected_weight).all()


def test_the_sum_form_has_the_direction_of_the_average():
    """PyTorch's B_t = β B_{t-1} + g_t is the average over 1 - β."""
    generator, kind = np.random.default_rng(1), momentum_kind("ema")
    problem = random_problem()
    fields, total = kind.start(np.zeros((1, 4, 20))), np.zeros((4, 20))
    followed = zeros_like(np.zeros((1, 4, 20)))
    for _ in range(6):
        full = gradient(problem, CROSS_ENTROPY, generator.normal(size=(1, 4, 20)))
        followed, changed = kind.follow(full, np.array([0.9]), fields)
        fields = {**fields, **changed}
        total = 0.9 * total + full.rounded()[0]
    np.testing.assert_allclose(followed.rounded()[0], 0.1 * total, rtol=0, atol=1e-15)


def test_momentum_of_zero_is_no_momentum_of_any_kind():
    problem = random_problem()
    runs = [
        st.descend(problem, st.Method("spectral", 4, momentum_kind=kind), 50, engine=engine)
        for kind in MOMENTUM_KINDS
        for engine in ("compiled", "batched")
    ]
    for run in runs[1:]:
        np.testing.assert_allclose(run.final_weights, runs[0].final_weights, rtol=0, atol=1e-11)


def test_signals_that_are_none_are_refused():
    with pytest.raises(InvalidArgument, match=r"signal='svgr': did you mean .svrg.\? give one of minibatch"):
        st.Method(signal="svgr")
    with pytest.raises(InvalidArgument, match=r"signal=3: give a name, or an object with methods start"):
        st.Method(signal=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"momentum_kind='adam': give one of ema, nesterov, heavy-ball"):
        st.Method(momentum_kind="adam")
    with pytest.raises(InvalidArgument, match=r"variance_reduction=True: leave it out, signal=saga says it"):
        st.Method(variance_reduction=True, signal="saga")
    with pytest.raises(InvalidArgument, match=r"signal=.*: give an object with methods start and step"):
        register_signal(object())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Kept:
    """A signal that keeps whatever it is told to, under any name."""

    name: str
    field: str = "kept"
    value: object = None

    def start(self, _problem, _loss, weights):
        return {self.field: weights if self.value is None else self.value}

    def step(self, draw, weights, _fields):
        return minibatch_gradient(draw.loss, draw.batch, weights, draw.factor), {}

    def __str__(self):
        return self.name


class Nameless:
    start, step = Kept.start, Kept.step


@dataclass
class Unhashable:
    start, step = Kept.start, Kept.step


def test_signals_that_could_be_mistaken_are_refused():
    for wrong, message in [
        (Kept("svrg"), "signal=Kept.*: another one of that name is known; its __str__ must tell them apart"),
        (Nameless(), "signal=.*Nameless.*: give its class a __str__ that names it and its parameters"),
        (Unhashable(), "signal='.*Unhashable.*': make it hashable: a frozen dataclass is"),
    ]:
        with pytest.raises(InvalidArgument, match=message):
            st.Method(signal=wrong)  # type: ignore[arg-type]


def test_states_that_no_run_could_go_on_from_are_refused():
    for wrong, message in [
        (
            Kept("one", field="momentum"),
            "signal='one': rename what it keeps as 'momentum': the name is",
        ),
        (Kept("two", field="weights"), "signal='two': rename what it keeps as 'weights'"),
        (
            Kept("three", value=3.0),
            "signal='three': its start must return arrays with the runs as first axis",
        ),
        (Kept("four", value=np.zeros(7)), "signal='four': its start must return arrays with the runs"),
    ]:
        for engine in ("auto", "reference"):
            with pytest.raises(InvalidArgument, match=message):
                st.descend(random_problem(), st.Method(batch_size=3, signal=wrong), 3, engine=engine)
