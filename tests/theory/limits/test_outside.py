"""Limits and single samples against code that shares nothing with ours: plain NumPy and mpmath."""

import itertools
import math

import mpmath
import numpy as np
import pytest

from steepest import Classification, Method, max_margin
from steepest.datasets import gaussian
from steepest.datasets.real import digits_pair
from steepest.theory import limit_direction, single_sample_bias


def pulls_of(logits, y):
    """Return signs and logarithms of -∂ℓ/∂z for one sample, cross-entropy at logits of any size."""
    others = np.delete(logits, y) - logits[y]
    top = max(others.max(), 0.0)
    total = top + math.log(math.exp(-top) + np.exp(others - top).sum())
    logs = np.insert(others - total, y, 0.0)
    largest = np.delete(logs, y).max()
    logs[y] = largest + math.log(np.exp(np.delete(logs, y) - largest).sum())
    signs = -np.ones(len(logits))
    signs[y] = 1.0
    return signs, logs


def direction_of(name, G):
    """Return argmax ⟨G, V⟩ over the unit ball, written down again."""
    if name == "max":
        return np.sign(G)
    if name == "frobenius":
        return G / np.linalg.norm(G)
    if name == "spectral":
        U, s, Vt = np.linalg.svd(G, full_matrices=False)
        kept = s > 1e-9 * s[0]
        return U[:, kept] @ Vt[kept]
    if name == "largest-row-length":
        return G / np.linalg.norm(G, axis=1, keepdims=True)
    assert name == "entrywise-3"
    roots = np.abs(G) ** 0.5
    return np.sign(G) * roots / np.sum(np.abs(G) ** 1.5) ** (1.0 / 3.0)


def single_sample_run(name, X, y, classes, initial, epochs, seed):
    """Return W and R of reshuffled descent with batches of one and a = 1/2."""
    W, R, t, draw = np.zeros((classes, X.shape[1])), 0.0, 0, np.random.default_rng(seed)
    for _ in range(epochs):
        for i in draw.permutation(len(X)):
            signs, logs = pulls_of(W @ X[i], y[i])
            step = initial / math.sqrt(1.0 + t)
            W += step * direction_of(name, np.outer(signs * np.exp(logs - logs.max()), X[i]))
            R, t = R + step, t + 1
    return W, R


NORMS = ["max", "frobenius", "spectral", "largest-row-length", "entrywise-3"]


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("data", ["digits", "gaussian", "apart", "classes"])
def test_single_samples_follow_b_and_separate_where_it_does(name, data):
    if data == "digits":
        problem = digits_pair(3, 8)
    elif data == "gaussian":
        problem = gaussian(2, 12, 40, seed=77)
    else:
        draw, k = np.random.default_rng(5), 2 if data == "apart" else 4
        y = np.arange(24) % k
        problem = Classification(draw.normal(size=(24, 6)) + 9.0 * np.eye(k, 6)[y], y)
    if problem.n_classes > 2 and name != "max":
        name = "max"
    X, y = np.asarray(problem.features), np.asarray(problem.one_hot).argmax(axis=1)
    found = single_sample_bias(problem, name)
    W, R = single_sample_run(name, X, y, problem.n_classes, 0.5, 20, 3)
    assert np.linalg.norm(W - R * found.B) <= found.distance_bound(0.5) * (1.0 + 1e-9)
    cosine = np.vdot(W, found.B) / (np.linalg.norm(W) * np.linalg.norm(found.B))
    assert cosine > 0.99
    logits = X @ W.T
    margins = logits[np.arange(len(y)), y] - np.where(np.eye(logits.shape[1])[y] > 0, -np.inf, logits).max(1)
    assert found.separates is not None
    assert found.separates == (margins.min() > 0)
    if data in ("apart", "digits"):
        assert found.separates == (data == "apart")


@pytest.mark.parametrize("name", ["max", "frobenius", "entrywise-3"])
def test_the_simulation_itself_keeps_to_unlimited_range(name):
    # Residuals of e^-1000 in mpmath, without logarithms.
    draw = np.random.default_rng(2)
    X, y = draw.normal(size=(4, 3)), np.array([0, 1, 0, 1])
    W, _ = single_sample_run(name, X, y, 2, 40.0, 4, 3)
    orders, t = np.random.default_rng(3), 0
    exact = mpmath.zeros(2, 3)
    with mpmath.workdps(1500):
        for _ in range(4):
            for i in orders.permutation(4):
                z = [mpmath.fsum(exact[c, j] * X[i, j] for j in range(3)) for c in range(2)]
                share = mpmath.exp(z[1 - y[i]]) / (mpmath.exp(z[0]) + mpmath.exp(z[1]))
                G = [[(1 if c == y[i] else -1) * share * X[i, j] for j in range(3)] for c in range(2)]
                flat = [abs(g) for row in G for g in row]
                power = {"max": 0, "frobenius": 1, "entrywise-3": mpmath.mpf(1) / 2}[name]
                size = {
                    "max": mpmath.mpf(1),
                    "frobenius": mpmath.sqrt(mpmath.fsum(g**2 for g in flat)),
                    "entrywise-3": mpmath.cbrt(mpmath.fsum(g ** mpmath.mpf("1.5") for g in flat)),
                }[name]
                for c, j in itertools.product(range(2), range(3)):
                    moved = mpmath.sign(G[c][j]) * abs(G[c][j]) ** power / size
                    exact[c, j] += 40 / mpmath.sqrt(1 + t) * moved
                t += 1
    found = np.array([[float(exact[c, j]) for j in range(3)] for c in range(2)])
    np.testing.assert_allclose(W, found, rtol=1e-12)


def field(name, W, X, y, batches):
    """Return E_B[D(-∇L_B(W))]."""
    parts = [pulls_of(W @ x, label) for x, label in zip(X, y, strict=True)]
    signs, logs = (np.array(each) for each in zip(*parts, strict=True))
    total = np.zeros(W.shape)
    for share, members in batches:
        there = logs[members]
        pulled = signs[members] * np.exp(there - there.max(axis=(1, 2), keepdims=True))
        G = np.einsum("mik,mid->mkd", pulled, X[members])
        sizes = np.sqrt(np.sum(G**2, axis=(1, 2), keepdims=True))
        total += share * np.sum(np.sign(G) if name == "max" else G / sizes, axis=0)
    return total


def euler(name, X, y, batches, classes, R, steps):
    """Return W(R) by explicit steps, small at first."""
    W, ends = np.zeros((classes, X.shape[1])), R * np.linspace(0.0, 1.0, steps + 1) ** 1.5
    for h in np.diff(ends):
        W += h * field(name, W, X, y, batches)
    return W


def all_batches(n, b):
    full, left = n // b, n % b
    m = full + (left > 0)
    found = []
    for size, times in ((b, full), (left, 1)):
        if size:
            members = np.array(list(itertools.combinations(range(n), size)))
            found.append((times / m / len(members), members))
    return found


def instances():
    draw = np.random.default_rng(40)
    for number in (0, 2, 5):
        k, n, b = 2 + number % 2, 5 + number % 3, 2 + number % 3
        y = np.arange(n) % k
        yield f"random-{number}", draw.normal(size=(n, 4)) + 3.0 * np.eye(k, 4)[y], y, b
    X = draw.normal(size=(3, 4)) + 3.0 * np.eye(3, 4)
    yield "duplicates", np.repeat(X, 2, axis=0), np.repeat(np.arange(3), 2), 2
    yield "tied", np.array([[1.0, 0.5], [1.0, -0.5], [-1.0, 0.5], [-1.0, -0.5]]), np.array([0, 0, 1, 1]), 2
    yield "full", draw.normal(size=(5, 4)) + 3.0 * np.eye(2, 4)[np.arange(5) % 2], np.arange(5) % 2, 5
    yield "single", draw.normal(size=(6, 4)) + 3.0 * np.eye(3, 4)[np.arange(6) % 3], np.arange(6) % 3, 1
    y = np.array([0, 0, 0, 0, 0, 1, 2])
    yield "imbalanced", draw.normal(size=(7, 4)) + 4.0 * np.eye(3, 4)[y], y, 2
    yield "equal-features", np.array([[2.0, 1.0], [2.0, 1.0], [-1.0, 2.0], [0.0, -2.0]]), [0, 0, 1, 2], 2


@pytest.mark.parametrize("name", ["frobenius", "max"])
@pytest.mark.parametrize("case", list(instances()), ids=lambda case: case[0])
def test_an_explicit_solver_of_the_mean_field_agrees(name, case):
    _, X, y, b = case
    problem = Classification(X, y)
    solution = max_margin(problem, name)
    R = 30.0 / solution.margin
    method = Method(name, batch_size=b)
    found = limit_direction(problem, method, at=R, margin=solution)
    steps = 2000
    W = euler(name, X, np.asarray(y), all_batches(len(X), b), problem.n_classes, R, steps)
    measured = 1.0 - float(problem.normalized_margin(W, name)) / solution.margin
    # Explicit steps chatter about ties by one of their lengths.
    chatter = 3.0 / steps * np.abs(X).sum(axis=1).max() / solution.margin
    assert abs(found.relative_error - measured) <= 2.0 * (found.error.total - found.error.steps) + chatter
