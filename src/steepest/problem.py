"""The classification problem: validated features and labels, margins, and the sums that certify them."""

from __future__ import annotations

import copy
import hashlib
from functools import cached_property, partial
from typing import Any

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, as_floating, as_numpy, namespace
from steepest.doubled import head
from steepest.errors import InvalidArgument
from steepest.features import Block, DenseRows, Rows, rows_elsewhere, validated_array
from steepest.geometry import Norm, norm
from steepest.labels import encoded_labels

_LEAST_SHARE = 1e-12
"""Of the largest weight: descent leaves out residuals of e^-80 of the largest one, whatever they weigh."""


class Classification:
    """Samples with a class each, as the problem that descent and max margins are about.

    Args:
        X: features, shape [n, d]: an array, a tensor or nested lists, kept in float64, on their device. A
            memory map of float32 or float64 (``np.load(file, mmap_mode="r")``) stays in its file, and a SciPy
            sparse array stays sparse: they are read in blocks.
        y: labels, shape [n], of any dtype that sorts: numbers, booleans or strings. At least two
            different ones.
        name: how results and messages call this problem.
        classes: every class there is, where the samples may be of some of them alone, as batches for descent
            are; None takes the classes of ``y``, at least two.

    Raises:
        InvalidData: a wrong shape, a value that is NaN or infinite (with its position), features that are no
            numbers or that float64 would round (integers above 2^53), masked entries, fewer than
            two classes, or labels that are missing or do not sort.

    Weights W have shape [k, d] (row c belongs to class c), with any leading batch dimensions; the logits
    are X Wᵀ. The margin of a pair (i, c), c ≠ y_i, is (e_{y_i} - e_c)ᵀ W x_i.

    >>> problem = Classification([[1.0, 0.0], [0.0, 2.0]], ["cat", "dog"])
    >>> problem.classes.tolist(), problem.labels.tolist()
    (['cat', 'dog'], [0, 1])
    >>> float(problem.margin(np.eye(2)))
    1.0
    """

    labels: np.ndarray
    """Class of each sample as an index into ``classes``, shape [n], int64."""
    classes: np.ndarray
    """The labels as they were given, sorted, shape [k]."""
    name: str
    sample_weight: np.ndarray | None
    """Weights of the samples in the loss, shape [n], of mean 1; None where all count alike."""

    def __init__(self, X: Any, y: Any, name: str | None = None, *, classes: Any = None):
        self._elsewhere = rows_elsewhere(X)
        self._features = validated_array(X) if self._elsewhere is None else None
        known: Any = self._features if self._elsewhere is None else self._elsewhere
        self._shape: tuple[int, int] = (int(known.shape[0]), int(known.shape[1]))
        self.classes, self.labels = encoded_labels(y, self.samples, classes)
        if name is not None and not isinstance(name, str):
            raise InvalidArgument("name", name, "give a text")
        self.name = name or "data"
        self.sample_weight = None

    def __repr__(self) -> str:
        sizes = f"{self.samples} samples, {self.dimension} features, {self.n_classes} classes"
        return f"Classification({self.name}: {sizes})"

    @property
    def features(self) -> Array:
        """Features, shape [n, d], float64, in memory; those of a memory map are read when first needed.

        Raises:
            InvalidData: the features are sparse, and what needs them takes arrays.
        """
        if self._features is None:
            self._features = self.rows.in_memory()
        return self._features

    @property
    def rows(self) -> Rows:
        """Features as rows that are read in blocks, wherever they are."""
        return DenseRows(as_numpy(self.features)) if self._elsewhere is None else self._elsewhere

    @property
    def _beside(self) -> Array:
        """An array whose library, dtype and device others are to have: nothing is loaded for it."""
        return np.zeros(0) if self._features is None else self._features

    @property
    def loaded(self) -> bool:
        """Whether the features are an array or a tensor in memory."""
        return self._features is not None

    @property
    def samples(self) -> int:
        """Number of samples n."""
        return self._shape[0]

    @property
    def dimension(self) -> int:
        """Number of features d."""
        return self._shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes k."""
        return len(self.classes)

    @property
    def multiplications(self) -> int:
        """Multiplications that the logits of all samples take, n d k."""
        return self.samples * self.dimension * self.n_classes

    @cached_property
    def feature_bound(self) -> float:
        """R = max_i ‖x_i‖₁ (Assumption 3.2)."""
        xp = namespace(self.features)
        return float(xp.max(xp.sum(xp.abs(self.features), axis=-1)))

    @cached_property
    def largest_length(self) -> float:
        """max_i ‖x_i‖₂."""
        xp = namespace(self.features)
        # Squares of features beyond 1e150 would overflow.
        if self.feature_bound > 1e150:
            return 2.0**512 * float(xp.max(xp.linalg.vector_norm(self.features / 2.0**512, axis=-1)))
        return float(xp.max(xp.linalg.vector_norm(self.features, axis=-1)))

    @cached_property
    def one_hot(self) -> Array:
        """Whether sample i is of class c, shape [n, k], boolean, beside the features."""
        mask = self.labels[:, None] == np.arange(self.n_classes)
        return namespace(self._beside).asarray(mask, device=device(self._beside))

    @cached_property
    def log_sample_weight(self) -> Array | None:
        """Logarithms of the weights of the samples in the loss, shape [n], beside the features; or None."""
        if self.sample_weight is None:
            return None
        return namespace(self.features).asarray(np.log(self.sample_weight), device=device(self.features))

    def weighted(self, sample_weight: Any) -> Classification:
        """Return the same samples with weights in the loss, L(W) = Σ_i w_i ℓ_i(W) / Σ_i w_i.

        Only losses look at them, in descent: margins and their bounds are those of the samples as they are.
        An equal weight for all is no weight. A sample of weight 2 counts as two of weight 1 in a full batch;
        in mini-batches it is drawn once an epoch like any other, and then counts for two.

        Args:
            sample_weight: a positive number for each sample, shape [n], within a factor of 1e12 of the
                largest; None takes weights away. A sample of weight 0 is to be left out.

        Raises:
            InvalidArgument: anything else.

        >>> Classification([[1.0], [2.0]], [0, 1]).weighted([1, 3]).sample_weight.tolist()
        [0.5, 1.5]
        """
        problem = copy.copy(self)
        problem.__dict__.pop("log_sample_weight", None)
        problem.sample_weight = None if sample_weight is None else _relative_weights(sample_weight, self)
        return problem

    @cached_property
    def features_head(self) -> Array:
        """The leading bits of the features, shape [n, d], for exact products with weights (doubled.py)."""
        return head(self.features)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shapes, features and labels, in hexadecimal: names the data in stored results."""
        digest = hashlib.sha256(f"{self.samples} {self.dimension} {self.n_classes}".encode())
        digest.update(np.ascontiguousarray(as_numpy(self.features)).tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def pair_margins(self, W: Array) -> Array:
        """Margin of every pair (i, c), shape [..., n, k]; infinite at the true class, which is no pair."""
        xp = namespace(self._beside)
        W = self.weights_like_features(W)
        if self.loaded:
            logits = xp.matmul(self.features, xp.matrix_transpose(W))
        else:
            logits = np.concatenate(list(self.rows.scan(partial(_logits, W=W), self.n_classes)), axis=-2)
        return xp.where(self.one_hot, xp.inf, margins_of_logits(xp, logits, self.one_hot))

    def margin(self, W: Array) -> Array:
        """Smallest margin of any pair, shape [...]: positive where W classifies every sample correctly."""
        if self.loaded:
            return namespace(self.features).min(self.pair_margins(W), axis=(-2, -1))
        visit = partial(_smallest_margins, W=self.weights_like_features(W), labels=self.labels)
        return np.min(list(self.rows.scan(visit, self.n_classes)), axis=0)

    def normalized_margin(self, W: Array, norm_: Norm | str) -> Array:
        """margin(W) / ‖W‖ in the norm ``norm_``, shape [...], in units of the features; 0 for W = 0."""
        xp = namespace(self._beside)
        W = self.weights_like_features(W)
        size = norm(norm_)(W)
        return xp.where(size > 0, self.margin(W) / xp.where(size > 0, size, 1.0), 0.0)

    def pair_sum(self, q: Array) -> Array:
        """A(q) = Σ q_ic (e_{y_i} - e_c) x_iᵀ over pairs, shape [..., k, d], for q of shape [..., n, k].

        Entries of q at the true class count for nothing. ⟨A(q), W⟩ is the q-weighted mean of the pair
        margins, so ‖A(q)‖_* bounds the max margin from above for every q in the simplex.

        Raises:
            InvalidArgument: q of another shape.
        """
        beside = self._beside
        xp = namespace(beside)
        q = as_floating(q, "q")
        if q.ndim < 2 or tuple(q.shape[-2:]) != (self.samples, self.n_classes):
            raise InvalidArgument(
                "q", tuple(q.shape), f"give dual weights of shape [..., {self.samples}, {self.n_classes}]"
            )
        q = xp.where(self.one_hot, 0.0, xp.asarray(q, dtype=beside.dtype, device=device(beside)))
        T = towards_true_class(xp, q, self.one_hot)
        if self.loaded:
            return xp.matmul(xp.matrix_transpose(T), self.features)
        return sum(self.rows.scan(partial(_part_of_pair_sum, T=T), self.n_classes))

    def weights_like_features(self, W: Array) -> Array:
        """Return W as an array beside the features.

        Raises:
            InvalidArgument: its shape is not [..., k, d].
        """
        beside = self._beside
        W = as_floating(W, "W")
        expected = (self.n_classes, self.dimension)
        if W.ndim < 2 or tuple(W.shape[-2:]) != expected:
            raise InvalidArgument(
                "W", tuple(W.shape), f"give weights of shape [..., {expected[0]}, {expected[1]}]"
            )
        # A layer's weights ask for gradients, of which NumPy knows nothing.
        given = as_numpy(W) if isinstance(beside, np.ndarray) else W
        return namespace(beside).asarray(given, dtype=beside.dtype, device=device(beside))


def as_problem(value: object) -> Classification:
    """Return ``value`` as it is, a problem.

    Raises:
        InvalidArgument: it is anything else, arrays among them.

    >>> as_problem([[1.0]])
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: problem=[[1.0]]: give a problem, as steepest.Classification(X, y) makes
    """
    if isinstance(value, Classification):
        return value
    raise InvalidArgument("problem", value, "give a problem, as steepest.Classification(X, y) makes")


def margins_of_logits(xp: Any, logits: Array, one_hot: Array) -> Array:
    """Return the logit of the true class minus every logit, shape [..., n, k]; 0 at the true class.

    Args:
        xp: the arrays' namespace, which callers in a loop look up once.
        logits: of shape [..., n, k].
        one_hot: True at the true class of each sample, shape [n, k].

    >>> margins_of_logits(np, np.array([[3.0, 1.0]]), np.array([[True, False]])).tolist()
    [[0.0, 2.0]]
    """
    return xp.sum(xp.where(one_hot, logits, 0.0), axis=-1, keepdims=True) - logits


def towards_true_class(xp: Any, q: Array, one_hot: Array) -> Array:
    """Return the T with A(q) = Tᵀ X, shape [..., n, k], for q that is 0 at the true class.

    Args:
        xp: the arrays' namespace.
        q: weights of the pairs, shape [..., n, k].
        one_hot: True at the true class of each sample, shape [n, k].

    >>> towards_true_class(np, np.array([[0.0, 0.25, 0.5]]), np.array([[True, False, False]])).tolist()
    [[0.75, -0.25, -0.5]]
    """
    return xp.where(one_hot, xp.sum(q, axis=-1, keepdims=True), -q)


def _relative_weights(sample_weight: Any, problem: Classification) -> np.ndarray | None:
    """Return positive weights of mean 1, shape [n]; None where all are equal."""
    given = as_numpy(as_floating(sample_weight, "sample_weight")).astype(np.float64)
    if given.shape != (problem.samples,):
        remedy = f"give one weight for each of the {problem.samples} samples, shape [{problem.samples}]"
        raise InvalidArgument("sample_weight", given.shape, remedy)
    finite = np.isfinite(given)
    largest = float(np.max(given, where=finite, initial=0.0))
    bad = ~(finite & (given > 0) & (given >= _LEAST_SHARE * largest))
    if bad.any():
        first = int(np.argmax(bad))
        remedy = "give positive weights within a factor of 1e12, and leave out samples of no weight"
        raise InvalidArgument(f"sample_weight[{first}]", float(given[first]), remedy)
    given = given / largest
    given = given / given.mean()
    return None if bool(np.all(given == given[0])) else given


def _logits(_start: int, block: Block, *, W: np.ndarray) -> np.ndarray:
    """Logits of the rows of a block in float64, shape [..., r, k]."""
    flat = np.asarray(block.astype(np.float64, copy=False) @ W.reshape(-1, W.shape[-1]).T)
    return np.moveaxis(flat.reshape(block.shape[0], *W.shape[:-1]), 0, -2)


def _smallest_margins(start: int, block: Block, *, W: np.ndarray, labels: np.ndarray) -> np.ndarray:
    logits = _logits(start, block, W=W)
    hot = labels[start : start + block.shape[0], None] == np.arange(W.shape[-2])
    return np.where(hot, np.inf, margins_of_logits(np, logits, hot)).min(axis=(-2, -1))


def _part_of_pair_sum(start: int, block: Block, *, T: np.ndarray) -> np.ndarray:
    block = block.astype(np.float64, copy=False)
    columns = np.moveaxis(T[..., start : start + block.shape[0], :], -2, 0)
    sums = np.asarray(block.T @ columns.reshape(block.shape[0], -1))
    return np.moveaxis(sums.reshape(block.shape[1], *columns.shape[1:]), 0, -1)
