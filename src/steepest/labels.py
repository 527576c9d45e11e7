"""Labels of any kind that sorts become classes and indices among them; what is no label is refused."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from steepest.arrays import as_numpy, plain_array
from steepest.errors import InvalidArgument, InvalidData

__all__ = ["encoded_labels"]


def encoded_labels(y: Any, samples: int, classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return all classes, sorted, [k], and each sample's index among them, [n].

    Args:
        y: labels as they were given.
        samples: n, how many there have to be.
        classes: every class there is, or None for those of ``y``.

    Raises:
        InvalidData: a wrong shape, fewer than two classes, labels that are missing, do not sort, or are not
            among ``classes``.

    >>> classes, labels = encoded_labels(["dog", "cat", "dog"], 3, None)
    >>> classes.tolist(), labels.tolist()
    (['cat', 'dog'], [1, 0, 1])
    """
    present, labels = _sorted_labels(y, samples, "y")
    if classes is None:
        return _at_least_two(present, "y"), labels
    every = _at_least_two(_sorted_labels(classes, None, "classes")[0], "classes")
    known = {label: position for position, label in enumerate(every.tolist())}
    positions = [known.get(label, -1) for label in present.tolist()]
    if -1 in positions:
        unknown = present.tolist()[positions.index(-1)]
        raise InvalidData("y", unknown, f"give labels that are among classes={every.tolist()}")
    return every, np.asarray(positions, dtype=np.int64)[labels]


def _at_least_two(classes: np.ndarray, argument: str) -> np.ndarray:
    if len(classes) < 2:
        raise InvalidData(argument, classes.tolist(), "give samples of at least two classes")
    return classes


def _sorted_labels(y: Any, samples: int | None, argument: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the different labels, sorted, and the index of each label among them."""
    y = _label_array(y, argument)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or (samples is not None and y.shape != (samples,)):
        remedy = (
            "give labels as a sequence, shape [k]"
            if samples is None
            else f"give one label for each of the {samples} samples, shape [{samples}]"
        )
        raise InvalidData(argument, tuple(y.shape), remedy)
    if y.dtype.kind in "cV":
        raise InvalidData(argument, str(y.dtype), "give labels that sort: numbers, booleans or text")
    labels = y.tolist()
    missing = np.array([_is_missing(label) for label in labels], dtype=bool)
    if missing.any():
        position = int(np.argmax(missing))
        remedy = f"give every sample a label ({int(missing.sum())} missing)"
        raise InvalidData(f"{argument}[{position}]", labels[position], remedy)
    if y.dtype == object:
        _require_one_kind(labels, argument)
    try:
        present, labels = np.unique(y, return_inverse=True)
    except (TypeError, ValueError) as error:
        remedy = f"give labels of one kind that can be sorted ({error})"
        raise InvalidData(argument, str(y.dtype), remedy) from error
    return present, labels.astype(np.int64)


def _label_array(y: Any, argument: str) -> np.ndarray:
    """Return the labels as an array in which no two of them have become one."""
    try:
        array = as_numpy(plain_array(y, argument))
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


def _require_one_kind(labels: list[Any], argument: str) -> None:
    kinds = {_kind_of_label(label) for label in labels}
    if len(kinds) > 1:
        raise InvalidData(
            argument,
            labels[:3],
            f"give labels of one kind that can be sorted, not {' and '.join(sorted(kinds))}",
        )


def _kind_of_label(label: Any) -> str:
    # True equals 1 and would be the same class.
    if isinstance(label, (bool, np.bool_)):
        return "booleans"
    return "numbers" if isinstance(label, Real) else type(label).__name__
