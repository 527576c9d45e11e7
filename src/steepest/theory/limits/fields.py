"""The mean field F(W) = E_B[D(-∇L_B(W))] and its Jacobian: exact in Frobenius, smoothed in the max-norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from steepest.arrays import as_numpy
from steepest.geometry import Entrywise, Norm, same_norm
from steepest.losses import Loss
from steepest.problem import Classification
from steepest.theory.limits.batches import Batches
from steepest.theory.limits.entries import batch_signs, signs_jacobian
from steepest.theory.limits.pulls import Pulls, pulls

__all__ = ["Field", "FieldAt", "field_of", "is_smoothed"]

_CHUNK = 1 << 22
_FROBENIUS, _MAX = Entrywise(2), Entrywise(np.inf)


@dataclass(frozen=True)
class Data:
    """What fields read of a problem, as plain arrays."""

    features: np.ndarray
    one_hot: np.ndarray
    log_weights: np.ndarray | None

    @classmethod
    def of(cls, problem: Classification) -> Data:
        """Return the arrays of a problem."""
        weights = problem.log_sample_weight
        return cls(
            as_numpy(problem.features),
            as_numpy(problem.one_hot),
            None if weights is None else as_numpy(weights),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weights, [k, d]."""
        return self.one_hot.shape[1], self.features.shape[1]


@dataclass(frozen=True)
class FieldAt:
    """The field at some weights: its value [k, d], and its Jacobian when it is asked for."""

    value: np.ndarray
    jacobian: Callable[[], np.ndarray]
    """Return ∂ F / ∂ W, shape [k d, k d], in row-major order of the entries."""


@dataclass(frozen=True)
class Field:
    """The mean field of a norm over some batches, as a function of the weights."""

    data: Data
    batches: Batches
    loss: Loss
    at_pulls: Callable[[Data, Batches, Pulls, float], FieldAt]

    def at(self, W: np.ndarray, width: float) -> FieldAt:
        """Return the field at W [k, d]; ``width`` is that of a sign, where the norm's direction has any."""
        found = pulls(self.loss, self.data.features @ W.T, self.data.one_hot, self.data.log_weights)
        return self.at_pulls(self.data, self.batches, found, width)


def field_of(problem: Classification, norm_: Norm, loss_: Loss, batches: Batches) -> Field | None:
    """Return the mean field of a norm, or None where none is known."""
    if same_norm(norm_, _FROBENIUS):
        return Field(Data.of(problem), batches, loss_, _frobenius)
    if same_norm(norm_, _MAX):
        return Field(Data.of(problem), batches, loss_, _max)
    return None


def is_smoothed(norm_: Norm) -> bool:
    """Return whether the field of a norm depends on a width of signs."""
    return same_norm(norm_, _MAX)


def _frobenius(data: Data, batches: Batches, pull: Pulls, _width: float) -> FieldAt:
    # Within a batch everything is relative to its largest pull.
    weights = batches.ratios(pull.largest)
    ratios = weights.data
    k = data.shape[0]
    sums = np.stack([weights @ (pull.relative[:, [c]] * data.features) for c in range(k)], axis=1)
    sizes = np.sqrt(np.einsum("mkd,mkd->m", sums, sums))
    directions = sums / sizes[:, None, None]
    value = np.tensordot(batches.shares, directions, axes=1)

    def jacobian() -> np.ndarray:
        slopes = pull.relative[:, :, None] * pull.slopes
        pulled = batches.shares / sizes
        straight = _products(data.features, (weights.T @ pulled)[:, None, None] * slopes)
        along = _along(data, batches, directions, slopes) * ratios[:, None]
        turned = np.stack(
            [
                sparse.csr_array((along[:, c], batches.samples, batches.members.indptr), weights.shape)
                @ data.features
                for c in range(k)
            ],
            axis=1,
        )
        flat = len(sizes), k * data.shape[1]
        return straight - (pulled[:, None] * directions.reshape(flat)).T @ turned.reshape(flat)

    return FieldAt(value, jacobian)


def _along(data: Data, batches: Batches, directions: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return ⟨D_B, ∂(T_i x_iᵀ)/∂z_ic'⟩ for every sample of every batch, shape [M b, k]."""
    rows, samples = batches.rows, batches.samples
    found = np.empty((len(rows), slopes.shape[2]))
    step = max(1, _CHUNK // (data.features.shape[1] * slopes.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        seen = np.einsum("rcj,rj->rc", directions[rows[part]], data.features[samples[part]])
        found[part] = np.einsum("rc,rcd->rd", seen, slopes[samples[part]])
    return found


def _max(data: Data, batches: Batches, pull: Pulls, width: float) -> FieldAt:
    signs = batch_signs(data.features, data.one_hot, batches, pull, width)
    value = np.tensordot(batches.shares, signs.values, axes=1)
    return FieldAt(value, lambda: _products_by_entry(data.features, signs_jacobian(signs), pull.slopes))


def _products(X: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return Σ_i slopes_i[c, c'] x_ij x_ij' as [k d, k d]."""
    d, k = X.shape[1], slopes.shape[1]
    blocks = np.empty((k, d, k, d))
    for c in range(k):
        for other in range(k):
            blocks[c, :, other, :] = (X * slopes[:, c, other, None]).T @ X
    return blocks.reshape(k * d, k * d)


def _products_by_entry(X: np.ndarray, parts: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return Σ_i parts_icj slopes_i[c, c'] x_ij' as [k d, k d]."""
    d, k = X.shape[1], slopes.shape[1]
    blocks = np.empty((k, d, k, d))
    for c in range(k):
        for other in range(k):
            blocks[c, :, other, :] = parts[:, c].T @ (X * slopes[:, c, other, None])
    return blocks.reshape(k * d, k * d)
