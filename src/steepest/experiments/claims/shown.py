"""Verdicts as tables show them: counts, and effects with interval, signs and number of data sets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from steepest.experiments.claims.claim import ClaimResult
from steepest.experiments.claims.verdict import LONGER, Effect, Verdict

__all__ = ["EFFECT_COLUMNS", "effect_cells", "effect_row", "verdict_counts"]

EFFECT_COLUMNS = ("effect", "interval", "range", "asked", "so on", "more")
"""The keys of :func:`effect_row` that say how large an effect is, in order."""


def verdict_counts(claims: Sequence[ClaimResult]) -> str:
    """Return how many claims have each verdict, those on data of another kind apart; empty without claims.

    Such as "5 supported, 1 undecided; on other data 2 supported".
    """
    about = _counted([claim for claim in claims if not claim.generalises])
    beyond = _counted([claim for claim in claims if claim.generalises])
    return "; ".join([*([about] if about else []), *([f"on other data {beyond}"] if beyond else [])])


def effect_row(effect: Effect) -> dict[str, str]:
    """Return an effect as texts: its size, 95 % interval, range, what is asked, on how many data sets, ..."""
    known = not effect.proven and math.isfinite(effect.low) and math.isfinite(effect.high)
    return {
        "quantity": effect.quantity,
        "where": effect.where,
        "effect": "" if effect.proven else f"{effect.mean:.3g}",
        "interval": f"{effect.low:.3g} to {effect.high:.3g}" if known else "",
        "range": f"{effect.least:.3g} to {effect.largest:.3g}",
        "asked": effect.asked,
        "so on": f"{effect.on_its_side} of {effect.data_sets}",
        "shown": str(effect.outcome),
        "more": _more(effect),
    }


def effect_cells(claim: ClaimResult) -> dict[str, str]:
    """Return the effect that decides a claim as texts; dashes where nothing was measured."""
    if claim.effect is None:
        return dict.fromkeys(("quantity", "where", *EFFECT_COLUMNS), "–")
    row = effect_row(claim.effect)
    return {**{name: text or "–" for name, text in row.items()}, "more": _needed(claim)}


def _needed(claim: ClaimResult) -> str:
    if claim.verdict is not Verdict.UNDECIDED:
        return "–"
    if claim.more_data_sets is not None:
        return f"{claim.more_data_sets:,} data sets"
    return "steps" if claim.effect is not None and claim.effect.outcome in LONGER else "–"


def _more(effect: Effect) -> str:
    if effect.outcome in LONGER:
        return "steps"
    return "" if effect.more_data_sets is None else f"{effect.more_data_sets:,}"


def _counted(claims: Sequence[ClaimResult]) -> str:
    counts: dict[Any, int] = Counter(claim.verdict for claim in claims)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
