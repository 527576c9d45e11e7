"""The path dW/dR = F(W) from W = 0, by implicit Euler steps that grow with R, and Newton's method."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steepest.theory.limits.fields import Field, FieldAt
from steepest.theory.limits.slopes import solver

__all__ = ["Path", "follow"]

_NEWTON_STEPS = 30
_LEAST_DAMPING = 1e-5
_LEAST_GROWTH = 1.003
_NEAR_END = 1.0 / 256.0
_LOGIT_TOLERANCE = 1e-4
_MUCH_SHORTER = 0.1


@dataclass(frozen=True)
class Path:
    """The states that were reached, at increasing R = Σ η."""

    lengths: np.ndarray
    """R, shape [s]."""
    weights: np.ndarray
    """W(R), shape [s, k, d]."""
    growths: np.ndarray
    """F(W(R)) = dW/dR, shape [s, k, d]."""
    complete: bool
    """Whether the R that was asked for was reached."""


def follow(
    field: Field,
    width: float,
    until: float,
    growth: float,
    most_solves: int,
    hurry: float = 1.0,
    reached: Callable[[float], None] = lambda _: None,
) -> Path:
    """Return the path from W = 0 to R = ``until``, or as far as ``most_solves`` Newton steps go.

    R grows by the factor ``growth`` a step, and by ``hurry`` times that as long as it is far from the end.
    ``reached`` is told each R.

    Implicit Euler is W_{j+1} = W_j + (R_{j+1} - R_j) F(W_{j+1}). Once W is large F hardly varies but for the
    differences of tied logits, which stay O(1) while W doubles: explicit steps would have to be of that size.
    Where Newton's method fails the step is halved.

    >>> from steepest import Classification, norm
    >>> from steepest.losses import loss
    >>> from steepest.theory.limits.batches import every_batch
    >>> from steepest.theory.limits.fields import field_of
    >>> problem = Classification([[1.0], [-1.0]], [0, 1])
    >>> field = field_of(problem, norm("max"), loss("cross-entropy"), every_batch(2, 1))
    >>> follow(field, 1.0, 100.0, 2.0, 100).weights[-1].round(6).tolist()
    [[100.0], [-100.0]]
    """
    k, d = field.data.shape
    longest = float(np.sqrt(np.max(np.sum(field.data.features**2, axis=1))))
    R = min(until, 0.25 / longest)
    W, solves = np.zeros((k, d)), 0
    lengths, weights, growths = [], [], []
    factor, start, before = growth * hurry, np.zeros((k, d)), 0.0
    while True:
        found, at, used = _solved(field, width, W, R - before, start, most_solves - solves)
        solves += used
        if found is None:
            if not lengths or solves >= most_solves or factor < _LEAST_GROWTH:
                return _path(lengths, weights, growths, field, complete=False)
            factor = 1.0 + 0.5 * (factor - 1.0)
        else:
            W, before = found, R
            lengths.append(R)
            weights.append(W)
            growths.append(at.value)
            reached(R)
            if until <= R:
                return _path(lengths, weights, growths, field, complete=True)
            if used < 20:
                largest = growth * hurry if before < _NEAR_END * until else growth
                factor = min(largest, 1.0 + 1.6 * (factor - 1.0))
        R = before * factor
        # A step that would leave a sliver before the end goes to the end.
        R = until if until / (1.0 + 0.5 * (factor - 1.0)) < R else R
        start = W * (R / before)


def _path(lengths: list, weights: list, growths: list, field: Field, *, complete: bool) -> Path:
    shape = (len(lengths), *field.data.shape)
    return Path(
        np.array(lengths, dtype=float),
        np.array(weights, dtype=float).reshape(shape),
        np.array(growths, dtype=float).reshape(shape),
        complete,
    )


def _solved(
    field: Field, width: float, origin: np.ndarray, step: float, start: np.ndarray, most: int
) -> tuple[np.ndarray | None, FieldAt, int]:
    """Return W with W = origin + step F(W), the field there, and how many Newton steps that took.

    Steps are damped until the next correction, by the same factorisation, is shorter: logits matter, whose
    scales in W differ by many orders, so that the residual itself tells little. Where it is much shorter the
    factorisation serves for another step.
    """
    X = field.data.features
    W, damping = start, 1.0
    at = field.at(W, width)
    solve = correction = None
    for used in range(min(_NEWTON_STEPS, most)):
        if solve is None or correction is None:
            solve = solver(at.slopes(), step)
            correction = solve(origin + step * at.value - W)
        size = float(np.abs(X @ correction.T).max())
        if not math.isfinite(size):
            return None, at, used + 1
        if size < _LOGIT_TOLERANCE:
            return W + correction, at, used + 1
        damping = min(1.0, 4.0 * damping)
        while True:
            ahead = W + damping * correction
            there = field.at(ahead, width)
            following = solve(origin + step * there.value - ahead)
            left = float(np.abs(X @ following.T).max())
            if left < size * (1.0 - 0.25 * damping):
                break
            damping *= 0.5
            if damping < _LEAST_DAMPING:
                return None, at, used + 1
        W, at = ahead, there
        serves = left < _MUCH_SHORTER * size
        solve, correction = (solve, following) if serves else (None, None)
    return None, at, min(_NEWTON_STEPS, most)
