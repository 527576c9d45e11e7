"""Verdicts in words: one sentence that a reader who knows no statistics understands."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steepest.experiments.claims.statistics import CONFIDENCE
from steepest.experiments.claims.verdict import LEAST_DATA_SETS, LONGER, Effect, Outcome, Verdict

__all__ = ["decisive", "in_words", "size_in_words"]

_REFUTED = (Outcome.REFUTED, Outcome.FLOOR)


def decisive(verdict: Verdict, effects: Sequence[Effect]) -> Effect | None:
    """Return the part that decides: one that is refuted, else the one that lacks most, else the weakest."""
    if not effects:
        return None
    if verdict is Verdict.CONTRADICTED:
        return max((e for e in effects if e.outcome in _REFUTED), key=lambda e: e.p_value)
    if verdict is Verdict.UNDECIDED:
        return max(
            effects, key=lambda e: (e.outcome in LONGER, e.outcome is Outcome.OPEN, e.more_data_sets or 0)
        )
    seen = [e for e in effects if not e.proven]
    return max(seen, key=lambda e: e.p_value) if seen else effects[0]


def in_words(verdict: Verdict, effects: Sequence[Effect]) -> str:
    """Return a verdict as one plain sentence with the size of what decides it."""
    chosen = decisive(verdict, effects)
    if chosen is None:
        return "nothing was measured"
    parts, at = len(effects), f"{chosen.quantity} at {chosen.where}"
    if verdict is Verdict.SUPPORTED:
        if chosen.proven:
            return f"all that is asked is so on each of {_data_sets(chosen.data_sets)}"
        least = "even the least certain, " if parts > 1 else ""
        every = f"all {parts} things asked are shown; " if parts > 1 else ""
        return f"{every}{least}{at}, is {size_in_words(chosen)}"
    if verdict is Verdict.CONTRADICTED:
        bad = sum(e.outcome in _REFUTED for e in effects)
        count = f"the opposite is shown of {bad} of {parts} things asked; " if parts > 1 else ""
        floor = ", and it has come to a floor" if chosen.outcome is Outcome.FLOOR else ""
        return f"{count}{at} is {size_in_words(chosen)}{floor}"
    if chosen.data_sets < LEAST_DATA_SETS and not chosen.proven:
        return (
            f"{_data_sets(chosen.data_sets)}, where a verdict needs {LEAST_DATA_SETS} at least; so far "
            f"{at} is "
            f"{size_in_words(chosen)}"
        )
    left = sum(e.outcome is not Outcome.SHOWN for e in effects)
    count = f"{parts - left} of {parts} things asked are shown, {left} not yet; " if parts > 1 else ""
    if chosen.outcome in LONGER:
        way = "still on its way there" if chosen.outcome is Outcome.SLOW else "not yet nearing it"
        return (
            f"{count}{at} is {size_in_words(chosen)}, {way}: more steps would tell, more data sets would not"
        )
    more = "" if chosen.more_data_sets is None else f"; about {chosen.more_data_sets} more would decide it"
    return f"{count}{at} is {size_in_words(chosen)}, too uncertain for {_data_sets(chosen.data_sets)}{more}"


def size_in_words(effect: Effect) -> str:
    """Return an effect's size: its mean with the interval, what was asked, and on how many data sets."""
    on = f"on {effect.on_its_side} of {effect.data_sets} data sets"
    if effect.proven:
        return (
            f"from {effect.least:.3g} to {effect.largest:.3g}, where {effect.asked} is asked; so it is {on}"
        )
    sure = ""
    if math.isfinite(effect.low) and math.isfinite(effect.high):
        sure = f" ({CONFIDENCE:.0%} sure: {effect.low:.3g} to {effect.high:.3g})"
    asked = effect.asked.removeprefix("mean ")
    return f"{effect.mean:.3g} on average{sure}, where {asked} is asked; so it is {on}"


def _data_sets(count: int) -> str:
    return "1 data set" if count == 1 else f"{count} data sets"
