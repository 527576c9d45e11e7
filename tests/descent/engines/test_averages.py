"""Averages of gradients and SAGA from large weights: every engine takes the steps of a recursion in mpmath."""

from __future__ import annotations

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

import steepest as st
from steepest.signals import coins

NORMS = ["max", "frobenius", "entrywise-8", "row-2/inf", "column-2/inf", "spectral", "schatten-6"]
SCHEDULE = st.PolynomialDecay(0.5, 0.5)


def exact_steps(problem, method, start, steps):
    """Return W after some steps in mpmath: signals, averages and directions from the definitions."""
    n, order = problem.samples, method.reshuffling(problem)
    m = order.batches
    with mpmath.workdps(digits_for(problem, start)):
        W, beta = mpmath.matrix(start.tolist()), mpmath.mpf(method.momentum)
        average = mpmath.zeros(*start.shape)
        seen = [gradient(problem, [i], W) for i in range(n)]
        zero = mpmath.zeros(*start.shape)
        for step in range(steps):
            batch = list(range(n)) if m == 1 else [int(i) for i in order.batch(step)]
            factor = mpmath.mpf(m) / n
            here = {i: gradient(problem, [i], W) for i in batch}
            signal = sum((factor * each for each in here.values()), zero)
            if str(method.signal) != "minibatch" and m > 1:
                taken = step % m == 0 if str(method.signal) == "svrg" else False
                if str(method.signal) == "loopless-svrg":
                    taken = step == 0 or bool(coins(method.seed, step, step + 1, 1.0 / m)[0])
                if taken:
                    seen = [gradient(problem, [i], W) for i in range(n)]
                signal += sum((each / n for each in seen), zero) - sum((factor * seen[i] for i in batch), zero)
                if str(method.signal) == "saga":
                    for i in batch:
                        seen[i] = here[i]
            average = beta * average + (1 - beta) * signal
            kind = str(method.momentum_kind) if method.momentum else "none"
            followed = {
                "ema": lambda: average,
                "nesterov": lambda: beta * average + (1 - beta) * signal,
            }.get(kind, lambda: signal)()
            W = W - mpmath.mpf(float(method.schedule(step))) * direction(str(method.norm), followed)
        return np.array(W.tolist(), dtype=float)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    ("signal", "kind", "beta"),
    [
        ("minibatch", "ema", 0.9),
        ("minibatch", "nesterov", 0.5),
        ("svrg", "ema", 0.9),
        ("saga", "ema", 0.0),
        ("saga", "nesterov", 0.6),
        ("loopless-svrg", "ema", 0.3),
    ],
)
def test_averages_take_exact_steps_from_large_weights(norm, signal, kind, beta):
    """Residuals lie between 1 and e^-1000; features vanish here and there."""
    problem, start = separated(150.0, zeros=True)
    method = st.Method(norm, 2, beta, signal=signal, momentum_kind=kind, schedule=SCHEDULE)
    steps = 9
    expected = exact_steps(problem, method, start, steps)
    for engine in ENGINES:
        found = advanced(problem, start, steps, engine, method)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=engine)
