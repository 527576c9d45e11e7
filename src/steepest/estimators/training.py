"""What estimators train on: validated rows with a class and a weight each, equal rows taken together.

Rows are put in an order of their own, so that a fit depends neither on the order in which they come nor on
whether a sample comes twice or with twice the weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from steepest.arrays import Array, as_numpy, plain_array
from steepest.errors import InvalidArgument, InvalidData
from steepest.estimators.compatibility import validate_data

__all__ = ["Training", "checked_features", "checked_samples", "class_shares", "distinct", "encoded_labels"]

_CHUNK = 1 << 22
"""Entries whose bits are mixed at a time: 32 MB."""
_READ = 1 << 23
"""Entries of a mapped file up to which it is taken like an array: joblib maps those of its workers."""


@dataclass(frozen=True)
class Training:
    """Rows with the index of their class and a positive weight each."""

    features: Array
    """Features, shape [m, d]: an array, a tensor, or a sparse matrix in CSR form."""
    labels: np.ndarray
    """Class of each row, shape [m], an index into ``classes``."""
    classes: np.ndarray
    """The labels as they were given, sorted, shape [k]."""
    weights: np.ndarray
    """Weight of each row, shape [m], positive."""
    rows: np.ndarray
    """Row that each sample became, shape [n]; -1 for samples of weight 0, which are left out."""
    shares: np.ndarray
    """Share of its row's weight that each sample has, shape [n]."""

    @property
    def class_shares(self) -> np.ndarray:
        """Share of all weight that each class has, shape [k]."""
        return class_shares(self.labels, self.weights, len(self.classes))

    def of_samples(self, values: np.ndarray) -> np.ndarray:
        """Return values of rows [m, ...] spread over the samples [n, ...] that they stand for."""
        spread = values[self.rows] * self.shares.reshape(-1, *[1] * (values.ndim - 1))
        return np.where((self.rows >= 0).reshape(-1, *[1] * (values.ndim - 1)), spread, 0.0)


def class_shares(labels: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of all weight that each class has, shape [k], for indices and weights [n]."""
    masses = np.bincount(labels, weights, minlength=classes)
    return masses / masses.sum()


def checked_features(estimator: Any, X: Any) -> Array:
    """Return the rows to be predicted, as scikit-learn checks them against those of the fit."""
    X = _without_mask(X, "X")
    return validate_data(estimator, X, accept_sparse="csr", dtype="numeric", reset=False)


def _without_mask(values: Any, argument: str) -> Any:
    """Return values as they are, a masked array without masked entries as a plain one; checks drop masks."""
    return plain_array(values, argument) if isinstance(values, np.ma.MaskedArray) else values


def checked_samples(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, reset: bool = True
) -> tuple[Array, np.ndarray, np.ndarray]:
    """Return features [n, d], labels [n] as they were given, and weights [n] of at least 0.

    Raises:
        ValueError: as scikit-learn refuses features and labels; InvalidArgument, which is one, for weights
            and masked entries.
    """
    given = X = _without_mask(X, "X")
    y = _without_mask(y, "y")
    X, y = validate_data(estimator, X, y, accept_sparse="csr", dtype="numeric", reset=reset)
    check_classification_targets(y)
    # The check returns a view that no longer says that it is of a file.
    X = given if isinstance(given, np.memmap) and np.may_share_memory(given, X) else X
    y = as_numpy(y)
    return X, y, _checked_weights(sample_weight, len(y))


def _checked_weights(sample_weight: Any, samples: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(samples)
    if isinstance(sample_weight, Real):
        sample_weight = np.full(samples, sample_weight)
    weights = as_numpy(
        check_array(
            _without_mask(sample_weight, "sample_weight"),
            dtype="float64",
            ensure_2d=False,
            allow_nd=True,
            input_name="sample_weight",
        )
    )
    if weights.shape != (samples,):
        remedy = f"give one weight for each of the {samples} samples, shape [{samples}]"
        raise InvalidArgument("sample_weight", weights.shape, remedy)
    if np.any(weights < 0):
        position = int(np.argmin(weights))
        raise InvalidArgument(
            f"sample_weight[{position}]", float(weights[position]), "give weights of at least 0"
        )
    if not np.any(weights):
        raise InvalidArgument("sample_weight", 0.0, "all weights are zero: give some samples a weight")
    return weights


def encoded_labels(
    y: np.ndarray, weights: np.ndarray, class_weight: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes [k] with weight, index of each sample's class [n], and weights with those of classes.

    The index of samples of weight 0 may be that of another class.

    Raises:
        InvalidData: fewer than two classes have samples of positive weight.
        ValueError: class weights that scikit-learn would refuse.
    """
    every, codes = np.unique(y, return_inverse=True)
    weights = weights * _class_weights(class_weight, every, y, codes, weights)[codes]
    alive = np.bincount(codes, weights, minlength=len(every)) > 0
    classes = every[alive]
    if len(classes) < 2:
        given = classes.tolist()
        remedy = f"give samples of at least two classes with weight; got {len(classes)} class"
        raise InvalidData("y", given, remedy)
    return classes, (np.cumsum(alive) - 1)[codes].astype(np.int64), weights


def _class_weights(
    class_weight: Any, classes: np.ndarray, y: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        # By weight and not by number, so that a sample of weight 2 counts as two.
        masses = np.bincount(codes, weights, minlength=len(classes))
        present = masses > 0
        return np.divide(masses.sum() / present.sum(), masses, out=np.zeros(len(classes)), where=present)
    found = compute_class_weight(class_weight, classes=classes, y=y)
    if not (np.all(np.isfinite(found)) and np.all(found >= 0)):
        raise InvalidArgument("class_weight", class_weight, "give finite weights of at least 0")
    return found


def distinct(X: Array, labels: np.ndarray, classes: np.ndarray, weights: np.ndarray) -> Training:
    """Return samples of positive weight, equal rows of a class taken together, in an order of their own.

    Rows of a large file that is mapped into memory stay where they are, one for each sample.
    """
    if isinstance(X, np.memmap) and X.size > _READ and np.all(weights > 0):
        return Training(X, labels, classes, weights, np.arange(len(labels)), np.ones(len(labels)))
    used = np.flatnonzero(weights > 0)
    keys = _keys(X)[used]
    order = used[np.lexsort((labels[used], keys))]
    sorted_keys = np.sort(keys)
    same = (sorted_keys[1:] == sorted_keys[:-1]) & (labels[order][1:] == labels[order][:-1])
    same[same] = _rows_equal(X, order[:-1][same], order[1:][same])
    starts = np.flatnonzero(np.r_[True, ~same])
    total = np.add.reduceat(weights[order], starts)
    rows, shares = np.full(len(labels), -1), np.zeros(len(labels))
    rows[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    shares[order] = weights[order] / total[rows[order]]
    first = order[starts]
    return Training(X[first], labels[first], classes, total, rows, shares)


def _rows_equal(X: Array, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if sparse.issparse(X):
        return np.diff((X[left] != X[right]).tocsr().indptr) == 0
    host = as_numpy(X)
    return np.all(host[left] == host[right], axis=1)


def _keys(X: Array) -> np.ndarray:
    """Return a number for each row, shape [n]: the same for equal rows, dense or sparse, hardly for others.

    It is Σ_j mix(x_ij) · odd_j modulo 2^64, in whole numbers: exact wherever the row stands.
    """
    d = X.shape[1]
    odd = np.random.default_rng(0).integers(0, 2**63, d, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    if sparse.issparse(X):
        terms = _mixed(X.data) * odd[X.indices]
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
        return sums[X.indptr[1:]] - sums[X.indptr[:-1]]
    host, chunk = as_numpy(X), max(1, _CHUNK // d)
    return np.concatenate(
        [
            np.sum(_mixed(host[first : first + chunk]) * odd, axis=1, dtype=np.uint64)
            for first in range(0, len(host), chunk)
        ]
    )


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return whole numbers all of whose bits depend on the bits of the values; 0 for 0 of either sign."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    mixed = bits * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(29))
