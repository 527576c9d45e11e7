"""The tables of a report: data sets, certified margins, claims, and settings, as plain texts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steepest.experiments.claims.claim import ClaimResult, Verdict
from steepest.experiments.claims.measurement import Measurement
from steepest.experiments.claims.shown import effect_cells, effect_row, verdict_counts
from steepest.experiments.claims.verdict import Effect
from steepest.experiments.report.folder import StoredCell, StoredExperiment
from steepest.experiments.spec.cells import signals_described
from steepest.experiments.spec.experiment import AVERAGE

__all__ = ["ClaimTable", "claim_tables", "data_rows", "margin_rows", "setting_rows"]

_MARKS = {Verdict.SUPPORTED: "✓", Verdict.CONTRADICTED: "✗", Verdict.UNDECIDED: "?"}


@dataclass(frozen=True)
class ClaimTable:
    """One claim, with a row for each data set, norm and loss."""

    name: str
    sentence: str
    statement: str
    threshold: str
    summary: str
    rows: tuple[dict[str, Any], ...]
    seeds: tuple[int, ...]


def claim_tables(claims: Sequence[ClaimResult]) -> Iterator[ClaimTable]:
    """Yield a table for each claim by its name, in the order of the claims."""
    for name in dict.fromkeys(claim.name for claim in claims):
        same = [claim for claim in claims if claim.name == name]
        seeds = {seed for claim in same for m in claim.measurements for seed in m.seeds}
        rows = tuple(_claim_row(claim, sorted(seeds)) for claim in same)
        first, count = same[0], verdict_counts(same)
        yield ClaimTable(
            name, first.sentence, first.statement, first.threshold, count, rows, tuple(sorted(seeds))
        )


def _claim_row(claim: ClaimResult, seeds: Sequence[int]) -> dict[str, Any]:
    return {
        "data": claim.data,
        "about": "generalises to" if claim.generalises else "decides",
        "norm": claim.norm,
        "loss": claim.loss,
        "verdict": str(claim.verdict),
        "kind": str(claim.verdict),
        "mark": _MARKS[claim.verdict],
        "reason": claim.reason,
        "remarks": claim.remarks,
        "effects": [_effect_row(claim, each) for each in claim.effects],
        "measurements": [_measurement_row(m, seeds) for m in claim.measurements],
    }


def _effect_row(claim: ClaimResult, effect: Effect) -> dict[str, str]:
    if effect == claim.effect:
        return {**effect_cells(claim), "about": "decides"}
    return {**{name: text or "–" for name, text in effect_row(effect).items()}, "about": ""}


def _measurement_row(m: Measurement, seeds: Sequence[int]) -> dict[str, Any]:
    by_seed = dict(zip(m.seeds, m.values, strict=True))
    return {
        "quantity": m.quantity,
        "where": m.where,
        "values": [f"{by_seed[seed]:.4g}" if seed in by_seed else "" for seed in seeds],
        "bound": m.bound or "to inform",
    }


def data_rows(experiment: StoredExperiment) -> list[dict[str, str]]:
    """Return each data set and seed: its sizes, its hash and R, those of unfinished experiments included."""
    if experiment.settings is not None:
        kinds = {data.name: data.kind for data in experiment.settings.experiment.data}
        return [
            {
                "data": each.name,
                "kind": kinds.get(each.name, ""),
                "seed": str(each.seed),
                "samples": f"{each.samples:,}",
                "features": f"{each.features:,}",
                "classes": str(each.classes),
                "radius": f"{each.feature_bound:.6g}",
                "fingerprint": each.fingerprint,
            }
            for each in experiment.settings.data
        ]
    return [_stored_data_row(cell) for cell in _one_each(experiment.cells)]


def _stored_data_row(cell: StoredCell) -> dict[str, str]:
    dataset = cell.dataset
    radius = f"{float(dataset['feature_bound'].item()):.6g}" if "feature_bound" in dataset else ""
    return {
        "data": cell.group[0],
        "kind": str(cell.description["data"].get("kind", "")),
        "seed": str(cell.description["seed"]),
        "samples": f"{int(dataset['samples'].item()):,}",
        "features": f"{int(dataset['features'].item()):,}",
        "classes": str(int(dataset["classes"].item())),
        "radius": radius,
        "fingerprint": str(cell.description["samples"]),
    }


def margin_rows(experiment: StoredExperiment) -> list[dict[str, str]]:
    """Return the certified max margin of each data set, seed and norm that has runs."""
    solved = {(str(text["samples"]), str(text["norm"])): solution for text, solution in experiment.solutions}
    rows = []
    for cell in _one_each(experiment.cells, by_norm=True):
        norm, dataset = cell.group[1], cell.dataset
        lower, upper = (float(dataset[name].item()) for name in ("max_margin", "max_margin_upper_bound"))
        solution = solved.get((str(cell.description["samples"]), norm))
        facts: Mapping[Any, Any] = {} if solution is None else solution.attrs
        seconds = f"{float(facts['seconds']):.3g}" if "seconds" in facts else "not stored"
        radius = float(dataset["feature_radius"].item()) if "feature_radius" in dataset else math.nan
        rows.append(
            {
                "data": cell.group[0],
                "seed": str(cell.description["seed"]),
                "norm": norm,
                "lower": f"{lower:.10g}",
                "upper": f"{upper:.10g}",
                "gap": f"{(upper - lower) / lower:.1e}",
                "method": str(facts.get("method", "not stored")),
                "seconds": seconds,
                "radius": "" if math.isnan(radius) else f"{radius:.6g}",
                "unique": _uniqueness(float(dataset["unique_optimum"].item())),
            }
        )
    return rows


def _uniqueness(known: float) -> str:
    if math.isnan(known):
        return "not known"
    return "yes" if known == 1 else "no"


def _one_each(cells: Sequence[StoredCell], *, by_norm: bool = False) -> list[StoredCell]:
    found: dict[tuple[Any, ...], StoredCell] = {}
    for cell in cells:
        data, norm, _ = cell.group
        found.setdefault((data, cell.description["seed"], norm if by_norm else None), cell)
    return [found[key] for key in sorted(found, key=str)]


def setting_rows(experiment: StoredExperiment) -> list[tuple[str, str]]:
    """Return the keys of the experiment as it was resolved, each with its value as text."""
    if experiment.settings is not None:
        table = json.loads(experiment.settings.experiment.model_dump_json(exclude_none=True))
    else:
        first = experiment.cells[0].description
        table = {
            "data": _distinct(cell.description["data"] for cell in experiment.cells),
            "norm": _distinct(cell.group[1] for cell in experiment.cells),
            "loss": _distinct(cell.group[2] for cell in experiment.cells),
            "batch_size": _distinct(cell.description["batch_size"] for cell in experiment.cells),
            "schedule": _distinct(cell.description["schedule"] for cell in experiment.cells),
            "momentum": first["momentum"],
            "momentum_kind": first.get("momentum_kind", AVERAGE),
            "signal": signals_described(first),
            **{name: first[name] for name in ("steps", "records", "gap")},
        }
    return [row for name, value in table.items() if value not in ({}, [], "") for row in _flat(name, value)]


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for place, each in enumerate(value):
            yield from _flat(f"{name}[{place}]", each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{name}.{key}", each)
    elif isinstance(value, list):
        yield name, ", ".join(map(_said, value))
    else:
        yield name, _said(value)


def _said(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
