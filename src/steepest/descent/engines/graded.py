"""Directions of sums whose terms differ by any power of e, e^-8000 beside 1 included.

Two things say where a direction depends on the smallest term. Norms that look at entries one by one need each
entry's sign and logarithm: :data:`ENTRY_DIRECTION`. Schatten norms need singular values and vectors, which
the sum itself, once formed, has lost: :data:`GRADED_DIRECTION` takes its terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from steepest.arrays import Array
from steepest.capabilities import Capability

__all__ = [
    "ENTRY_DIRECTION",
    "GRADED_DIRECTION",
    "SIGNS_ALONE",
    "GradedSum",
    "graded_entries",
    "graded_polar_factor",
    "graded_singular_values",
]


class GradedSum(NamedTuple):
    """S = Σ_p e^{logs_p} lefts_p features_{which_p}ᵀ, a sum of N matrices of rank one."""

    logs: np.ndarray
    """Logarithms of the terms' coefficients, shape [N]; -inf for a term that is 0."""
    lefts: np.ndarray
    """Left factors with their signs, shape [N, k]."""
    which: np.ndarray
    """Which row of ``features`` is the right factor of each term, shape [N]."""
    features: np.ndarray
    """Right factors, shape [n, d]."""


ENTRY_DIRECTION: Capability[Callable[[Array, Array], Array]] = Capability(
    "a direction from logarithms of entries",
    "D(S) from the signs and the logarithms of the moduli of S [..., k, d], whatever range they span.",
)

SIGNS_ALONE: Capability[bool] = Capability(
    "a direction of signs alone", "Whether D(S) is made of the signs of entries, whatever their sizes."
)

GRADED_DIRECTION: Capability[Callable[[GradedSum], np.ndarray]] = Capability(
    "a direction of graded sums",
    "D(S) [k, d] of a sum of matrices of rank one whose coefficients differ by any power of e.",
)


def graded_singular_values(terms: GradedSum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (U, log σ, V) of a sum, largest first, with S = Σ_r σ_r U_r V_rᵀ, U [r, k] and V [r, d].

    Each singular triple is accurate by itself, however small: the condition is that of the factors, not of
    the scales. Where the terms leave a rank open to rounding alone, what rounding hides counts as zero.

    >>> terms = GradedSum(
    ...     np.array([0.0, -8000.0]), np.eye(2), np.arange(2), np.array([[1.0, 0.0], [3.0, 4.0]])
    ... )
    >>> _, logs, _ = graded_singular_values(terms)
    >>> (logs - [0, np.log(4) - 8000]).round(9).tolist()
    [0.0, 0.0]
    """
    # Imported here: numba is heavy, and most directions need none of it.
    from steepest.descent.engines.graded_kernels import graded_singular

    return graded_singular(*_contiguous(terms))


def graded_polar_factor(terms: GradedSum) -> np.ndarray:
    """Return the polar factor U Vᵀ [k, d] of a sum, over all singular values that are not zero.

    >>> terms = GradedSum(
    ...     np.array([0.0, -300.0]), np.eye(2), np.arange(2), np.array([[1.0, 0.0], [1.0, -1.0]])
    ... )
    >>> graded_polar_factor(terms).round(12) + 0.0
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    U, _, V = graded_singular_values(terms)
    return U.T @ V


def graded_entries(terms: GradedSum) -> tuple[np.ndarray, np.ndarray]:
    """Return signs and logarithms of moduli [k, d] of a sum, entry by entry; -inf for zero.

    Terms are added from the largest down. Where they cancel to less than rounding tells from zero, the next
    smaller ones decide.

    >>> terms = GradedSum(
    ...     np.array([0.0, 0.0, -8000.0]),
    ...     np.array([[1.0], [-1.0], [1.0]]),
    ...     np.arange(3),
    ...     np.array([[2.0, 1.0], [2.0, 0.0], [-1.0, 1.0]]),
    ... )
    >>> [part.tolist() for part in graded_entries(terms)]
    [[[-1.0, 1.0]], [[-8000.0, 0.0]]]
    """
    from steepest.descent.engines.graded_kernels import graded_sums, ordered_terms

    logs, lefts, which, features = _contiguous(terms)
    order, _ = ordered_terms(logs, lefts, which, features)
    mantissas, scales = np.zeros((2, lefts.shape[1], features.shape[1]))
    graded_sums(order, logs, lefts, which, features, mantissas, scales)
    zero = mantissas == 0
    return np.sign(mantissas), scales + np.log(np.where(zero, 1.0, np.abs(mantissas)))


def _contiguous(terms: GradedSum) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.ascontiguousarray(terms.logs, dtype=np.float64),
        np.ascontiguousarray(terms.lefts, dtype=np.float64),
        np.ascontiguousarray(terms.which, dtype=np.int64),
        np.ascontiguousarray(terms.features, dtype=np.float64),
    )
