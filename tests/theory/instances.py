"""Random instances that reach the corners where the inequalities are tight, and the norms to try them in."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from tests.contracts.norms import FOREIGN, UNEVEN

from steepest import BlockNorm, Classification, Entrywise, RowNorm, ScaledNorm, Schatten, norm

NORMS = (
    norm("max"),
    norm("sum"),
    norm("frobenius"),
    norm("nuclear"),
    norm("spectral"),
    Entrywise(1.25),
    Entrywise(3),
    Entrywise(10),
    Schatten(1.5),
    Schatten(4),
    Schatten(1.25),
    Schatten(9),
)
ANY_NORMS = (
    *NORMS,
    *map(
        norm,
        (
            "row-2/inf",
            "column-2/1",
            "row-1/3",
            "mean-square-spectral",
            "mean-square-row",
            "mean-square-column",
        ),
    ),
    ScaledNorm(RowNorm(2, 1), rows=1.0, columns=-1.0),
    BlockNorm(Schatten(3), 1, axis="columns"),
    FOREIGN,
    UNEVEN,
)
"""With norms that Lemma C.1 is not true of, and two that say nothing of themselves."""

LOSSES = ("cross-entropy", "exponential", "pairwise-logistic")


@dataclass(frozen=True)
class Instance:
    """A problem, weights W and W' a distance apart, and batches of shuffled epochs."""

    problem: Classification
    W: np.ndarray
    W_new: np.ndarray
    batches: int
    history: list
    momentum: float
    norm: object
    loss: str

    @property
    def X(self):  # noqa: N802
        return np.asarray(self.problem.features)

    @property
    def y(self):
        return self.problem.labels


def make_instance(rng, norm_, loss, *, batches=None, momentum=None, epochs=3) -> Instance:
    """A random instance; about half of them are extreme: one hard sample, sparse features, aligned moves."""
    k, d = int(rng.integers(2, 5)), int(rng.integers(1, 5))
    n = int(rng.integers(k, 9))
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    X = rng.normal(size=(n, d)) * np.exp(rng.uniform(-2, 1))
    if rng.random() < 0.5:
        X = X * (rng.random((n, d)) < 0.5)
        X[0, 0] += 1.0
    W = rng.normal(size=(k, d)) * np.exp(rng.uniform(-3, 2))
    problem = Classification(X, y)
    move = rng.normal(size=(k, d))
    if rng.random() < 0.5:  # along the direction that changes one pair's margin the fastest
        i = int(rng.integers(n))
        pair = np.zeros((k, d))
        pair[y[i]] += X[i]
        pair[(y[i] + 1) % k] -= X[i]
        move = norm_.direction(pair) if np.any(pair) else move
    W_new = W + move * np.exp(rng.uniform(-6, 0.5)) * rng.choice([-1.0, 1.0])
    m = int(rng.integers(1, n + 1)) if batches is None else min(batches, n)
    size = -(-n // m)
    m = -(-n // size)
    history = []
    for _ in range(epochs):
        order = rng.permutation(n)
        history += [order[j * size : (j + 1) * size] for j in range(m)]
    history = history[: len(history) - int(rng.integers(0, m))]
    beta = float(rng.choice([0.0, 0.5, 0.9, 0.99, rng.random()])) if momentum is None else momentum
    return Instance(problem, W, W_new, m, history, beta, norm_, loss)


@st.composite
def instances(draw, norms=NORMS, **settings):
    seed = draw(st.integers(0, 2**32 - 1))
    return make_instance(
        np.random.default_rng(seed), draw(st.sampled_from(norms)), draw(st.sampled_from(LOSSES)), **settings
    )
