"""Max margins of norms that offer value, dual and direction alone: certified, and those of other tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.contracts.norms import ALL_NORMS, Foreign
from tests.problems import random_problem

import steepest as st
from steepest.maxmargin import Status, certificate

any_hidden = pytest.mark.parametrize(
    "norm", [Foreign(norm) for norm in ALL_NORMS if not isinstance(norm, Foreign)], ids=str
)


@dataclass(frozen=True)
class WeightedMax:
    """‖A‖ = max |A_ij| / w_ij."""

    weights: np.ndarray

    def __call__(self, A):
        return np.max(np.abs(A) / self.weights, axis=(-2, -1))

    def dual(self, A):
        return np.sum(np.abs(A) * self.weights, axis=(-2, -1))

    def direction(self, S):
        return np.sign(S) * self.weights

    def __str__(self):
        return "weighted-max"

    def constraint(self, W):
        return [cvxpy.abs(W) <= np.tile(self.weights, (W.shape[0], 1))]


@dataclass(frozen=True)
class KyFan:
    """The sum of the s largest singular values; its dual is max(‖A‖_spectral, ‖A‖_nuclear / s)."""

    count: int

    def __call__(self, A):
        return np.linalg.svd(A, compute_uv=False)[..., : self.count].sum(axis=-1)

    def dual(self, A):
        values = np.linalg.svd(A, compute_uv=False)
        return np.maximum(values[..., 0], values.sum(axis=-1) / self.count)

    def direction(self, S):
        U, values, Vt = np.linalg.svd(S, full_matrices=False)
        flat = values.sum(axis=-1) / self.count >= values[..., 0]
        one = np.zeros_like(values)
        one[..., 0] = 1.0
        kept = np.where(values > 1e-13 * values[..., :1], 1.0 / self.count, 0.0)
        return (U * np.where(flat[..., None], kept, one)[..., None, :]) @ Vt

    def __str__(self):
        return f"ky-fan-{self.count}"

    def constraint(self, W):
        # ‖W‖ = min over Z of s ‖Z‖_spectral + ‖W - Z‖_nuclear.
        Z = cvxpy.Variable(W.shape)
        return [self.count * cvxpy.sigma_max(Z) + cvxpy.normNuc(W - Z) <= 1]


@dataclass(frozen=True)
class MaxOfTwo:
    """max(‖A‖_F, c ‖A‖_max): its dual is the least of ‖B‖_F + ‖A - B‖_sum / c, by a threshold on |A|."""

    factor: float

    def __call__(self, A):
        return np.maximum(st.Entrywise(2)(A), self.factor * np.max(np.abs(A), axis=(-2, -1)))

    def _parts(self, S):
        """D(S) = sign(S) min(|S| / μ, 1/c) with the μ that makes its Frobenius norm 1, or all at 1/c."""
        sizes = np.abs(S)
        low, high = np.zeros(S.shape[:-2]), st.Entrywise(2)(S) + 0.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            clipped = np.minimum(sizes / np.where(middle > 0, middle, 1.0)[..., None, None], 1 / self.factor)
            long = st.Entrywise(2)(clipped) > 1
            low, high = np.where(long, middle, low), np.where(long, high, middle)
        mu = np.where(high > 0, high, 1.0)[..., None, None]
        return np.sign(S) * np.minimum(sizes / mu, 1 / self.factor)

    def dual(self, A):
        return np.sum(A * self.direction(A), axis=(-2, -1))

    def direction(self, S):
        return self._parts(np.asarray(S))

    def __str__(self):
        return f"max-of-frobenius-and-{self.factor}-max"

    def constraint(self, W):
        return [cvxpy.norm(W, "fro") <= 1, self.factor * cvxpy.abs(W) <= 1]


FOREIGN = [
    WeightedMax(np.linspace(0.5, 2.0, 8)),
    KyFan(2),
    MaxOfTwo(3.0),
]


def by_cvxpy(problem, norm):
    X, k = np.asarray(problem.features), problem.n_classes
    hot = np.asarray(problem.one_hot, dtype=float)
    W: Any = cvxpy.Variable((k, problem.dimension))
    level: Any = cvxpy.Variable()
    logits = X @ W.T
    true: Any = cvxpy.sum(cvxpy.multiply(hot, logits), axis=1, keepdims=True)
    limits = [true @ np.ones((1, k)) - logits >= level * (1.0 - hot), *norm.constraint(W)]
    cvxpy.Problem(cvxpy.Maximize(level), limits).solve(solver="CLARABEL")
    return float(level.value)


@pytest.mark.parametrize("norm", FOREIGN, ids=str)
def test_norms_that_nobody_knows_agree_with_cvxpy(norm):
    problem = random_problem(classes=3, samples=10, features=8, seed=1)
    solution = st.max_margin(problem, norm)
    assert solution.status is Status.SOLVED
    assert solution.method == "cutting planes"
    assert solution.margin == pytest.approx(by_cvxpy(problem, norm), rel=1e-6)


@any_hidden
def test_a_hidden_norm_has_the_margin_of_the_norm_itself(norm):
    problem = random_problem(classes=3, samples=9, features=8, seed=2)
    hidden, known = st.max_margin(problem, norm), st.max_margin(problem, norm.base)
    assert hidden.status is Status.SOLVED
    assert hidden.margin <= known.upper_bound
    assert known.margin <= hidden.upper_bound
    bounds = certificate(problem, norm.base, hidden.weights, hidden.dual)
    assert bounds.relative_gap <= 2e-8


@pytest.mark.parametrize("name", ["frobenius", "spectral", "max", "row-2/inf", "schatten-1.5", "entrywise-3"])
def test_middle_sizes_are_solved_too(name):
    problem = random_problem(classes=5, samples=30, features=40, seed=3)
    solution = st.max_margin(problem, Foreign(st.norm(name)))
    assert solution.status is Status.SOLVED
    assert solution.relative_gap <= 1e-8


@given(seed=some.integers(0, 2**32 - 1), scale=some.sampled_from([1e-150, 1.0, 1e150]))
@settings(max_examples=10)
def test_bounds_hold_and_units_do_not_matter(seed, scale):
    generator = np.random.default_rng(seed)
    X, y = generator.normal(size=(8, 6)), np.arange(8) % 3
    norm = Foreign(st.norm("row-3/1.5"))
    solution = st.max_margin(st.Classification(scale * X, y), norm)
    reference = st.max_margin(st.Classification(X, y), norm)
    assert solution.margin <= scale * reference.upper_bound * (1 + 1e-12)
    assert solution.upper_bound >= scale * reference.margin * (1 - 1e-12)


def test_data_that_cannot_be_separated_is_told():
    problem = st.Classification([[0.0, 1.0], [1.0, 1.0], [0.5, 1.0], [0.25, 1.0]], [0, 1, 0, 1])
    solution = st.max_margin(problem, WeightedMax(np.array([1.0, 3.0])))
    assert solution.status is Status.NOT_SEPARABLE
    assert solution.margin == 0


def test_the_method_can_be_named_for_every_norm():
    problem = random_problem(classes=3, samples=9, features=8)
    solution = st.max_margin(problem, "spectral", method="cutting-planes")
    assert solution.status is Status.SOLVED
    assert solution.method == "cutting planes"


@pytest.mark.torch
def test_tensors_are_solved_as_arrays():
    import torch

    problem = random_problem(classes=3, samples=9, features=8)
    twin = st.Classification(torch.asarray(problem.features.copy()), problem.labels)
    norm = Foreign(st.norm("frobenius"))
    assert st.max_margin(twin, norm).margin == st.max_margin(problem, norm).margin
