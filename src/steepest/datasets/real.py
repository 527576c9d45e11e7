"""Real data that a package ships."""

from __future__ import annotations

import numpy as np

from steepest.arguments import whole_number
from steepest.datasets.catalogue import data_set
from steepest.errors import InvalidArgument
from steepest.extras import require
from steepest.problem import Classification


@data_set("digits")
def digits() -> Classification:
    """Handwritten digits of scikit-learn: 1797 images of 8 by 8 pixels, X [1797, 64] in [0, 1], ten classes.

    Raises:
        MissingExtra: scikit-learn is not installed.

    >>> problem = digits()
    >>> problem.samples, problem.dimension, problem.n_classes
    (1797, 64, 10)
    """
    require("sklearn", "the digits data")
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return Classification(pixels / 16.0, labels, name="digits")


@data_set("digits-pair")
def digits_pair(first: int = 3, second: int = 8) -> Classification:
    """Two of the handwritten digits: about 360 images of 8 by 8 pixels, X [n, 64] in [0, 1], two classes.

    Args:
        first: one digit, from 0 to 9.
        second: the other digit, from 0 to 9.

    Raises:
        InvalidArgument: no digits, or the same one twice.
        MissingExtra: scikit-learn is not installed.

    >>> problem = digits_pair(3, 8)
    >>> problem.samples, problem.classes.tolist()
    (357, [3, 8])
    """
    first, second = whole_number("first", first, 0), whole_number("second", second, 0)
    for name, value in (("first", first), ("second", second)):
        if value > 9:
            raise InvalidArgument(name, value, "give a digit from 0 to 9")
    if first == second:
        raise InvalidArgument("second", second, "give another digit than the first")
    every = digits()
    chosen = (every.labels == first) | (every.labels == second)
    X = np.asarray(every.features)[chosen]
    return Classification(X, every.labels[chosen], name=f"digits {first} and {second}")
