"""What each family of norms offers for sums whose terms differ by any power of e."""

from __future__ import annotations

import math

import numpy as np
from array_api_compat import device

from steepest.arrays import Array, namespace
from steepest.descent.engines.graded import (
    ENTRY_DIRECTION,
    GRADED_DIRECTION,
    SIGNS_ALONE,
    GradedSum,
    graded_singular_values,
)
from steepest.geometry import Norm
from steepest.geometry.blocks import BlockNorm
from steepest.geometry.entrywise import Entrywise
from steepest.geometry.rows import ColumnNorm, RowNorm
from steepest.geometry.schatten import Schatten
from steepest.geometry.shape_scaled import ScaledNorm
from steepest.geometry.vectors import Exponent

__all__ = ["dual_power", "hangs_on_small_parts"]


def hangs_on_small_parts(norm: Norm) -> bool:
    """Return whether directions of a norm can change with parts of a sum that rounding hides.

    >>> from steepest.geometry import norm
    >>> [hangs_on_small_parts(norm(name)) for name in ("frobenius", "sum", "max", "spectral")]
    [False, False, True, True]
    """
    return ENTRY_DIRECTION.of(norm) is not None or GRADED_DIRECTION.of(norm) is not None


def dual_power(p: Exponent) -> float:
    """Return q - 1 with 1/p + 1/q = 1: directions weigh entries by their size to this power.

    >>> dual_power(1), dual_power(3), dual_power(math.inf)
    (inf, 0.5, 0.0)
    """
    exponent = float(p)
    return math.inf if exponent == 1 else (0.0 if math.isinf(exponent) else 1.0 / (exponent - 1.0))


def _steepest(signs: Array, logs: Array, p: Exponent) -> Array:
    """Return the directions of vectors [..., n] in the p-norm from signs and logarithms."""
    xp, power = namespace(logs), dual_power(p)
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


@SIGNS_ALONE.offered_by(Entrywise)
def _signs_of_entries(norm: Entrywise) -> bool:
    return math.isinf(norm.p)


@SIGNS_ALONE.offered_by(ScaledNorm)
def _signs_of_scaled(norm: ScaledNorm) -> bool:
    return SIGNS_ALONE.of(norm.base) is True


@ENTRY_DIRECTION.offered_by(RowNorm)
def _rows(norm: RowNorm):
    def direction(signs: Array, logs: Array) -> Array:
        xp = namespace(logs)
        sizes = _log_length(logs, dual_power(norm.inner))
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


@ENTRY_DIRECTION.offered_by(BlockNorm)
def _blocks(norm: BlockNorm):
    base, of_base = norm.base, ENTRY_DIRECTION.of(norm.base)
    if GRADED_DIRECTION.of(base) is not None:
        return None
    # As for entries: for p ≤ 2 a small block counts by its size at least, and here nothing in it by more.
    if of_base is None and (norm.blocks == 1 or norm.outer <= 2):
        return None

    def direction(signs: Array, logs: Array) -> Array:
        xp = namespace(logs)
        signs, logs = norm.split(signs), norm.split(logs)
        top = xp.max(xp.max(logs, axis=-1), axis=-1)
        # Each block in units of its own largest entry: in there an ordinary matrix is exact enough.
        formed = signs * xp.exp(logs - xp.where(xp.isinf(top), 0.0, top)[..., None, None])
        within = base.direction(formed) if of_base is None else of_base(signs, logs)
        sizes = base.dual(formed)
        empty = sizes == 0
        log_sizes = xp.where(empty, -xp.inf, xp.log(xp.where(empty, 1.0, sizes)) + top)
        present = xp.where(empty, xp.zeros_like(sizes), xp.ones_like(sizes))
        shares = _steepest(present, log_sizes, norm.outer)
        return norm.joined(shares[..., None, None] * within)

    return direction


@SIGNS_ALONE.offered_by(BlockNorm)
def _signs_of_blocks(norm: BlockNorm) -> bool:
    return (norm.blocks == 1 or math.isinf(norm.outer)) and SIGNS_ALONE.of(norm.base) is True


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
    if of_base is None or (norm.blocks > 1 and norm.outer != math.inf):
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
