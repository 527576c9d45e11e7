"""Real data that a package ships."""

from __future__ import annotations

from steepest.datasets.catalogue import data_set
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
