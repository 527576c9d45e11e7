"""Directions of sums whose terms differ by any power of e, e^-8000 beside 1 included.

Two things say where a direction depends on the smallest term. Norms that look at entries one by one need each
entry's sign and logarithm: :data:`ENTRY_DIRECTION`. Schatten norms need singular values and vectors, which
the sum itself, once formed, has lost: :data:`GRADED_DIRECTION` takes its terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.capabilities import Capability
from steepest.geometry import Norm
from steepest.geometry.blocks import BlockNorm
from steepest.geometry.entrywise import Entrywise
from steepest.geometry.rows import ColumnNorm, RowNorm
from steepest.geometry.schatten import Schatten
from steepest.geometry.shape_scaled import ScaledNorm

__all__ = [
    "ENTRY_DIRECTION",
    "GRADED_DIRECTION",
    "GradedSum",
    "graded_entries",
    "graded_polar_factor",
    "graded_singular_values",
    "hangs_on_small_parts",
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

GRADED_DIRECTION: Capability[Callable[[GradedSum], np.ndarray]] = Capability(
    "a direction of graded sums",
    "D(S) [k, d] of a sum of matrices of rank one whose coefficients differ by any power of e.",
)


def hangs_on_small_parts(norm: Norm) -> bool:
    """Return whether directions of a norm can change with parts of a sum that rounding hides.

    >>> from steepest.geometry import norm
    >>> [hangs_on_small_parts(norm(name)) for name in ("frobenius", "sum", "max", "spectral")]
    [False, False, True, True]
    """
    return ENTRY_DIRECTION.of(norm) is not None or GRADED_DIRECTION.of(norm) is not None


def graded_singular_values(terms: GradedSum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (U, log σ, V) of a sum, largest first, with S = Σ_r σ_r U_r V_rᵀ, U [r, k] and V [r, d].

    Each singular triple is accurate by itself, however small: the condition is that of the factors, not of
    the scales. Where the terms leave a rank open to rounding alone, what rounding hides counts as zero.

    >>> terms = GradedSum(
    ...     np.array([0.0, -8000.0]), np.eye(2), np.arange(2), np.array([[1.0, 0.0], [3.0, 4.0]])
    ... )
    >>> _, logs, _ = graded_singular_values(terms)
    >>> (logs - [0, math.log(4) - 8000]).round(9).tolist()
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


def _power(p: object) -> float:
    exponent = float(p)  # type: ignore[arg-type]
    return math.inf if exponent == 1 else (0.0 if math.isinf(exponent) else 1.0 / (exponent - 1.0))


def _steepest(signs: Array, logs: Array, p: object) -> Array:
    """Return the directions of vectors [..., n] in the p-norm from signs and logarithms."""
    xp, power = namespace(logs), _power(p)
    if power == 0:
        return signs
    top = xp.max(logs, axis=-1, keepdims=True)
    relative = logs - xp.where(xp.isinf(top), 0.0, top)
    if math.isinf(power):
        places = xp.arange(logs.shape[-1], device=device(logs))
        return xp.where(places == xp.argmax(logs, axis=-1, keepdims=True), signs, xp.zeros_like(signs))
    weights = xp.exp(power * relative)
    total = xp.sum(xp.exp((1.0 + power) * relative), axis=-1, keepdims=True)
    return signs * weights * xp.where(total > 0, total, 1.0) ** (-power / (1.0 + power))


def _log_length(logs: Array, power: float) -> Array:
    """Return the logarithm of the dual norm, of exponent q = 1 + power, of vectors [..., n]."""
    xp = namespace(logs)
    top = xp.max(logs, axis=-1)
    if math.isinf(power):
        return top
    finite = xp.where(xp.isinf(top), 0.0, top)
    total = xp.sum(xp.exp((1.0 + power) * (logs - finite[..., None])), axis=-1)
    return top + xp.log(xp.where(total > 0, total, 1.0)) / (1.0 + power)


@ENTRY_DIRECTION.offered_by(Entrywise)
def _entrywise(norm: Entrywise):
    # For p ≤ 2 an entry counts by its modulus at least: what is small beside the largest changes nothing.
    if norm.p <= 2:
        return None

    def direction(signs: Array, logs: Array) -> Array:
        flat = (*signs.shape[:-2], signs.shape[-2] * signs.shape[-1])
        xp = namespace(logs)
        found = _steepest(xp.reshape(signs, flat), xp.reshape(logs, flat), norm.p)
        return xp.reshape(found, signs.shape)

    return direction


@ENTRY_DIRECTION.offered_by(RowNorm)
def _rows(norm: RowNorm):
    def direction(signs: Array, logs: Array) -> Array:
        xp = namespace(logs)
        sizes = _log_length(logs, _power(norm.inner))
        present = xp.where(xp.isinf(sizes), xp.zeros_like(sizes), xp.ones_like(sizes))
        return _steepest(present, sizes, norm.outer)[..., None] * _steepest(signs, logs, norm.inner)

    return direction


@ENTRY_DIRECTION.offered_by(ColumnNorm)
def _columns(norm: ColumnNorm):
    of_rows = _rows(norm.of_rows)

    def direction(signs: Array, logs: Array) -> Array:
        turned = namespace(logs).matrix_transpose
        return turned(of_rows(turned(signs), turned(logs)))

    return direction


@ENTRY_DIRECTION.offered_by(ScaledNorm)
def _scaled(norm: ScaledNorm):
    of_base = ENTRY_DIRECTION.of(norm.base)
    if of_base is None:
        return None
    return lambda signs, logs: of_base(signs, logs) / norm.factor(signs.shape)


@GRADED_DIRECTION.offered_by(Schatten)
def _schatten(norm: Schatten):
    # As for entries: only for p > 2 does a small singular value count by more than its size.
    if norm.p <= 2:
        return None

    def direction(terms: GradedSum) -> np.ndarray:
        U, logs, V = graded_singular_values(terms)
        return (U.T * _steepest(np.ones_like(logs), logs, norm.p)) @ V if len(logs) else U.T @ V

    return direction


@GRADED_DIRECTION.offered_by(ScaledNorm)
def _graded_scaled(norm: ScaledNorm):
    of_base = GRADED_DIRECTION.of(norm.base)
    if of_base is None:
        return None
    return lambda terms: of_base(terms) / norm.factor((terms.lefts.shape[1], terms.features.shape[1]))


@GRADED_DIRECTION.offered_by(BlockNorm)
def _graded_blocks(norm: BlockNorm):
    of_base = GRADED_DIRECTION.of(norm.base)
    if of_base is None or norm.outer != math.inf:
        return None

    def direction(terms: GradedSum) -> np.ndarray:
        of_rows = norm.axis == "rows"
        split = norm.split(terms.lefts.T if of_rows else terms.features)
        if of_rows:
            parts = [of_base(terms._replace(lefts=part.T)) for part in split]
        else:
            parts = [of_base(terms._replace(features=part)) for part in split]
        return norm.joined(np.stack(parts))

    return direction
