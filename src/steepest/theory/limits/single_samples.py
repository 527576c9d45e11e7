"""Batches of one sample beyond orthogonal data: directions that no weights change (extends Theorem 4.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.arguments import real_number
from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument
from steepest.geometry import Entrywise, Norm, norm, norm_label, same_norm
from steepest.problem import Classification, as_problem
from steepest.theory.bias import bias_direction, bias_distance_bound

__all__ = [
    "SingleSampleBias",
    "batch_one_direction",
    "batch_one_distance_bound",
    "constant_directions",
    "has_constant_directions",
    "single_sample_bias",
]

_MAX = Entrywise(np.inf)
_ROUNDING = 2.0**-50


@dataclass(frozen=True)
class SingleSampleBias:
    """Where descent with batches of one sample goes, whatever the loss and the weights."""

    B: np.ndarray
    """The mean direction, shape [k, d]."""
    margin: float
    """Smallest margin of B itself, in units of the features."""
    separates: bool | None
    """Whether B separates the data, beyond rounding; None if rounding hides it. The loss → 0 just then."""
    samples: int
    """n."""
    largest_direction: float
    """max_i ‖D_i‖_F."""

    def distance_bound(self, largest_step: float) -> float:
        """Return n η max_i ‖D_i‖_F, which bounds ‖W_t - B R_t‖_F at every step t, from W_0 = 0.

        For step sizes that never increase, and ``largest_step`` their first and largest, η = η_0. Within an
        epoch that starts at s let i_0, ..., i_{n-1} be the order, D_i the directions and Δ_i = D_i - B, so
        that Σ_i Δ_i = 0. By parts,

            Σ_{q<n} η_{s+q} Δ_{i_q} = Σ_{q<n-1} (η_{s+q} - η_{s+q+1}) (Δ_{i_0} + ... + Δ_{i_q}),

        where a sum S_q of q of them has ‖S_q‖_F ≤ 2 min(q, n - q) max‖D_i‖ ≤ n max‖D_i‖, since
        ‖Δ_i‖ ≤ 2 max‖D_i‖ and the others sum to -S_q. Over all whole epochs the differences of step sizes add
        up to at most η_0 - η_s, and a last, unfinished epoch that starts at s adds at most η_s n max‖D_i‖ in
        the same way.
        """
        return self.samples * largest_step * self.largest_direction


def has_constant_directions(problem: Classification, norm_: Norm) -> bool:
    """Return whether the direction of every single sample is the same at all weights.

    -∇ℓ_i = Σ_c r_ic (e_y - e_c) x_iᵀ with r_ic > 0. For k = 2 that is a positive multiple of one matrix. In
    the max-norm only its signs count, and these are those of (2 e_y - 1) x_iᵀ for any k.
    """
    return problem.n_classes == 2 or same_norm(norm_, _MAX)


def constant_directions(problem: Classification, norm_: Norm, part: slice) -> np.ndarray:
    """Return the directions of some samples, shape [., k, d], where those are the same at all weights."""
    X, hot = as_numpy(problem.features), as_numpy(problem.one_hot)
    return np.asarray(norm_.direction(np.where(hot, 1.0, -1.0)[part, :, None] * X[part, None, :]))


def single_sample_bias(problem: Classification, norm_: Norm | str) -> SingleSampleBias:
    """Return B = (1/n) Σ_i D_i for batches of one, on any data: k = 2 in any norm, any k in the max-norm.

    Where no weights change the direction of a sample, W_t is a sum of η_s D_{i_s}, and random reshuffling
    makes it B R_t up to a bounded rest (:meth:`SingleSampleBias.distance_bound`), R_t = Σ_{s<t} η_s. So as
    R_t → ∞ all margins become R_t times those of B: the loss goes to 0 if B separates the data, and does not
    if B has a negative margin. For k = 2

        B = (1/n) Σ_i D((e_{y_i} - e_{c_i}) x_iᵀ),

    with c_i the other class; in the max-norm B = (1/n) Σ_i (2 e_{y_i} - 1) sign(x_i)ᵀ for any k. The data
    need not be separable. Weights of samples change nothing.

    Args:
        problem: the samples x_i with their labels y_i, features of shape [n, d].
        norm_: the norm of the steps, or its name.

    Raises:
        InvalidArgument: the norm is another and there are three classes or more;
            :func:`~steepest.theory.per_sample_bias` takes it at given weights.

    >>> problem = Classification([[2.0, 1.0], [-1.0, 1.0], [-2.0, -3.0]], [0, 1, 1])
    >>> found = single_sample_bias(problem, "max")
    >>> found.B.round(3).tolist()
    [[1.0, 0.333], [-1.0, -0.333]]
    >>> found.separates, round(found.margin, 3)
    (True, 1.333)
    """
    problem, norm_ = as_problem(problem), norm(norm_)
    if not has_constant_directions(problem, norm_):
        remedy = (
            "with 3 classes or more directions depend on the weights; use the max-norm or limit_direction"
        )
        raise InvalidArgument("norm", norm_label(norm_), remedy)
    X = as_numpy(problem.features)
    total, largest = np.zeros((problem.n_classes, problem.dimension)), 0.0
    for start in range(0, problem.samples, 256):
        directions = constant_directions(problem, norm_, slice(start, start + 256))
        total += directions.sum(axis=0)
        largest = max(largest, float(np.sqrt(np.sum(directions**2, axis=(1, 2))).max()))
    B = total / problem.samples
    margins = np.asarray(problem.pair_margins(B))
    # Of a margin's value and of B, whose entries are means of n directions.
    slack = _ROUNDING * (problem.dimension + problem.samples) * largest * np.sum(np.abs(X), axis=1)[:, None]
    separates = True if (margins > slack).all() else False if (margins < -slack).any() else None
    return SingleSampleBias(B, float(margins.min()), separates, problem.samples, largest)


def batch_one_direction(problem: Classification, norm_: Norm | str) -> np.ndarray:
    """Return the B that batches of one follow, shape [k, d], wherever it is known in closed form.

    :func:`single_sample_bias` where no weights change the direction of a sample, otherwise
    :func:`~steepest.theory.bias_direction` on the orthogonal data of Theorem 4.9.

    Args:
        problem: the data, which need not be separable where no weights change a direction.
        norm_: the norm of the steps, or its name.

    Raises:
        InvalidArgument: neither is known.

    >>> batch_one_direction(Classification([[2.0], [-1.0], [-3.0]], [0, 1, 1]), "frobenius").round(3).tolist()
    [[0.707], [-0.707]]
    """
    if has_constant_directions(as_problem(problem), norm(norm_)):
        return single_sample_bias(problem, norm_).B
    return bias_direction(problem, norm_)


def batch_one_distance_bound(problem: Classification, norm_: Norm | str, initial_step_size: float) -> float:
    """Return what ‖W_t - B R_t‖_F is never above for batches of one, wherever B is known in closed form.

    :meth:`SingleSampleBias.distance_bound` where no weights change the direction of a sample, otherwise
    :func:`~steepest.theory.bias_distance_bound` on the orthogonal data of Theorem 4.9.

    Args:
        problem: the data, as for :func:`batch_one_direction`.
        norm_: the norm of the steps, or its name.
        initial_step_size: the largest step size η_0, where step sizes never increase.

    Raises:
        InvalidArgument: neither is known, or η_0 is not above 0.

    >>> round(
    ...     batch_one_distance_bound(Classification([[2.0], [-1.0], [-3.0]], [0, 1, 1]), "frobenius", 0.1), 6
    ... )
    0.3
    """
    initial = real_number("initial_step_size", initial_step_size, "give a number above 0", above=0)
    if has_constant_directions(as_problem(problem), norm(norm_)):
        return single_sample_bias(problem, norm_).distance_bound(initial)
    return bias_distance_bound(problem, norm_, initial)
