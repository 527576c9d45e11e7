"""The mean field F(W) = E_B[D(-∇L_B(W))] and its derivative: exact in Frobenius, smoothed in the max-norm."""

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
from steepest.theory.limits.slopes import Slopes

__all__ = ["Field", "FieldAt", "field_of", "is_smoothed"]

_CHUNK = 1 << 20
_TRACE = 1e-25
"""Of a batch's largest pull: what is below it is not seen in float64, unless γ is 1e-9 of the features."""
_MOST_FULL = 1 << 25
_ROUNDING = 1e-13
"""Of a derivative's largest part; Newton's method needs no more."""
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
    """The field at some weights: its value [k, d], and its derivative when it is asked for."""

    value: np.ndarray
    slopes: Callable[[], Slopes]


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
    weights = _without_traces(batches.ratios(pull.largest))
    k, d = data.shape
    directions = np.empty((k, len(batches.shares), d))
    squares = np.zeros(len(batches.shares))
    summing = weights.toarray() if _is_full(weights, len(data.features)) else weights
    for c in range(k):
        directions[c] = summing @ (pull.relative[:, [c]] * data.features)
        squares += np.einsum("md,md->m", directions[c], directions[c])
    # D(0) = 0: a batch whose gradients cancel pulls nowhere, and has no derivative to add.
    inverse = np.divide(1.0, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)
    directions *= inverse[None, :, None]
    value = batches.shares @ directions
    return FieldAt(value, lambda: _turning(data, weights, pull, directions, batches.shares * inverse))


def _turning(
    data: Data, weights: sparse.csr_array, pull: Pulls, directions: np.ndarray, pulled: np.ndarray
) -> Slopes:
    """Return the derivative of Σ_B share_B S_B / ‖S_B‖: that of S_B without its part along S_B.

    Args:
        data: the samples.
        weights: of the samples of each batch, relative to its largest, shape [M, n].
        pull: of each sample.
        directions: S_B / ‖S_B‖ by class, shape [k, M, d].
        pulled: share_B / ‖S_B‖, shape [M]; 0 where S_B is.
    """
    X, (k, d), n = data.features, data.shape, len(data.features)
    weights = _without_traces(weights, _ROUNDING)
    # ∂(T_i x_iᵀ)/∂z_ic' has the column changes_i[:, c'] in place of T_i.
    changes = pull.relative[:, :, None] * pull.slopes()
    straight = weights.T @ pulled
    rows = np.repeat(np.arange(len(pulled)), np.diff(weights.indptr))
    along = _along(X, rows, weights, directions, changes)
    by_batch = (pulled[rows] * weights.data)[:, None]
    turned = _without_traces(
        sparse.csr_array(
            (
                (by_batch * along).ravel(),
                (weights.indices[:, None] * k + np.arange(k)).ravel(),
                weights.indptr * k,
            ),
            (len(pulled), n * k),
        ),
        _ROUNDING,
    )
    by_column = turned.T.tocsr()

    def sizes() -> np.ndarray:
        squares = np.sum(changes**2, axis=1) * np.sum(X**2, axis=1)[:, None]
        left = by_batch * np.sqrt(np.maximum(squares[weights.indices] - along**2, 0.0))
        return np.stack([np.bincount(weights.indices, left[:, c], n) for c in range(k)], axis=1)

    def push(logits: np.ndarray) -> np.ndarray:
        moved = np.einsum("i,icd,id->ic", straight, changes, logits).T @ X
        return moved - (turned @ logits.ravel()) @ directions

    def columns(samples: np.ndarray, classes: np.ndarray) -> np.ndarray:
        moved = (straight[samples, None] * changes[samples, :, classes])[:, :, None] * X[samples, None, :]
        chosen = by_column[samples * k + classes]
        for c in range(k):
            moved[:, c] -= chosen @ directions[c]
        return moved

    def matrix() -> np.ndarray:
        straights = _products(X, straight[:, None, None] * changes).reshape(k * d, k * d)
        # Once weights are large few batches still turn.
        live = np.flatnonzero(np.diff(turned.indptr))
        turning = turned[live].T.tocsr()
        ends = np.concatenate([turning[c::k].T @ X for c in range(k)], axis=1)
        straights -= directions[:, live].transpose(1, 0, 2).reshape(len(live), k * d).T @ ends
        return straights

    return Slopes(X, data.one_hot.argmax(axis=1), push, columns, sizes, k * d, matrix)


def _along(
    X: np.ndarray, rows: np.ndarray, weights: sparse.csr_array, directions: np.ndarray, changes: np.ndarray
) -> np.ndarray:
    """Return ⟨D_B, ∂(T_i x_iᵀ)/∂z_ic'⟩ of the samples of all batches, shape [., k]."""
    k, _, d = directions.shape
    samples, full = weights.indices, _is_full(weights, len(X))
    seen = np.empty((len(rows), k))
    step = max(1, _CHUNK // d)
    for c in range(k):
        if full:
            seen[:, c] = (directions[c] @ X.T)[rows, samples]
            continue
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            seen[part, c] = np.einsum("rj,rj->r", directions[c, rows[part]], X[samples[part]])
    along = np.empty((len(rows), k))
    step = max(1, _CHUNK // k**2)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        along[part] = np.einsum("rc,rcd->rd", seen[part], changes[samples[part]])
    return along


def _is_full(weights: sparse.csr_array, samples: int) -> bool:
    """Return whether products with all of a matrix take less time than those with its entries."""
    every = (len(weights.indptr) - 1) * samples
    return weights.nnz > every / 16 and every < _MOST_FULL


def _without_traces(matrix: sparse.csr_array, least: float = _TRACE) -> sparse.csr_array:
    """Return a matrix without what is at most ``least`` of its largest entry."""
    kept = np.abs(matrix.data) > least * np.abs(matrix.data).max(initial=0.0)
    ends = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sparse.csr_array((matrix.data[kept], matrix.indices[kept], ends), matrix.shape)


def _max(data: Data, batches: Batches, pull: Pulls, width: float) -> FieldAt:
    signs = batch_signs(data.features, data.one_hot, batches, pull, width)
    value = np.tensordot(batches.shares, signs.values, axes=1)
    return FieldAt(value, lambda: _of_signs(data, signs_jacobian(signs), pull.slopes()))


def _of_signs(data: Data, parts: np.ndarray, slopes: np.ndarray) -> Slopes:
    """Return the derivative whose entries are Σ_i parts_icj slopes_i[c, c'] x_ij'."""
    X, labels = data.features, data.one_hot.argmax(axis=1)

    def sizes() -> np.ndarray:
        return np.sqrt(np.einsum("ic,icd->id", np.einsum("icj,icj->ic", parts, parts), slopes**2))

    def push(logits: np.ndarray) -> np.ndarray:
        moved = np.einsum("icd,id->ic", slopes, logits)
        return np.einsum("icj,ic->cj", parts, moved)

    def columns(samples: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return parts[samples] * slopes[samples, :, classes][:, :, None]

    return Slopes(
        X, labels, push, columns, sizes, parts[0].size, lambda: _products_by_entry(X, parts, slopes)
    )


def _products(X: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return Σ_i slopes_i[c, c'] x_ij x_ij' as [k, d, k, d]; slopes are symmetric, as gradients' are."""
    d, k = X.shape[1], slopes.shape[1]
    blocks = np.empty((k, d, k, d))
    least = _ROUNDING * np.abs(slopes).max(initial=0.0)
    for c in range(k):
        for other in range(c + 1):
            matter = np.abs(slopes[:, c, other]) > least
            part = X[matter]
            blocks[c, :, other, :] = (part * slopes[matter, c, other, None]).T @ part
            blocks[other, :, c, :] = blocks[c, :, other, :].T
    return blocks


def _products_by_entry(X: np.ndarray, parts: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return Σ_i parts_icj slopes_i[c, c'] x_ij' as [k d, k d]."""
    d, k = X.shape[1], slopes.shape[1]
    blocks = np.empty((k, d, k, d))
    for c in range(k):
        for other in range(k):
            blocks[c, :, other, :] = parts[:, c].T @ (X * slopes[:, c, other, None])
    return blocks.reshape(k * d, k * d)
