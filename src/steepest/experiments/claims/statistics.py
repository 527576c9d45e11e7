"""What claims fit to curves."""

from __future__ import annotations

import math

import numpy as np

from steepest.errors import InvalidArgument
from steepest.theory import fit_exponent

__all__ = ["fitted_exponent"]


def fitted_exponent(steps: np.ndarray, error: np.ndarray) -> float:
    """Return α of error ≈ c · t^(-α), by least squares of log error on log t over the last decade of steps.

    The last decade is every record from a tenth of the last step on, so that the transient does not enter;
    :func:`steepest.theory.fit_exponent` does the fit. NaN where fewer than five records have an error > 0.

    >>> steps = np.geomspace(1, 1000, 50)
    >>> round(fitted_exponent(steps, 3 * steps**-0.5), 12)
    0.5
    """
    try:
        return fit_exponent(steps, error, decades=1.0).exponent
    except InvalidArgument:
        return math.nan
