"""The classification problem: validated features and labels, margins, and the sums that certify them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property, partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, as_floating, as_numpy, namespace, plain_array
from steepest.doubled import head
from steepest.errors import InvalidArgument, InvalidData
from steepest.features import Block, DenseRows, Rows, rows_elsewhere, validated_array
from steepest.geometry import Norm, norm


class Classification:
    """Samples with a class each, as the problem that descent and max margins are about.

    Args:
        X: features, shape [n, d]: an array, a tensor or nested lists, kept in float64, on their device. A
            memory map of float32 or float64 (``np.load(file, mmap_mode="r")``) stays in its file, and a SciPy
            sparse array stays sparse: they are read in blocks.
        y: labels, shape [n], of any dtype that sorts: numbers, booleans or strings. At least two
            different ones.
        name: how results and messages call this problem.

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

    def __init__(self, X: Any, y: Any, name: str | None = None):
        self._elsewhere = rows_elsewhere(X)
        self._features: Array | None = None
        if self._elsewhere is None:
            features = validated_array(X)
            self._features, shape = features, features.shape
        else:
            shape = self._elsewhere.shape
        self._shape: tuple[int, int] = (int(shape[0]), int(shape[1]))
        self.classes, self.labels = _encoded_labels(y, self.samples)
        if name is not None and not isinstance(name, str):
            raise InvalidArgument("name", name, "give a text")
        self.name = name or "data"

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
        return float(xp.max(xp.linalg.vector_norm(self.features, axis=-1)))

    @cached_property
    def one_hot(self) -> Array:
        """Whether sample i is of class c, shape [n, k], boolean, beside the features."""
        mask = self.labels[:, None] == np.arange(self.n_classes)
        return namespace(self._beside).asarray(mask, device=device(self._beside))

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
        """margin(W) / ‖W‖, shape [...], in units of the features; 0 for W = 0, which has no direction."""
        xp = namespace(self._beside)
        W = self.weights_like_features(W)
        size = norm(norm_)(W)
        return xp.where(size > 0, self.margin(W) / xp.where(size > 0, size, 1.0), 0.0)

    def pair_sum(self, q: Array) -> Array:
        """A(q) = Σ q_ic (e_{y_i} - e_c) x_iᵀ over pairs, shape [..., k, d], for q of shape [..., n, k].

        Entries of q at the true class count for nothing. ⟨A(q), W⟩ is the q-weighted mean of the pair
        margins, so ‖A(q)‖_* bounds the max margin from above for every q in the simplex.
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
        """Return W as an array beside the features; InvalidArgument if its shape is not [..., k, d]."""
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
    """Return a problem as it is.

    Raises:
        InvalidArgument: anything else, arrays among them.

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

    ``xp`` is the arrays' namespace, which callers in a loop look up once.

    >>> margins_of_logits(np, np.array([[3.0, 1.0]]), np.array([[True, False]])).tolist()
    [[0.0, 2.0]]
    """
    return xp.sum(xp.where(one_hot, logits, 0.0), axis=-1, keepdims=True) - logits


def towards_true_class(xp: Any, q: Array, one_hot: Array) -> Array:
    """Return the T with A(q) = Tᵀ X, shape [..., n, k], for q that is 0 at the true class.

    >>> towards_true_class(np, np.array([[0.0, 0.25, 0.5]]), np.array([[True, False, False]])).tolist()
    [[0.75, -0.25, -0.5]]
    """
    return xp.where(one_hot, xp.sum(q, axis=-1, keepdims=True), -q)


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


def _encoded_labels(y: Any, samples: int) -> tuple[np.ndarray, np.ndarray]:
    y = _label_array(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (samples,):
        raise InvalidData(
            "y", tuple(y.shape), f"give one label for each of the {samples} samples, shape [{samples}]"
        )
    if y.dtype.kind in "cV":
        raise InvalidData("y", str(y.dtype), "give labels that sort: numbers, booleans or text")
    labels = y.tolist()
    missing = np.array([_is_missing(label) for label in labels])
    if missing.any():
        position = int(np.argmax(missing))
        raise InvalidData(
            f"y[{position}]", labels[position], f"give every sample a label ({int(missing.sum())} missing)"
        )
    if y.dtype == object:
        _require_one_kind(labels)
    try:
        classes, labels = np.unique(y, return_inverse=True)
    except (TypeError, ValueError) as error:
        raise InvalidData(
            "y", str(y.dtype), f"give labels of one kind that can be sorted ({error})"
        ) from error
    if len(classes) < 2:
        raise InvalidData("y", classes.tolist(), "give samples of at least two classes")
    return classes, labels.astype(np.int64)


def _label_array(y: Any) -> np.ndarray:
    """Return the labels as an array in which no two of them have become one."""
    try:
        array = as_numpy(plain_array(y, "y"))
    except InvalidArgument as error:
        raise InvalidData(error.argument, error.value, error.remedy) from error
    if not isinstance(y, (list, tuple)) or array.ndim != 1:
        return array
    # In lists of several kinds numbers became text, and in lists of integers large ones became floats.
    kinds = {_kind_of_label(label) for label in y}
    if len(kinds) == 1 and (array.dtype.kind != "f" or _all_exact(y)):
        return array
    exact = np.empty(len(y), dtype=object)
    exact[:] = y
    return exact


def _all_exact(numbers: Sequence[Any]) -> bool:
    return all(not isinstance(each, Integral) or int(float(each)) == each for each in numbers)


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except (TypeError, ValueError):
        return True  # pandas.NA equals nothing, and an array in the place of a label is none


def _require_one_kind(labels: list[Any]) -> None:
    kinds = {_kind_of_label(label) for label in labels}
    if len(kinds) > 1:
        raise InvalidData(
            "y", labels[:3], f"give labels of one kind that can be sorted, not {' and '.join(sorted(kinds))}"
        )


def _kind_of_label(label: Any) -> str:
    # True equals 1 and would be the same class.
    if isinstance(label, (bool, np.bool_)):
        return "booleans"
    return "numbers" if isinstance(label, Real) else type(label).__name__
