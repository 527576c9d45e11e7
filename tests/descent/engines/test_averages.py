"""Averages of gradients and SAGA: every engine takes the steps of a recursion in mpmath, at any grading."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from tests.descent.engines.test_exactness import (
    ENGINES,
    advanced,
    digits_for,
    direction,
    gradient,
    separated,
)
from tests.problems import random_problem

import steepest as st
from steepest import geometry
from steepest.descent.engines.choice import engine_for
from steepest.descent.engines.compiled.certainty import certain, is_enough, needed
from steepest.descent.engines.compiled.norms import COMPILED_DIRECTION
from steepest.descent.state import State
from steepest.signals import coins
from steepest.signals.terms import FIELDS

SIGNALS = [
    ("minibatch", "ema", 0.9),
    ("minibatch", "nesterov", 0.5),
    ("svrg", "ema", 0.9),
    ("svrg", "nesterov", 0.6),
    ("saga", "ema", 0.0),
    ("saga", "nesterov", 0.6),
    ("saga", "heavy-ball", 0.5),
    ("loopless-svrg", "ema", 0.3),
]


def exact_steps(problem, method, start, steps):
    """Return W after some steps in mpmath: signals, averages and directions from the definitions."""
    n, order = problem.samples, method.reshuffling(problem)
    m = order.batches
    with mpmath.workdps(digits_for(problem, start)):
        W, beta = mpmath.matrix(start.tolist()), mpmath.mpf(method.momentum)
        average = zero = mpmath.zeros(*start.shape)
        before = W
        seen = [gradient(problem, [i], W) for i in range(n)]
        for step in range(steps):
            batch = list(range(n)) if m == 1 else [int(i) for i in order.batch(step)]
            factor = mpmath.mpf(m) / n
            here = {i: gradient(problem, [i], W) for i in batch}
            signal = sum((factor * each for each in here.values()), zero)
            name, kind = str(method.signal), str(method.momentum_kind)
            if name != "minibatch" and m > 1:
                if name == "loopless-svrg":
                    taken = step == 0 or bool(coins(method.seed, step, step + 1, 1.0 / m)[0])
                else:
                    taken = name == "svrg" and step % m == 0
                if taken:
                    seen = [gradient(problem, [i], W) for i in range(n)]
                signal += sum((each / n for each in seen), zero) - sum(
                    (factor * seen[i] for i in batch), zero
                )
                if name == "saga":
                    for i in batch:
                        seen[i] = here[i]
            average = beta * average + (1 - beta) * signal
            if kind == "heavy-ball":
                followed = signal
            else:
                followed = beta * average + (1 - beta) * signal if kind == "nesterov" else average
            moved = W - mpmath.mpf(float(method.schedule(step))) * direction(str(method.norm), followed)
            W, before = (moved + beta * (W - before) if kind == "heavy-ball" else moved), W
        return np.array(W.tolist(), dtype=float)


OTHERS = ["frobenius", "entrywise-8", "row-2/inf", "column-2/inf", "schatten-6"]


@pytest.mark.parametrize(
    ("norm", "signal", "kind", "beta"),
    [("max", *each) for each in SIGNALS] + [(name, *SIGNALS[i]) for name in OTHERS for i in (1, 2, 5)],
)
def test_averages_take_exact_steps_from_large_weights(norm, signal, kind, beta):
    """Residuals lie between 1 and e^-1000; features vanish here and there."""
    problem, start = separated(150.0, zeros=True)
    method = st.Method(
        norm, 2, beta, signal=signal, momentum_kind=kind, schedule=st.PolynomialDecay(0.5, 0.5)
    )
    expected = exact_steps(problem, method, start, 7)
    for engine in ENGINES:
        found = advanced(problem, start, 7, engine, method)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=engine)


@pytest.mark.parametrize(("signal", "kind", "beta"), [SIGNALS[i] for i in (0, 3, 5)])
@pytest.mark.parametrize(("batch_size", "spread"), [(2, 5.0), (5, 20.0), (10, 300.0)])
def test_polar_factors_of_averages_are_exact(signal, kind, beta, batch_size, spread):
    problem, start = separated(spread, seed=batch_size, kind="mixture", zeros=batch_size == 5)
    schedule = st.PolynomialDecay(3.0, 0.5)
    method = st.Method("spectral", batch_size, beta, signal=signal, momentum_kind=kind, schedule=schedule)
    expected = exact_steps(problem, method, start, 5)
    for engine in ENGINES:
        found = advanced(problem, start, 5, engine, method)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=engine)


def test_a_large_batch_of_fifty_in_the_max_norm():
    problem, start = separated(60.0, seed=8, samples=60, zeros=True)
    for signal, kind, beta in (("minibatch", "ema", 0.9), ("saga", "nesterov", 0.5)):
        schedule = st.PolynomialDecay(2.0, 0.5)
        method = st.Method("max", 50, beta, signal=signal, momentum_kind=kind, schedule=schedule)
        expected = exact_steps(problem, method, start, 4)
        for engine in ENGINES:
            found = advanced(problem, start, 4, engine, method)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10, err_msg=engine)


@pytest.mark.parametrize("norm", ["max", "row-2/inf", "spectral"])
@pytest.mark.parametrize(("signal", "kind", "beta"), SIGNALS)
def test_engines_agree_where_formed_sums_would_be_certain_and_where_not(norm, signal, kind, beta):
    """Forty steps at ordinary weights and features of which half vanish: rows of samples come and go."""
    problem, start = separated(2.0, seed=4, zeros=True)
    schedule = st.PolynomialDecay(2.0, 0.3)
    method = st.Method(norm, 3, beta, signal=signal, momentum_kind=kind, schedule=schedule)
    plain = advanced(problem, start, 40, "reference", method)
    for engine in ("batched", "compiled"):
        found = advanced(problem, start, 40, engine, method)
        np.testing.assert_allclose(found, plain, rtol=0, atol=1e-9 * np.abs(plain).max(), err_msg=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("signal", "norm"), [("minibatch", "max"), ("svrg", "spectral"), ("saga", "max")])
def test_a_state_without_coefficients_goes_on_from_its_momentum(engine, signal, norm):
    """What was averaged before is one more matrix, in a checkpoint of an earlier version as in a pass."""
    problem = random_problem()
    method = st.Method(norm, 5, 0.8, signal=signal, schedule=st.PolynomialDecay(0.2, 0.5))
    chosen = engine_for(problem, method, engine)
    halfway = chosen.advance(problem, [method], State.start(problem, method, np.zeros((1, 4, 20))), 21)
    whole = chosen.advance(problem, [method], halfway, 50)
    old = replace(halfway, fields={n: v for n, v in halfway.fields.items() if n not in FIELDS})
    read = State.start(problem, method, np.zeros((1, 4, 20))).with_arrays(old.arrays())
    assert not set(read.fields) & set(FIELDS)
    resumed = chosen.advance(problem, [method], read.with_terms(problem, method), 50)
    np.testing.assert_allclose(resumed.weights, whole.weights, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["ema", "nesterov"])
@pytest.mark.parametrize(("signal", "batch_size"), [("saga", 5), ("saga", 1), ("svrg", 5)])
def test_engines_keep_the_same_coefficients(signal, batch_size, kind):
    """Over epochs in which hardly a step asks for them, and in the middle of one."""
    problem = random_problem()
    schedule = st.PolynomialDecay(0.2, 0.5)
    method = st.Method("max", batch_size, 0.8, signal=signal, momentum_kind=kind, schedule=schedule)
    start = State.start(problem, method, np.zeros((1, 4, 20)))
    kept = []
    for engine in ("reference", "compiled"):
        fields = engine_for(problem, method, engine).advance(problem, [method], start, 41).fields
        values = fields["term_mantissas"] * np.exp(fields["term_log_scales"])
        compared = fields["compared_mantissas"] * np.exp(fields["compared_log_scales"])
        kept.append((fields["term_steps"], values, compared))
    np.testing.assert_array_equal(kept[0][0], kept[1][0])
    for plain, found in zip(kept[0][1:], kept[1][1:], strict=True):
        np.testing.assert_allclose(found, plain, rtol=0, atol=1e-9 * np.abs(plain).max())


def test_coefficients_are_kept_where_directions_hang_on_small_parts_alone():
    problem = random_problem()
    kept = [
        st.Method("max", 5, 0.9),
        st.Method("spectral", 5, 0.9, momentum_kind="nesterov"),
        st.Method("max", 5, signal="saga"),
    ]
    formed = [
        st.Method("frobenius", 5, 0.9),
        st.Method("max", 5),
        st.Method("spectral", 5, 0.9, rank_cutoff=1e-13),
        st.Method("max", 5, 0.9, momentum_kind="heavy-ball"),
    ]
    for method in (*kept, *formed):
        fields = State.start(problem, method, np.zeros((1, 4, 20))).fields
        assert ("term_mantissas" in fields) == (method in kept)


@pytest.mark.parametrize(
    "norm", ["row-2/inf", "column-2/inf", "column-4/inf", "row-3/1.5", "column-1.5/3", "entrywise-3"]
)
def test_entries_that_need_not_be_certain_change_ten_digits_of_no_direction(norm):
    rng = np.random.default_rng(3)
    code = COMPILED_DIRECTION.of(geometry.norm(norm))
    assert code is not None
    spared = 0
    for _ in range(200):
        formed = rng.normal(size=(4, 7)) * np.exp(rng.normal(size=(4, 7)) * rng.choice([0.1, 3.0]))
        wanted = 10.0 ** rng.uniform(-6, 1) * rng.uniform(0.5, 1.0, 4)
        bounds = wanted.copy()
        wholes = np.zeros(7)
        whole = needed(code.kind, code.power, code.across, formed, bounds, wholes)
        kept = np.abs(formed) > bounds[:, None]
        if whole == 0:
            for c, j in np.argwhere(~kept):
                kept[c, j] = is_enough(abs(formed[c, j]), bounds[c], wholes[j], code.power)
        assert certain(formed, bounds, code.power, whole, wholes) == kept.all()
        spared += np.count_nonzero(kept & (np.abs(formed) <= wanted[:, None]))
        lost = 1e-10 * wanted[:, None] * rng.choice([-1.0, 1.0], formed.shape)
        exact = geometry.norm(norm).direction(np.where(kept, formed + lost, formed))
        np.testing.assert_allclose(geometry.norm(norm).direction(formed), exact, rtol=0, atol=6e-10)
    assert spared > 100
