"""Quasi-Newton steps in the roots of the dual weights, which need no constraint.

With q = u² / |u|², ‖A(q)‖_* is a function of all u but 0. BFGS with a line search of weak Wolfe conditions
converges where the dual norm is smooth, and learns the directions in which it is not (Lewis and Overton,
Math. Program. 141, 2013), so that even then some hundred directions of the norm give two to four digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg.blas

from steepest.maxmargin.cutting_planes.game import Game

__all__ = ["Squares"]

_DECREASE, _CURVATURE = 1e-4, 0.5
"""Shares of the slope in the two conditions of the line search."""
_MOST_TRIALS = 30
"""Of step sizes: at the end of a bisection of a step by 1e9 the rest is rounding."""
_JOINING = 0.1
"""Roots of the dual weights of pairs that join, times that of all if they were equal."""
_FIRST = 0.1
"""Length of the first step, where u is of length 1."""
blas: Any = scipy.linalg.blas  # a compiled module without type stubs


@dataclass
class _Point:
    u: np.ndarray
    value: float
    gradient: np.ndarray

    @classmethod
    def at(cls, game: Game, u: np.ndarray) -> _Point:
        square = float(u @ u)
        cut = game.cut(u * u / square)
        return cls(u, cut.value, 2.0 * u * (cut.margins - cut.value) / square)


@dataclass
class Squares:
    """The state of the iteration."""

    game: Game
    point: _Point
    inverse: np.ndarray | None = field(default=None)
    """Approximate inverse of the Hessian, its lower triangle."""

    @classmethod
    def start(cls, game: Game, q: np.ndarray) -> Squares:
        """Start at dual weights q of the chosen pairs; where they are zero they stay so."""
        return cls(game, _Point.at(game, np.sqrt(q / q.sum())))

    def advance(self) -> bool:
        """Take one step; False where no step size is found."""
        point, inverse = self.point, self.inverse
        gradient = point.gradient
        direction = -gradient if inverse is None else -blas.dsymv(1.0, inverse, gradient, lower=1)
        slope = float(direction @ point.gradient)
        if not slope < 0.0:
            return False
        length = 1.0 if inverse is not None else _FIRST / float(np.linalg.norm(direction))
        new, found = self._searched(direction, slope, length)
        change, turned = new.u - point.u, new.gradient - point.gradient
        product = float(change @ turned)
        if product > 0.0:
            self._update(change, turned, product)
        if found or new.value < point.value:
            self.point = new
        return found

    def choose(self, kept: np.ndarray) -> None:
        """Go on with the pairs that the game has now: those kept, by their old places, and new ones.

        New ones start with small dual weights, as zeros stay zeros.
        """
        old, size = self.point.u[kept], self.game.size
        u = np.full(size, _JOINING * float(np.linalg.norm(old)) / np.sqrt(size))
        u[: len(kept)] = old
        self.point = _Point.at(self.game, u)
        if self.inverse is not None:
            places = np.ix_(kept, kept)
            lower = np.tril(self.inverse)[places]
            inverse = np.diag(np.full(size, float(np.diagonal(self.inverse).mean())))
            # Places are in order, so that the lower triangle stays one.
            inverse[: len(kept), : len(kept)] = lower
            self.inverse = np.asfortranarray(inverse)

    def _searched(self, direction: np.ndarray, slope: float, length: float) -> tuple[_Point, bool]:
        """The first point of a bisection that decreases enough and is steep enough no more."""
        low, high = 0.0, np.inf
        new = self.point
        for _ in range(_MOST_TRIALS):
            new = _Point.at(self.game, self.point.u + length * direction)
            if not new.value <= self.point.value + _DECREASE * length * slope:
                high = length
            elif float(new.gradient @ direction) < _CURVATURE * slope:
                low = length
            else:
                return new, True
            length = 0.5 * (low + high) if high < np.inf else 2.0 * length
        return new, False

    def _update(self, change: np.ndarray, turned: np.ndarray, product: float) -> None:
        """H ← (I - s yᵀ/sᵀy) H (I - y sᵀ/sᵀy) + s sᵀ/sᵀy, as s wᵀ + w sᵀ that is added."""
        if self.inverse is None:
            size = product / float(turned @ turned)
            self.inverse = np.asfortranarray(size * np.eye(len(change)))
        image = blas.dsymv(1.0, self.inverse, turned, lower=1)
        weight = 0.5 * (1.0 + float(turned @ image) / product) / product
        w = weight * change - image / product
        self.inverse = blas.dsyr2(1.0, change, w, a=self.inverse, lower=1, overwrite_a=1)
