"""Where batches of one sample lead: bias directions (Theorem 4.9) and the field behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.arguments import real_number
from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument, InvalidData
from steepest.geometry import Norm, norm, norm_label
from steepest.losses import CROSS_ENTROPY, Loss, Samples, loss, residuals
from steepest.problem import Classification, as_problem

_BLOCK_ENTRIES = 1 << 21
_ALIKE = 1e-9
"""Entries of a direction that differ by less, relative to its largest, differ by rounding."""


def bias_direction(problem: Classification, norm_: Norm | str) -> np.ndarray:
    """Return the bias direction B of descent with batches of one sample, shape [k, d] (Definition 4.8).

    For orthogonal scale-skewed data, x_i = α_i e_{y_i} with α_i > 0 and d = k (or any other column for each
    class), a sample's gradient is a multiple of u_{y_i} e_{y_i}ᵀ, u_c = e_c - 1/k: by induction from W_0 = 0
    all wrong classes keep equal logits, with any loss that treats them alike (Lemma H.4). So each step
    follows D(u_{y_i} e_{y_i}ᵀ), whatever W and α_i are, and random reshuffling adds up

        B = (1/n) Σ_i D(u_{y_i} e_{y_i}ᵀ).

    For the max-norm that is (1/n) Σ (2 e_{y_i} - 1) e_{y_i}ᵀ, for Frobenius and every Schatten norm (1/n) Σ
    u_{y_i} e_{y_i}ᵀ / ‖u_{y_i}‖₂. By Theorem 4.9 W_t/‖W_t‖_F → B/‖B‖_F: the limit depends on the class
    counts alone. The paper states it for the max-norm and Frobenius. The induction needs of the norm that
    D(u_c e_cᵀ) moves the logits of all wrong classes alike, at the samples of every class; that is checked,
    and holds for every norm but those that treat rows unlike, such as norms of blocks of rows.

    Args:
        problem: the data.
        norm_: the norm of the descent.

    Raises:
        InvalidData: the data is not of that form; :func:`per_sample_bias` takes any data.
        InvalidArgument: the norm moves the logits of wrong classes apart; :func:`per_sample_bias` takes it.

    >>> problem = Classification([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], [0, 1, 1])
    >>> bias_direction(problem, "max").round(3)
    array([[ 0.333, -0.667],
           [-0.333,  0.667]])
    """
    directions = _class_directions(as_problem(problem), norm(norm_))
    counts = np.bincount(problem.labels, minlength=problem.n_classes)
    return np.tensordot(counts / problem.samples, directions, axes=1)


def bias_distance_bound(problem: Classification, norm_: Norm | str, initial_step_size: float) -> float:
    """Return 2 n η₀ max_i ‖D_i‖_F, which ‖W_t - R_t B‖_F is never above, R_t = Σ_{s<t} η_s.

    For batches of one sample without momentum, from W_0 = 0, with step sizes that do not increase and data
    on which the direction of each sample is a constant D_i (:func:`bias_direction`). Every epoch visits
    each sample once, so Σ (D_i - B) = 0 over it. With the last step size η' of an epoch taken off all of
    them, the epoch adds Σ_s (η_s - η') (D_{i(s)} - B) to W - R B, whose norm is at most n (η - η') max ‖D_i
    - B‖, where η is its first step size. Summed over epochs this telescopes to n (η₀ - η_e) max ‖D_i - B‖,
    η_e the first step size of the epoch that is not finished; that epoch adds at most n η_e max ‖D_i - B‖.
    So the distance is at most n η₀ max ‖D_i - B‖ ≤ 2 n η₀ max ‖D_i‖. Hence 1 - cosine to B vanishes as 1 /
    R_t²: an explicit form of Theorem 4.9, for any schedule.

    Args:
        problem: orthogonal scale-skewed data.
        norm_: the norm of the descent.
        initial_step_size: η₀, the largest step size.

    Raises:
        InvalidData: the data is not of that form.
        InvalidArgument: the norm moves the logits of wrong classes apart, or η₀ is not above 0.

    >>> problem = Classification([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], [0, 1, 1])
    >>> bias_distance_bound(problem, "frobenius", 0.1)
    0.6
    """
    initial = real_number("initial_step_size", initial_step_size, "give a number above 0", above=0)
    directions = _class_directions(as_problem(problem), norm(norm_))
    longest = float(np.sqrt(np.sum(directions**2, axis=(1, 2)).max()))
    return 2 * problem.samples * initial * longest


def per_sample_bias(
    problem: Classification, norm_: Norm | str, W: Any, loss_: Loss | str = CROSS_ENTROPY
) -> np.ndarray:
    """Return the mean direction of single samples, B(W) = (1/n) Σ_i D(-∇ℓ_i(W)), shape [k, d], on any data.

    Beyond the paper: on general data the directions of single samples depend on W, and so does their mean. An
    epoch of descent with batches of one sample moves W by about η n B(W), so a limit direction W̄ has to
    satisfy B(c W̄) ∥ W̄ for c → ∞; on orthogonal scale-skewed data B(W) is the constant
    :func:`bias_direction`. Nothing is proven here about convergence.

    A sample's gradient is a multiple of (e_y - p) xᵀ, where p are its residuals divided by their sum. For
    cross-entropy and the exponential loss p is the softmax of the negative margins over the wrong classes,
    and every loss with the exponential tail tends to that. This stays exact where residuals underflow.

    Args:
        problem: the data.
        norm_: the norm of the descent.
        W: weights, shape [k, d].
        loss_: the loss or its name.

    Raises:
        InvalidArgument: W is not one matrix of that shape.

    >>> problem = Classification([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]], [0, 1, 1])
    >>> W = 1e6 * np.eye(2)
    >>> bool(np.allclose(per_sample_bias(problem, "max", W), bias_direction(problem, "max")))
    True
    """
    weights = as_problem(problem).weights_like_features(W)
    if weights.ndim != 2:
        raise InvalidArgument("W", np.shape(W), "give one matrix of weights, shape [k, d]")
    features, norm_ = as_numpy(problem.features), norm(norm_)
    shares = as_numpy(residuals(loss(loss_), Samples.of(problem), weights).shares)
    columns = as_numpy(problem.one_hot) - shares
    total = np.zeros((problem.n_classes, problem.dimension))
    block = max(1, _BLOCK_ENTRIES // total.size)
    for start in range(0, problem.samples, block):
        part = slice(start, start + block)
        total += norm_.direction(columns[part, :, None] * features[part, None, :]).sum(axis=0)
    return total / problem.samples


def _class_directions(problem: Classification, norm_: Norm) -> np.ndarray:
    # The direction of any sample of each class, [k, k, d].
    columns = _class_columns(problem)
    k, d = problem.n_classes, problem.dimension
    towards = np.zeros((k, k, d))
    towards[np.arange(k), :, columns] = np.eye(k) - 1.0 / k
    directions = np.asarray(norm_.direction(towards))
    _require_equal_wrong_logits(norm_, directions, columns)
    return directions


def _require_equal_wrong_logits(norm_: Norm, directions: np.ndarray, columns: np.ndarray) -> None:
    # Samples of class c see column columns[c] alone, and there the wrong classes are all rows but c.
    for true, column in enumerate(columns):
        wrong = np.delete(directions[:, :, column], true, axis=1)
        if np.any(np.ptp(wrong, axis=1) > _ALIKE * np.abs(directions).max(axis=(1, 2))):
            remedy = "this norm moves the logits of wrong classes apart; use per_sample_bias at given weights"
            raise InvalidArgument("norm", norm_label(norm_), remedy)


def _class_columns(problem: Classification) -> np.ndarray:
    # The column of each class where every sample has one positive entry, in its class's own column.
    features, labels = as_numpy(problem.features), problem.labels
    columns = np.argmax(features, axis=1)
    single = (np.count_nonzero(features, axis=1) == 1) & (features[np.arange(len(labels)), columns] > 0)
    by_class = np.array([columns[labels == c][0] for c in range(problem.n_classes)])
    if single.all() and np.array_equal(by_class[labels], columns) and len(set(by_class)) == len(by_class):
        return by_class
    raise InvalidData(
        "problem",
        problem.name,
        "give orthogonal data, x_i = α_i e_{y_i} with α_i > 0, or use per_sample_bias for any data",
    )
