"""The pairs (i, c) of a reduced problem and its bilinear form, as interior-point methods use them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from steepest.maxmargin.forms.reduced import Reduced

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs:
    """Margins of weights and pair sums of dual weights, in features multiplied by ``size``."""

    reduced: Reduced
    size: float = 1.0

    @property
    def features(self) -> np.ndarray:
        """Features before their multiplication, shape [n, c]."""
        return self.reduced.features

    @property
    def y(self) -> np.ndarray:
        """Class of each sample, shape [n]."""
        return self.reduced.labels

    @cached_property
    def mask(self) -> np.ndarray:
        """True at pairs, False at the true class, shape [n, k]."""
        return self.y[:, None] != np.arange(self.reduced.classes)

    @cached_property
    def index(self) -> np.ndarray:
        """0, 1, ..., n - 1, which with y picks the true class of each sample."""
        return np.arange(len(self.y))

    @property
    def count(self) -> int:
        """Number of pairs, n (k - 1)."""
        return len(self.y) * (self.reduced.classes - 1)

    @cached_property
    def members(self) -> list[np.ndarray]:
        """The samples of each class."""
        return [np.nonzero(self.y == label)[0] for label in range(self.reduced.classes)]

    @property
    def from_origin(self) -> np.ndarray | None:
        """Coordinates of the norm from weights of all classes but the last, which is the origin.

        None where the norm keeps all k rows: entry-wise norms other than Frobenius.
        """
        return None if self.reduced.mixing is None else self.reduced.mixing[:-1].T

    @cached_property
    def uniform(self) -> np.ndarray:
        """Equal dual weights of all pairs, shape [n, k]."""
        return np.where(self.mask, 1.0 / self.count, 0.0)

    def balanced(self) -> Pairs:
        """The same pairs, with features multiplied so that ‖A(uniform q)‖_* is 1 where it is positive."""
        value = float(self.reduced.norm.dual(self.pair_sum(self.uniform)))
        return replace(self, size=self.size / value) if value > 0 else self

    def margins(self, V: np.ndarray) -> np.ndarray:
        """Pair margins, 0 at the true class."""
        logits = self.features @ (V if self.reduced.mixing is None else self.reduced.mixing @ V).T
        return self.size * (logits[self.index, self.y][:, None] - logits)

    def towards(self, q: np.ndarray) -> np.ndarray:
        """A(q) in class coordinates, shape [k, c]."""
        T = -q
        T[self.index, self.y] = np.einsum("ic->i", q)
        return self.size * (T.T @ self.features)

    def in_norm(self, A: np.ndarray) -> np.ndarray:
        """Coordinates of the norm from class coordinates."""
        return A if self.reduced.mixing is None else self.reduced.mixing.T @ A

    def pair_sum(self, q: np.ndarray) -> np.ndarray:
        """A(q) in the coordinates of the norm."""
        return self.in_norm(self.towards(q))

    def bounds(self, V: np.ndarray, A: np.ndarray) -> tuple[float, float]:
        """margin(V) / ‖V‖ and ‖A‖_*, without allowance for rounding."""
        norm = self.reduced.norm
        size = float(norm(V))
        lowest = float(self.margins(V)[self.mask].min())
        return (lowest / size if size > 0 else 0.0), float(norm.dual(A))
