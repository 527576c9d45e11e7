"""What a max-margin computation returns: weights, both bounds, their evidence and a status."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from functools import cached_property

import numpy as np

from steepest.arguments import real_number
from steepest.arrays import Array, as_numpy
from steepest.errors import InvalidArgument
from steepest.geometry import Norm, norm_label
from steepest.maxmargin.optima.set import Canonical, SetOfOptima
from steepest.maxmargin.optima.uniqueness import Uniqueness
from steepest.problem import Classification

__all__ = ["MaxMarginSolution", "Status"]


class Status(Enum):
    """How a max-margin computation ended; the values are the messages."""

    SOLVED = "solved: the certified relative gap is within the one asked for"
    NO_SOFT_MARGIN = (
        "no soft margin: nu is too small for these data, as certified by dual weights q within their caps "
        "with A(q) = 0"
    )
    STOPPED = "stopped before the gap was reached: these are the best certified bounds so far"
    NOT_SEPARABLE = "not separable: the max margin is 0, certified by dual weights q with A(q) = 0"
    WEAKLY_SEPARABLE = (
        "not separable, only weakly: the max margin is 0, certified by dual weights q with A(q) = 0, but "
        "weights give some samples a positive margin and none a negative one (quasi-complete separation)"
    )
    UNDECIDED = (
        "separability undecided: neither weights of positive margin nor dual weights q with A(q) = 0 were "
        "found; these are the best certified bounds"
    )
    GAP_NOT_REACHED = "gap not reached within the limit: these are the best certified bounds so far"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class MaxMarginSolution:
    """A certified max margin: γ = max_{‖W‖ ≤ 1} min_{i, c ≠ y_i} (e_{y_i} - e_c)ᵀ W x_i.

    Both bounds were computed from (``weights``, ``dual``) in the original data, with rounding accounted
    for: ``margin`` ≤ γ ≤ ``upper_bound`` holds whatever the solver did. Arrays are NumPy arrays.
    """

    norm: Norm
    """The norm whose unit ball the weights are in."""
    weights: np.ndarray
    """W, shape [k, d], of norm 1; zeros where no weights with a positive margin are known."""
    margin: float
    """Lower bound on γ, attained by ``weights``; 0 where these are zero. In units of the features."""
    upper_bound: float
    """‖A(q)‖_* of ``dual``, an upper bound on γ; 0 where it is certain that no weights separate, ``dual``
    being the rounding of dual weights with A(q) = 0."""
    relative_gap: float
    """(upper_bound - margin) / upper_bound; 0 where both are 0."""
    dual: np.ndarray
    """q, shape [n, k]: non-negative, of sum 1, zero at the true class and away from the support."""
    separable: bool | None
    """True: some weights have a positive margin. False: ``dual`` certifies that none have. None: undecided.
    It is the same in every norm: ``steepest.separability`` has more of it."""
    seconds: float
    """Wall-clock time of the computation."""
    iterations: int
    """Iterations of the method that gave the solution."""
    method: str
    """The method that gave the solution."""
    status: Status = field(default=Status.SOLVED)
    """How the computation ended."""
    problem: Classification | None = field(default=None, repr=False, compare=False)
    """The data; None for a solution made without it, which cannot tell whether it is the only one."""
    canonical: Canonical | None = field(default=None, repr=False, compare=False)
    """Evidence that ``weights`` have the least Frobenius norm of all optima; None where not asked for."""
    intercept: np.ndarray | None = None
    """b, shape [k], of logits W x + b, which the norm does not measure; None without an intercept."""
    nu: float | None = None
    """ν of a soft margin, the mean of the ν n worst margins; None for a hard one, the smallest margin."""
    free: tuple[int, ...] = ()
    """Features whose weights the norm does not measure."""
    exact_dual: tuple[tuple[int, int, Fraction], ...] | None = field(default=None, repr=False)
    """(i, c, q_ic), whose ``dual`` is the rounding: those of ``upper_bound``, where sums A(q) cancel to fewer
    digits than floats have. None: ``dual`` itself shows the bound, or dual weights next to it."""

    @cached_property
    def support(self) -> np.ndarray:
        """Pairs (i, c) with dual weight, shape [s, 2], int64, ordered by sample."""
        return np.argwhere(self.dual > 0).astype(np.int64)

    @cached_property
    def optima(self) -> SetOfOptima:
        """The set of all optima, worked out from ``weights`` and ``dual`` when it is first needed.

        Raises:
            InvalidArgument: the solution was made without its problem, or is of a relaxed max margin.
        """
        if self.problem is None:
            raise InvalidArgument("problem", None, "use a solution that max_margin returned")
        if self.nu is not None or self.intercept is not None or self.free:
            remedy = "the set of optima is known of hard margins without free weights alone"
            raise InvalidArgument("solution", "a relaxed max margin", remedy)
        return SetOfOptima(self.problem, self.norm, self.weights, self.dual, self.relative_gap)

    @property
    def unique(self) -> bool | None:
        """Whether this is the only optimum of norm 1; None where neither could be shown.

        >>> from steepest import Classification, max_margin
        >>> solution = max_margin(Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1]), "max")
        >>> solution.unique, solution.uniqueness.rank, solution.uniqueness.unknowns
        (False, 0, 2)
        """
        return self.uniqueness.unique

    @property
    def uniqueness(self) -> Uniqueness:
        """The verdict of :attr:`unique` with its evidence; ``str`` of it is a sentence."""
        return self.optima.uniqueness

    def distance_to_optima(self, W: Array, accuracy: float = 1e-10) -> np.ndarray:
        """Distance of the direction of weights to the set of all optima, in [0, 1].

        dist(W) = min_{V ∈ K} ‖W/‖W‖_F - V‖_F over the convex cone K = {V : margin(V) ≥ γ ‖V‖} of optima of
        any size, with ‖·‖ the norm of the max margin. It is 0 for optima and never above the distance to any
        one of them; it is the sine of the angle to the nearest one where that is acute, and 1 beyond. Where
        the optimum W* is unique it is sqrt(1 - cos²) of the cosine to W*. γ is known to
        ``optima.attained_gap``; within it the margin that the weights attain is taken, so that K is not
        empty, and each condition of K may be broken by 1e-12 in relation, and by ``accuracy``.

        Args:
            W: weights, shape [..., k, d], of any size.
            accuracy: largest amount by which the nearest direction may break a condition of K, above 0; a
                distance is understated by about as much, and never overstated.

        Returns:
            Distances, shape [...]; 1 for W = 0, NaN where no weights of positive margin are known. Where the
            set of optima could not be worked out, an upper bound: the distance to the known optimum.

        Raises:
            InvalidArgument: a wrong shape, values that are not finite, an accuracy that is not positive.

        >>> from steepest import Classification, max_margin
        >>> solution = max_margin(Classification([[2.0, 0.0], [0.0, 1.0]], [0, 1]), "max")
        >>> [float(x.round(9)) for x in solution.distance_to_optima([[[1, -1], [0, 1]], [[-1, 1], [1, -1]]])]
        [0.0, 1.0]
        """
        W = as_numpy(self.optima.problem.weights_like_features(W))
        if not np.isfinite(W).all():
            raise InvalidArgument("W", W, "give finite weights")
        accuracy = real_number("accuracy", accuracy, "give a positive number, such as 1e-10", above=0)
        return self.optima.distance(W, accuracy)

    def cosine_to_optima(self, W: Array, accuracy: float = 1e-10) -> np.ndarray:
        """Generalised cosine: the largest cosine of weights [..., k, d] to an optimum, at least 0, as [...].

        It is sqrt(1 - dist²) of :meth:`distance_to_optima`, and the cosine to W* where the optimum W* is
        unique and the angle acute. ``accuracy`` and the errors are those of the distance.
        """
        return np.sqrt(1.0 - self.distance_to_optima(W, accuracy) ** 2)

    def of_least_frobenius_norm(self) -> MaxMarginSolution:
        """Return the optimum of least Frobenius norm, which ``max_margin(..., canonical=True)`` gives.

        ``canonical`` of it says how near it is to the least. Where the set of optima could not be worked out,
        the weights are kept, and ``canonical`` says so.
        """
        started = time.perf_counter()
        found = self.optima.canonical
        found.weights.setflags(write=False)
        found.dual.setflags(write=False)
        solution = replace(
            self,
            weights=found.weights,
            margin=found.margin,
            upper_bound=found.upper_bound,
            relative_gap=found.relative_gap,
            dual=found.dual,
            canonical=found,
            seconds=self.seconds + time.perf_counter() - started,
        )
        # It is the same set, which need not be worked out again from another of its points.
        solution.__dict__["optima"] = self.optima
        return solution

    def __repr__(self) -> str:
        return (
            f"MaxMarginSolution({norm_label(self.norm)}: "
            f"{self.margin:.12g} <= max margin <= {self.upper_bound:.12g}, "
            f"relative gap {self.relative_gap:.1e}, {self.method}, {self.iterations} iterations, "
            f"{self.seconds:.2f} s; {self.status.name.lower().replace('_', ' ')})"
        )
