"""From weights of huge margins every engine takes the steps of a recursion in mpmath, entry by entry."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from tests.exact import residuals_and_loss

import steepest as st
from steepest.descent.engines.choice import engine_for
from steepest.descent.engines.compiled import loop
from steepest.descent.state import State
from steepest.geometry import RANK_CUTOFF

ENGINES = ["reference", "batched", "compiled"]


def digits_for(problem, start):
    """Return how many digits tell residuals and the squares of singular values from zero at weights."""
    logits = problem.features @ start.T
    return 60 + int(np.ptp(logits, axis=1).max())


def exact_steps(problem, method, start, steps):
    """Return W after some steps in mpmath: gradients, sums and directions from the definitions."""
    with mpmath.workdps(digits_for(problem, start)):
        W = mpmath.matrix(start.tolist())
        k, d = start.shape
        m, order = method.reshuffling(problem).batches, method.reshuffling(problem)
        momentum, beta = mpmath.zeros(k, d), mpmath.mpf(method.momentum)
        snapshot, full = W, momentum
        for step in range(steps):
            batch = range(problem.samples) if m == 1 else order.batch(step)
            factor = mpmath.mpf(1) / len(batch) if method.takes_means else mpmath.mpf(m) / problem.samples
            signal = factor * gradient(problem, batch, W)
            if method.variance_reduction and m > 1:
                if step % m == 0:
                    snapshot, full = W.copy(), gradient(problem, range(problem.samples), W) / problem.samples
                signal = signal - factor * gradient(problem, batch, snapshot) + full
            momentum = beta * momentum + (1 - beta) * signal
            size = mpmath.mpf(float(method.schedule(step)))
            W = W - size * direction(str(method.norm), momentum)
        return np.array(W.tolist(), dtype=float)


def gradient(problem, batch, W):
    k, d = W.rows, W.cols
    total = mpmath.zeros(k, d)
    for i in batch:
        x, y = [mpmath.mpf(float(v)) for v in problem.features[i]], int(problem.labels[i])
        logits = [mpmath.fdot([W[c, j] for j in range(d)], x) for c in range(k)]
        others = [c for c in range(k) if c != y]
        found, _ = residuals_and_loss("cross-entropy", [logits[c] - logits[y] for c in others])
        for c, residual in zip(others, found, strict=True):
            for j in range(d):
                total[c, j] += residual * x[j]
                total[y, j] -= residual * x[j]
    return total


def direction(name, S):
    k, d = S.rows, S.cols
    rows = [[S[c, j] for j in range(d)] for c in range(k)]
    if name == "max":
        found = [[mpmath.sign(v) for v in row] for row in rows]
    elif name == "frobenius":
        found = vector(rows, 2)
    elif name == "entrywise-8":
        found = vector(rows, 8)
    elif name == "row-2/inf":
        found = [vector([row], 2)[0] for row in rows]
    elif name == "row-blocks-3/8:max":
        found = [[mpmath.sign(v) for v in row] for row in rows]
        shares = vector([[mpmath.fsum(abs(v) for v in row) for row in rows]], 8)[0]
        found = [[share * v for v in row] for share, row in zip(shares, found, strict=True)]
    elif name == "column-2/inf":
        turned = [vector([[row[j] for row in rows]], 2)[0] for j in range(d)]
        found = [[turned[j][c] for j in range(d)] for c in range(k)]
    else:
        return singular_direction(name, S)
    return mpmath.matrix(found)


def vector(rows, p):
    """Return the direction of the entry-wise p-norm: sign(s) |s|^(q-1) / ‖s‖_q^(q-1)."""
    q = mpmath.mpf(p) / (p - 1)
    length = mpmath.fsum(abs(v) ** q for row in rows for v in row) ** (1 / q)
    return [
        [mpmath.sign(v) * (abs(v) / length) ** (q - 1) if v else mpmath.mpf(0) for v in row] for row in rows
    ]


def singular_direction(name, S):
    U, values, Vt = mpmath.svd_r(S)
    kept = [r for r in range(len(values)) if values[r] > values[0] * mpmath.mpf(10) ** (-mpmath.mp.dps // 2)]
    weights = [mpmath.mpf(1)] * len(kept)
    if name != "spectral":
        weights = vector([[values[r] for r in kept]], int(name.removeprefix("schatten-")))[0]
    found = mpmath.zeros(S.rows, S.cols)
    for r, weight in zip(kept, weights, strict=True):
        found += weight * U[:, r] * Vt[r, :]
    return found


def separated(spread, seed=0, *, zeros=False, kind="gaussian", samples=12):
    """Return a problem, and weights at which its margins spread over about ``spread``."""
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % 3
    features = generator.normal(size=(samples, 5))
    if kind == "mixture":
        features = 3 * np.eye(3, 5)[labels] + 0.5 * features
    if zeros:
        features[generator.random((samples, 5)) < 0.4] = 0.0
    problem = st.Classification(features, labels)
    return problem, spread * generator.normal(size=(3, 5))


def advanced(problem, start, steps, engine, method):
    state = State.start(problem, method, start[None])
    return engine_for(problem, method, engine).advance(problem, [method], state, steps).weights[0]


def assert_exact(problem, start, steps, engine, expected, method):
    moved, ours = expected - start, advanced(problem, start, steps, engine, method) - start
    np.testing.assert_allclose(ours, moved, rtol=0, atol=1e-9)


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("batch_size", [2, 5])
@pytest.mark.parametrize(
    "norm", ["max", "frobenius", "entrywise-8", "row-2/inf", "column-2/inf", "spectral", "schatten-6"]
)
def test_engines_take_exact_steps_from_large_weights(norm, batch_size, reduced):
    """Residuals of a batch lie between 1 and e^-1000; features vanish here and there."""
    problem, start = separated(150.0, zeros=True)
    method = st.Method(norm, batch_size, variance_reduction=reduced, schedule=st.PolynomialDecay(0.5, 0.5))
    expected = exact_steps(problem, method, start, 3)
    for engine in ENGINES:
        assert_exact(problem, start, 3, engine, expected, method)


@pytest.mark.parametrize("engine", ["reference", "batched"])
@pytest.mark.parametrize(("momentum", "reduced"), [(0.0, False), (0.0, True), (0.9, False)])
@pytest.mark.parametrize(
    ("norm", "other"),
    [
        ("row-blocks-3/inf:max", "max"),
        ("row-blocks-3/inf:frobenius", "row-2/inf"),
        ("column-blocks-5/inf:frobenius", "column-2/inf"),
        ("column-blocks-5/inf:row-2/inf", "max"),
        ("row-blocks-1/inf:entrywise-8", "entrywise-8"),
        ("row-blocks-3/8:max", "row-blocks-3/8:max"),
    ],
)
def test_blocks_take_exact_steps_from_large_weights(norm, other, momentum, reduced, engine):
    """Each block has a direction of its own, be it smaller than the others by more than a double can say."""
    problem, start = separated(200.0, seed=2)
    features = problem.features * (np.random.default_rng(5).random((12, 5)) < 0.25)
    problem = st.Classification(features, problem.labels)
    schedule = st.PolynomialDecay(0.5, 0.5)
    method = st.Method(norm, 5, momentum, variance_reduction=reduced, schedule=schedule)
    expected = exact_steps(problem, replace(method, norm=other), start, 3)
    assert_exact(problem, start, 3, engine, expected, method)


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize(("norm", "batch_size", "spread"), [("spectral", 2, 20.0), ("schatten-40", 5, 60.0)])
def test_compiled_steps_take_singular_directions_from_terms(norm, batch_size, spread, reduced, monkeypatch):
    """No step is handed to the reference; without corrections, formed sums would say something else."""
    problem, start = separated(spread, seed=3)
    method = st.Method(norm, batch_size, variance_reduction=reduced, schedule=st.PolynomialDecay(0.5, 0.5))
    expected = exact_steps(problem, method, start, 4)
    assert_exact(problem, start, 4, "reference", expected, method)
    formed = replace(method, rank_cutoff=RANK_CUTOFF)
    monkeypatch.setattr(loop, "Reference", None)
    assert_exact(problem, start, 4, "compiled", expected, method)
    apart = np.abs(advanced(problem, start, 4, "compiled", formed) - expected).max()
    assert reduced or apart > 1e-3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("spread", [1.0, 150.0])
def test_a_rank_cut_off_leaves_out_small_singular_values(engine, spread):
    """With 0.9 directions have the rank that a singular value decomposition gives, in every engine."""
    problem, start = separated(spread)
    method = st.Method("spectral", 5, rank_cutoff=0.9, schedule=st.PolynomialDecay(0.5, 0.5))
    moved = start - advanced(problem, start, 1, engine, method)
    with mpmath.workdps(digits_for(problem, start)):
        signal = gradient(problem, method.reshuffling(problem).batch(0), mpmath.matrix(start.tolist()))
        U, values, Vt = mpmath.svd_r(signal)
        kept = [r for r in range(len(values)) if values[r] > values[0] * 9 / 10]
        direction = sum((U[:, r] * Vt[r, :] for r in kept), mpmath.zeros(3, 5))
    assert len(kept) == 1
    expected = float(method.schedule(0)) * np.array(direction.tolist(), dtype=float)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("signal", ["minibatch", "svrg", "saga"])
def test_partial_batches_count_by_their_mean(signal, engine):
    """Seven samples in batches of three, against a loop with means written out."""
    problem, start = separated(0.3, samples=7)
    schedule = st.PolynomialDecay(0.5, 0.5)
    method = st.Method("frobenius", 3, signal=signal, momentum=0.5, partial_batch="mean", schedule=schedule)
    W, snapshot, table, momentum = start.copy(), start.copy(), None, 0.0
    for step in range(7):
        batch = method.reshuffling(problem).batch(step)
        found = mean_gradient(problem, batch, W)
        if signal == "svrg":
            snapshot = W.copy() if step % 3 == 0 else snapshot
            found += mean_gradient(problem, range(7), snapshot) - mean_gradient(problem, batch, snapshot)
        elif signal == "saga":
            if table is None:
                table = [mean_gradient(problem, [i], W) for i in range(7)]
            stored = np.mean([table[i] for i in batch], axis=0)
            found += np.mean(table, axis=0) - stored
            for i in batch:
                table[i] = mean_gradient(problem, [i], W)
        momentum = (momentum + found) / 2
        W = W - schedule(step) * momentum / np.linalg.norm(momentum)
    np.testing.assert_allclose(advanced(problem, start, 7, engine, method), W, rtol=0, atol=1e-12)
    weighted = replace(method, partial_batch="weighted")
    assert np.abs(advanced(problem, start, 7, engine, weighted) - W).max() > 1e-3


def mean_gradient(problem, batch, W):
    """Return the mean over some samples of (softmax(W x) - e_y) xᵀ."""
    X, labels = problem.features[list(batch)], problem.labels[list(batch)]
    odds = np.exp(X @ W.T)
    return (odds / odds.sum(axis=1, keepdims=True) - np.eye(3)[labels]).T @ X / len(labels)


def test_new_options_at_their_defaults_leave_fingerprints_as_they_were():
    plain, cut = st.Method("spectral", 5), st.Method("spectral", 5, rank_cutoff=1e-13)
    assert plain.fingerprint() == st.Method("spectral", 5, rank_cutoff=None).fingerprint()
    assert "rank_cutoff" not in plain.fingerprint()
    assert "partial_batch" not in plain.fingerprint()
    assert cut.fingerprint() == f"{plain.fingerprint()} rank_cutoff=1e-13"
    means = st.Method("spectral", 5, partial_batch="mean")
    assert means.fingerprint() == f"{plain.fingerprint()} partial_batch=mean"
