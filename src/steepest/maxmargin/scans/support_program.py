"""Max margins of large data as small linear programs: of the pairs and weights that matter, in turns.

Where weights share budgets, as in the sum-norm, a vertex has as many weights as pairs with dual weight. Where
both are few hundred, though the data has 40,000 pairs and 100,000 weights, the linear program among those is
solved in a fraction of a second. Its weights say which pairs it lacks, by a scan, and its dual weights which
weights would be worth more than their budget's price: row and column generation at once. The optimum is one
of the whole where none are lacking, to all digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sparse

from steepest.geometry import Norm
from steepest.maxmargin.forms.best import Best
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL, LinearBall
from steepest.maxmargin.scans.low_pairs import low_pairs_of_all
from steepest.maxmargin.scans.working_set import WorkingSet

__all__ = ["has_budgets", "solve_on_support"]

_FIRST_PAIRS, _FIRST_PARTS = 1000, 2
"""Pairs to begin with, those of most dual weight, and parts of weights a pair."""
_MOST_PAIRS = 3000
"""Pairs of a program beyond which first-order steps are as fast."""
_MOST_PIVOTS = 5000
"""Pivots of a program: two seconds, three times as many as a program that pays takes."""
_ROOM = 500
"""Pairs and parts that may join in a round beside as many as have weight."""
_NEAR, _WORTH = 1.5, 0.7
"""Pairs stay up to so many times the level, and parts of weights from such a share of their price on."""
_BEYOND = 1e-3
"""Share of the gap by which parts exceed their price that join."""
_TOLERANCE = 1e-10
"""The least feasibility tolerance that HiGHS takes, in programs whose value is about 1."""
_MOST_ROUNDS = 40
"""Far beyond the three to six that problems take."""


def has_budgets(norm: Norm) -> bool:
    """Whether the norm's ball is one of parts of weights, none negative, that share budgets."""
    offer = LINEAR_BALL.of(norm)
    return offer is not None and offer((2, 2)).bounds[0] == 0.0 and offer((2, 2)).rows.shape[0] > 0


@dataclass(frozen=True)
class _Vertex:
    """An optimum of a program."""

    parts: np.ndarray
    """The parts of weights, shape [m]."""
    dual: np.ndarray
    """Dual weights of the pairs, of sum 1, shape [s]."""
    prices: np.ndarray
    """Of the budgets, shape [r]."""
    level: float
    """The smallest margin."""
    pivots: int


def solve_on_support(
    chosen: WorkingSet, norm: Norm, gap: float, deadline: Deadline
) -> tuple[np.ndarray, WorkingSet, int] | None:
    """Weights, a working set with its dual weights, and pivots; the gap over all samples is at most ``gap``.

    Where time is over first they are the best so far. None where there are none then, and where programs grow
    too large to pay.

    Raises:
        MissingCapability: the norm's unit ball is not one of linear inequalities that are known.
    """
    source, A = chosen.source, chosen.pair_sum()
    ball = LINEAR_BALL.required_of("norm", norm, "scans", 'use method="auto" on features in memory')(A.shape)
    chosen = chosen.kept(_most_weighed(chosen.alpha))
    values = ball.lift.T @ A.ravel()
    taken = np.zeros(len(values), dtype=bool)
    taken[np.argsort(-values, kind="stable")[: _FIRST_PARTS * len(chosen)]] = True
    best: Best = Best(A, chosen, 0.0, float(norm.dual(A)) / float(chosen.alpha.sum()))
    pivots = 0
    for _ in range(_MOST_ROUNDS):
        if deadline.passed and best.lower > 0.0:
            return best.weights, best.dual, pivots
        if len(chosen) > _MOST_PAIRS or deadline.passed:
            return None
        columns = np.flatnonzero(taken)
        vertex = _vertex(chosen, ball, columns, best.upper, deadline)
        if vertex is None:
            return None
        pivots += vertex.pivots
        whole = np.zeros(len(values))
        whole[columns] = vertex.parts
        W = np.asarray(ball.lift @ whole).reshape(A.shape)
        chosen = chosen.weighed(vertex.dual)
        A, size = chosen.pair_sum(), float(norm(W))
        better = best.take_dual(chosen, float(norm.dual(A)))
        keep, low = np.ones(len(chosen), dtype=bool), None
        # Where few parts do not separate the pairs yet the level is 0, and what the pairs lack is no matter.
        if size > 0.0 and vertex.level > 0.0:
            inside, room = chosen.margins(W), _ROOM + chosen.support
            low = low_pairs_of_all(source.rows, source.labels, W / source.scale, vertex.level, room)
            better |= best.take_weights(W, min(low.smallest, float(inside.min())) / size)
            keep = (chosen.alpha > 0.0) | (inside <= _NEAR * vertex.level)
        deadline.tell("scans", pivots, best.relative_gap)
        if best.within(gap):
            return best.weights, best.dual, pivots
        if not best.upper > 0.0:
            return None
        values, prices = ball.lift.T @ A.ravel(), ball.rows.T @ vertex.prices
        joining = _worth_joining(taken, whole, values, prices, gap)
        # Only where a bound is better does anything leave: rounds would repeat each other otherwise.
        if better:
            taken &= (whole > 0.0) | (values >= _WORTH * prices)
            chosen = chosen.kept(keep)
        taken[joining] = True
        chosen = chosen if low is None else chosen.joined(low.samples, low.classes)
    return None


def _most_weighed(alpha: np.ndarray) -> np.ndarray:
    """Where the pairs are of the most dual weight, of those that have any."""
    keep = np.zeros(len(alpha), dtype=bool)
    keep[np.argsort(-alpha, kind="stable")[:_FIRST_PAIRS]] = True
    return keep & (alpha > 0.0)


def _worth_joining(
    taken: np.ndarray, parts: np.ndarray, values: np.ndarray, prices: np.ndarray, gap: float
) -> np.ndarray:
    """The parts that are worth most beyond their price, by their numbers."""
    joining = np.flatnonzero(~taken & (values > prices * (1.0 + _BEYOND * gap)))
    order = np.argsort(prices[joining] - values[joining], kind="stable")
    return joining[order[: _ROOM + np.count_nonzero(parts)]]


def _vertex(
    chosen: WorkingSet, ball: LinearBall, columns: np.ndarray, level: float, deadline: Deadline
) -> _Vertex | None:
    """The optimum of the program of these pairs and parts, in margins divided by ``level``, or None."""
    margins = _margins(chosen, ball.lift[:, columns].tocoo()) / level
    budgets = ball.rows[:, columns]
    pairs, parts = margins.shape
    limits: Any = sparse.vstack(
        [
            sparse.hstack([-margins, sparse.csr_array(np.ones((pairs, 1)))]),
            sparse.hstack([budgets, sparse.csr_array((budgets.shape[0], 1))]),
        ],
        format="csc",
    )
    options: dict[str, float] = {"maxiter": _MOST_PIVOTS}
    options |= dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), _TOLERANCE)
    if np.isfinite(deadline.at):
        options["time_limit"] = deadline.remaining
    found: Any = scipy.optimize.linprog(
        np.append(np.zeros(parts), -1.0),
        limits,
        np.append(np.zeros(pairs), ball.right),
        bounds=[*[(0.0, None)] * parts, (None, None)],
        method="highs-ds",
        options=options,
    )
    if found.status != 0:
        return None
    marginals = -np.asarray(found.ineqlin.marginals)
    dual = np.maximum(marginals[:pairs], 0.0)
    prices = level * np.maximum(marginals[pairs:], 0.0)
    return _Vertex(
        np.maximum(found.x[:-1], 0.0), dual / dual.sum(), prices, level * found.x[-1], int(found.nit)
    )


def _margins(chosen: WorkingSet, lift: Any) -> Any:
    """The margin of every pair for a unit of every part, sparse, shape [s, m].

    ``lift`` [weights, m] has one weight a part.
    """
    X: Any = chosen.features
    d, parts = X.shape[1], lift.shape[1]
    weight, sign = np.empty(parts, dtype=np.int64), np.empty(parts)
    weight[lift.col], sign[lift.col] = lift.row, lift.data
    of_class = weight // d
    X = X.tocsc() if sparse.issparse(X) else X
    entries = sparse.csr_array(X[:, weight % d])[chosen.place].tocoo()
    true, other = chosen.labels[chosen.place][entries.row], chosen.other[entries.row]
    its = of_class[entries.col]
    towards = (true == its).astype(float) - (other == its)
    values = entries.data * sign[entries.col] * towards
    nonzero = values != 0.0
    at = entries.row[nonzero], entries.col[nonzero]
    return sparse.csr_array((values[nonzero], at), shape=entries.shape)
