"""Max margins by scans: weights, and dual weights of the few samples that have any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steepest.features import Rows
from steepest.geometry import Norm
from steepest.maxmargin.first_order.coordinate import DUAL_ASCENT
from steepest.maxmargin.first_order.projections import BALL_PROJECTION
from steepest.maxmargin.forms.candidate import Deadline
from steepest.maxmargin.interior.balls import BALL_BARRIER
from steepest.maxmargin.peers.linear_balls import LINEAR_BALL
from steepest.maxmargin.polyhedral.balls import POLYHEDRAL_BALL
from steepest.maxmargin.scans.few_unknowns import solve_few_unknowns
from steepest.maxmargin.scans.frobenius import solve_frobenius
from steepest.maxmargin.scans.saddle import is_box, solve_saddle
from steepest.maxmargin.scans.splitting import solve_split
from steepest.maxmargin.scans.support_program import has_budgets, solve_on_support
from steepest.maxmargin.scans.working_set import Source, WorkingSet, row_squares

__all__ = ["Found", "solve_by_scans", "source_of"]

_START = 1e-2
"""Gap in the Frobenius norm from which other norms start."""
_FEW = 1000
"""Unknowns of which a Newton system costs some ten milliseconds."""
_FEW_SAMPLES = 2
"""Samples a class up to which projections serve a shared budget better than gradient steps do."""
_FEW_PAIRS = 3000
"""Pairs with dual weight in the Frobenius norm up to which a shared budget's vertex is likely one of few."""
_ROUNDING = 0.8
"""Share of the gap that is aimed at, so that what rounding adds in the certificate has room."""


@dataclass(frozen=True)
class Found:
    """What was found, in the features' own units."""

    weights: np.ndarray
    """W, shape [k, d], of any size."""
    rows: np.ndarray
    """The samples that may have dual weight, shape [m]."""
    dual: np.ndarray
    """Their dual weights, shape [m, k], of any sum."""
    iterations: int
    method: str


def source_of(rows: Rows, labels: np.ndarray, classes: int) -> Source:
    """The data, with the size of its features."""
    largest = max(rows.scan(lambda _, block: float(abs(block).max()), 1))
    scale = 2.0 ** np.floor(np.log2(largest)) if largest > 0.0 else 1.0
    # Of features divided by that first, since squares may leave float64.
    lengths = rows.scan(lambda _, block: float(row_squares(block.astype(float) / scale).max()), 1)
    return Source(rows, labels, classes, scale * (float(np.sqrt(max(lengths))) or 1.0))


def solve_by_scans(source: Source, norm: Norm, gap: float, deadline: Deadline) -> Found:
    """Weights and dual weights of a relative gap of about ``gap``.

    Raises:
        MissingCapability: the norm offers neither an ascent in the dual nor a projection on its dual ball,
            and none of the interior points and linear inequalities that are tried before that projection.
    """
    frobenius, few = DUAL_ASCENT.of(norm) is not None, _has_few_unknowns(source, norm)
    aim = _ROUNDING * gap
    first = aim if frobenius else max(aim, _START)
    chosen, smallest, iterations = solve_frobenius(source, first, deadline)
    W, method = chosen.pair_sum(), "scans, coordinate ascent"
    if few and not (frobenius and _gap(chosen, W, smallest) <= gap):
        W, rows, dual, iterations, method = solve_few_unknowns(chosen, norm, aim, deadline)
        return Found(W, rows, dual, iterations, method)
    if not frobenius and smallest > 0.0:
        if has_budgets(norm) and chosen.support <= _FEW_PAIRS:
            found = solve_on_support(chosen, norm, aim, deadline)
            if found is not None:
                return _found(*found, "scans, linear programs")
        if _is_polyhedral(norm) and (is_box(norm) or not _shares_few(source, norm)):
            W, chosen, iterations = solve_saddle(chosen, norm, aim, deadline)
            method = "scans, primal-dual gradient"
        else:
            W, chosen, iterations = solve_split(chosen, norm, aim, deadline)
            method = "scans, split in projections"
    return _found(W, chosen, iterations, method)


def _found(W: np.ndarray, chosen: WorkingSet, iterations: int, method: str) -> Found:
    dual = np.zeros((len(chosen.rows), chosen.source.classes))
    dual[chosen.place, chosen.other] = chosen.alpha
    return Found(W, chosen.rows, dual, iterations, method)


def _is_polyhedral(norm: Norm) -> bool:
    """Whether the norm's ball has corners and flat faces, and a projection."""
    return LINEAR_BALL.of(norm) is not None and BALL_PROJECTION.of(norm) is not None


def _shares_few(source: Source, norm: Norm) -> bool:
    """Whether weights share a budget, as the sum-norm's do, and classes have hardly any samples."""
    ball = LINEAR_BALL.of(norm)
    few = source.rows.shape[0] <= _FEW_SAMPLES * source.classes
    return few and ball is not None and ball((2, 2)).rows.shape[0] > 0


def _has_few_unknowns(source: Source, norm: Norm) -> bool:
    """Whether an interior point of all weights costs less than the scans do."""
    interior = BALL_BARRIER.of(norm) is not None or POLYHEDRAL_BALL.of(norm) is not None
    return interior and source.classes * source.rows.shape[1] <= _FEW


def _gap(chosen: WorkingSet, W: np.ndarray, smallest: float) -> float:
    """The relative gap in the Frobenius norm, in which W is A(α)."""
    square = float(np.sum(W * W))
    return 1.0 - smallest * float(chosen.alpha.sum()) / square if square > 0.0 else 1.0
