"""How well batches align with the full gradient on average: a condition on the batch size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import device

from steepest.arguments import whole_number
from steepest.arrays import as_numpy, namespace
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm
from steepest.losses import Loss, Samples, loss, normalized_residuals, residual_weights, residuals
from steepest.problem import Classification, as_problem
from steepest.theory.constants import batches_per_epoch, feature_radius
from steepest.theory.inputs import as_batch_sizes, require_parts

_SCALES = (0.0, 1.0, 4.0, 16.0, 64.0)
_PARTITIONS = 8
_MOST_PARTITIONS = 10_000


@dataclass(frozen=True)
class BatchAlignment:
    """The mean alignment of a batch size with the full gradient, see :func:`batch_alignment`."""

    batch_size: int
    """b, samples a batch."""
    batches: int
    """m, batches an epoch."""
    mean: np.ndarray
    """ρ̄_b(W), shape [...] for W [..., k, d]; over several partitions their mean."""
    standard_error: np.ndarray
    """Of ``mean``, from the spread between partitions, shape [...]; NaN for one partition, 0 for m = 1."""
    worst: np.ndarray
    """Smallest alignment of any batch, shape [...]."""


def batch_alignment(
    problem: Classification,
    norm_: Norm | str,
    batch_size: int | None,
    W: Any,
    *,
    loss_: Loss | str = "cross-entropy",
    partitions: int = _PARTITIONS,
    seed: int = 0,
) -> BatchAlignment:
    """Return ρ̄_b(W), the alignment ⟨∇L(W), D(∇L_B(W))⟩ / G(W) averaged over the batches B of a partition.

    If the next batch is any of the m batches of a partition with the same probability, one step from W
    without momentum or variance reduction has

        E Y(W') ≤ Y(W) - φ(W) (η ρ̄_b(W) - (e^{2Rη} - 1 - 2Rη)),        Y, φ as in ``realised_bound``,

    the mean over B of the forward gain. So descent on average needs ρ̄_b > 0 along the way, a condition on b
    at given W without randomness for a given partition; Theorem 4.1's ρ is its worst case, ρ ≤ ρ̄_b. For the
    full batch ρ̄ = ‖∇L‖_* / G ≥ γ. For two equal batches ρ̄ ≥ 0 always: m² ⟨∇L, mean D⟩ = Σ ‖∇L_B‖_* +
    Σ_{B≠B'} ⟨∇L_B', D_B⟩ ≥ (2 - m) Σ ‖∇L_B‖_*. In an epoch without
    replacement each batch is marginally as likely as any other, but the weights have met the earlier ones.

    Args:
        problem: the data.
        norm_: the norm of the descent.
        batch_size: b, or None for the full batch.
        W: weights [..., k, d].
        loss_: a loss or its name.
        partitions: how many random partitions are averaged; 1 for a statement about that one.
        seed: of the partitions.

    Raises:
        InvalidArgument: a batch size above the number of samples, or no partition.

    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> float(batch_alignment(problem, "max", 1, np.zeros((2, 1))).mean)
    2.0
    """
    problem, norm_, loss_ = as_problem(problem), norm(norm_), loss(loss_)
    m = batches_per_epoch(problem.samples, batch_size)
    b = problem.samples if batch_size is None else int(batch_size)
    partitions = whole_number("partitions", partitions, 1, at_most=_MOST_PARTITIONS)
    weights = problem.weights_like_features(W)
    ascent = as_numpy(problem.pair_sum(residual_weights(problem, loss_, weights)))
    if m == 1:
        size = as_numpy(norm_.dual(ascent))
        return BatchAlignment(b, 1, size, np.zeros_like(size), size)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    found = np.array(
        [
            [
                np.sum(ascent * _direction(problem, norm_, loss_, batch, weights), axis=(-2, -1))
                for batch in np.split(rng.permutation(problem.samples), range(b, problem.samples, b))
            ]
            for _ in range(partitions)
        ]
    )
    means = found.mean(axis=1)
    spread = np.full(means.shape[1:], np.nan)
    if partitions > 1:
        spread = means.std(axis=0, ddof=1) / np.sqrt(partitions)
    return BatchAlignment(b, m, means.mean(axis=0), spread, found.min(axis=(0, 1)))


@dataclass(frozen=True)
class BatchCondition:
    """ρ̄_b on the ray of a max-margin solution for several batch sizes, see :func:`batch_condition`."""

    margin: float
    """γ of the solution."""
    scales: tuple[float, ...]
    """Margins of the weights on the ray, in units of 1: W = scale · W* / γ."""
    rows: tuple[BatchAlignment, ...]
    """One for each batch size."""
    worst_case: tuple[float, ...]
    """ρ = γ - 4 (m-1) R for each row."""

    @property
    def smallest(self) -> int | None:
        """The smallest batch size in the table from which on ρ̄_b > 0 at every scale; None if there is none.

        By more than two standard errors, so that the partitions drawn do not decide.
        """
        smallest = None
        for row in sorted(self.rows, key=lambda row: -row.batch_size):
            if not np.all(row.mean > 2.0 * np.nan_to_num(row.standard_error)):
                break
            smallest = row.batch_size
        return smallest


def batch_condition(
    problem: Classification,
    norm_: Norm | str,
    solution: Any,
    batch_sizes: Iterable[int] | None = None,
    *,
    loss_: Loss | str = "cross-entropy",
    partitions: int = _PARTITIONS,
    seed: int = 0,
) -> BatchCondition:
    """Return ρ̄_b at W = s W* / γ for margins s = 0, 1, 4, 16, 64, beside the worst case of Theorem 4.1.

    ρ̄_b > 0 there is what it takes to go on descending where the theory wants the run to be. It is no proof
    that a run gets there; its own alignments are in :func:`~steepest.theory.realised_bound`.

    Args:
        problem: the data.
        norm_: the norm of the descent.
        solution: a max-margin solution in that norm.
        batch_sizes: by default 1, 2, 5, 10, 20, 50, ... up to n.
        loss_: a loss or its name.
        partitions: how many random partitions are averaged.
        seed: of the partitions.

    Raises:
        InvalidArgument: the solution's margin is not positive, or a batch size cannot be used.

    >>> import steepest as st
    >>> problem = st.datasets.gaussian(classes=2, samples_per_class=4, features=20, seed=1)
    >>> solution = st.max_margin(problem, "frobenius")
    >>> found = batch_condition(problem, "frobenius", solution, [1, 8])
    >>> bool(
    ...     found.rows[0].mean.min() > 0 > found.worst_case[0]
    ... )  # single samples: at these weights, in the worst case
    True
    """
    problem = as_problem(problem)
    require_parts("solution", solution, ("margin", "weights"), "give a MaxMarginSolution")
    margin = float(solution.margin)
    if not margin > 0:
        raise InvalidArgument("solution", solution, "give a solution of a positive margin")
    sizes = (
        _usual_sizes(problem.samples) if batch_sizes is None else as_batch_sizes(batch_sizes, problem.samples)
    )
    ray = np.asarray(_SCALES)[:, None, None] * (np.asarray(solution.weights) / margin)
    radius = feature_radius(problem, norm_)
    rows = tuple(
        batch_alignment(problem, norm_, size, ray, loss_=loss_, partitions=partitions, seed=seed)
        for size in sizes
    )
    worst = tuple(margin - 4.0 * (row.batches - 1) * radius for row in rows)
    return BatchCondition(margin, _SCALES, rows, worst)


def _direction(problem: Classification, norm_: Norm, loss_: Loss, batch: np.ndarray, weights: Any) -> Any:
    # From the batch's own residuals: they may all be tiny beside the rest of the data.
    indices = namespace(problem.features).asarray(batch, device=device(problem.features))
    samples = Samples.of(problem).take(indices)
    q = as_numpy(normalized_residuals(residuals(loss_, samples, weights)))
    towards = np.where(as_numpy(samples.one_hot), q.sum(axis=-1, keepdims=True), -q)
    return as_numpy(norm_.direction(np.swapaxes(towards, -2, -1) @ as_numpy(samples.features)))


def _usual_sizes(samples: int) -> list[int]:
    sizes = [first * 10**power for power in range(len(str(samples))) for first in (1, 2, 5)]
    return [*(size for size in sizes if size < samples), samples]
