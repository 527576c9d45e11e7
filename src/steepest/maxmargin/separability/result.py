"""What is known of separability: the verdict, its evidence, and the coefficients that run off to infinity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction

import numpy as np

from steepest.errors import InvalidArgument
from steepest.problem import Classification

__all__ = ["Separability", "Separation"]

_EXACT = "certified in exact arithmetic"
_TO_ROUNDING = "certified to rounding in every column"


class Separation(Enum):
    """Whether weights tell the classes of the samples apart; the values are the messages."""

    SEPARABLE = "separable: some weights give every sample's class the highest score"
    WEAKLY_SEPARABLE = (
        "weakly separable (quasi-complete separation): weights without a negative margin give some samples a "
        "positive one, but no weights give it to all"
    )
    NOT_SEPARABLE = "not separable: dual weights q with A(q) = 0 show that no weights separate the data"
    UNDECIDED = "undecided: neither separating weights nor dual weights with A(q) = 0 were found"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Separability:
    """Whether any weights W make every margin (e_{y_i} - e_c)ᵀ W x_i positive, with the evidence for it.

    Of the data alone, whatever the norm. Scaling samples by positive numbers or features by any, and adding
    multiples of features to others, changes nothing. Arrays are NumPy arrays.
    """

    kind: Separation
    """The verdict."""
    exact: bool
    """Whether the evidence for it holds in exact arithmetic. False: the sums A(q) vanish to rounding in every
    column, relative to what cancels there, and so do the margins of the pairs that are weakly separated."""
    weights: np.ndarray
    """W, shape [k, d]. Separable: all margins are positive. Weakly separable: none is negative and those of
    all pairs but the ``overlapped`` ones are positive, ``exact_weights`` being what these were rounded from.
    Otherwise the best there is: zeros, or the weights of ``margin``."""
    margin: float
    """The smallest margin of ``weights``, each relative to its own terms Σ_j |W_yj - W_cj| |x_ij|, in [-1,
    1]."""
    dual: np.ndarray
    """q, shape [n, k], of sum 1: dual weights with A(q) = 0 where the data is not separable, or weakly so.
    Otherwise the best there is; zeros where there is none."""
    residual: float
    """Largest entry of A(q), each relative to its own terms; 0 where A(q) = 0 in exact arithmetic; 1 for q =
    0."""
    overlapped: np.ndarray | None
    """Pairs (i, c) whose margin is 0 for all weights without negative margins, shape [p, 2]: none where the
    data is separable, all where nothing can be separated. None where that is not known."""
    coefficients: np.ndarray | None
    """What becomes of the coefficients of a logistic regression without a penalty, shape [k, d], relative to
    the first class, whose row is 0: 0 for those that stay finite, inf and -inf for those that run off along
    ``weights`` (where the data is separable, other weights may have other signs), nan for what is not
    determined: the feature is 0 or a combination of those before it, or can run off but does not along
    ``weights``. None: not known."""
    seconds: float
    """Wall-clock time."""
    tried: tuple[str, ...]
    """What was tried, in this order."""
    problem: Classification = field(repr=False, compare=False)
    """The data."""
    intercept: bool = False
    """Whether the last feature of ``problem`` is the 1 of an intercept, which was added."""
    exact_weights: tuple[tuple[Fraction, ...], ...] | None = field(default=None, repr=False)
    """Weights as rational numbers. Weakly separable: those that ``weights`` were rounded from. Undecided: if
    not None, they separate in exact arithmetic, though no floats that do were found."""
    exact_dual: tuple[tuple[int, int, Fraction], ...] | None = field(default=None, repr=False)
    """(i, c, q_ic) with A(q) = 0 in exact arithmetic, ``dual`` being their rounding. None: not found, though
    ``exact`` may say that such q exist, where a small change of ``dual``, positive at all pairs, is sure to
    give them."""

    @property
    def separable(self) -> bool | None:
        """True where weights separate, False where none do, None where that is undecided."""
        return None if self.kind is Separation.UNDECIDED else self.kind is Separation.SEPARABLE

    @property
    def support(self) -> np.ndarray:
        """Pairs (i, c) with dual weight, shape [s, 2]."""
        return np.argwhere(self.dual > 0).astype(np.int64)

    def infinite(self, features: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a line for each coefficient that runs off to infinity, with its class and feature.

        Args:
            features: names of the features; their numbers from 0 where None. An intercept that was added is
                called (intercept), unless a name for it comes last.

        Raises:
            InvalidArgument: as many names as there are features were not given.

        >>> from steepest import Classification, separability
        >>> found = separability(
        ...     Classification([[1.0, 3.0], [1.0, 5.0], [1.0, 6.0]], ["low", "high", "high"])
        ... )
        >>> found.infinite(["one", "size"])
        ("class 'low' against 'high': one to +inf, size to -inf",)
        """
        count = self.problem.dimension - self.intercept
        if features is not None and (
            isinstance(features, str) or len(features) not in (count, self.problem.dimension)
        ):
            raise InvalidArgument("features", features, f"give {count} names, one for each feature")
        if self.coefficients is None:
            return ()
        lines = []
        names = [f"feature {j}" for j in range(count)] if features is None else [*map(str, features)]
        names += ["(intercept)"] * (self.problem.dimension - len(names))
        classes = self.problem.classes.tolist()
        for c in range(1, len(classes)):
            runs = [
                f"{names[j]} to {'+' if self.coefficients[c, j] > 0 else '-'}inf"
                for j in np.flatnonzero(np.isinf(self.coefficients[c]))
            ]
            if runs:
                lines.append(f"class {classes[c]!r} against {classes[0]!r}: {', '.join(runs)}")
        return tuple(lines)

    def __str__(self) -> str:
        text = str(self.kind)
        if self.kind is Separation.UNDECIDED:
            if self.exact_weights is not None:
                text = "undecided: rational weights separate the data, but no floats that do were found"
            return (
                f"{text}; the smallest margin reached is {self.margin:.2g} of its terms, and A(q) is down to "
                f"{self.residual:.2g} of its terms; tried: {', '.join(self.tried) or 'nothing'}"
            )
        return f"{text}; {_EXACT if self.exact else _TO_ROUNDING}"
