"""The tables that ``steepest theory`` prints on request: over batch sizes, and over numbers of features."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from steepest.errors import RunError

if TYPE_CHECKING:
    from steepest.descent import Method
    from steepest.maxmargin import MaxMarginSolution
    from steepest.problem import Classification
    from steepest.theory import BatchCondition, DimensionRow

__all__ = ["Tables"]


@dataclass(frozen=True)
class Tables:
    """What was asked for besides the summary; None where it was not."""

    batches: BatchCondition | None
    dimensions: tuple[DimensionRow, ...] | None

    @classmethod
    def of(
        cls,
        problem: Classification,
        method: Method,
        solution: MaxMarginSolution,
        *,
        batches: bool,
        dimensions: bool,
    ) -> Tables:
        """Return the tables of a method; RunError if the data is not known to be separable."""
        from steepest.theory import batch_condition, dimension_comparison

        if (batches or dimensions) and not solution.separable:
            raise RunError("the tables need a max margin, and the data is not known to be separable")
        condition = None
        if batches:
            condition = batch_condition(problem, method.norm, solution, loss_=method.loss)
        rows = dimension_comparison(problem, method, solution) if dimensions else None
        return cls(condition, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for JSON."""
        found: dict[str, Any] = {}
        if self.batches is not None:
            found["batch_condition"] = {
                "margins": list(self.batches.scales),
                "smallest": self.batches.smallest,
                "rows": [
                    {
                        "batch_size": row.batch_size,
                        "batches": row.batches,
                        "worst_case": worst,
                        "alignment": row.mean.tolist(),
                        "standard_error": row.standard_error.tolist(),
                    }
                    for row, worst in zip(self.batches.rows, self.batches.worst_case, strict=True)
                ],
            }
        if self.dimensions is not None:
            found["dimensions"] = [
                {key: "infinite" if math.isinf(value) else value for key, value in asdict(row).items()}
                for row in self.dimensions
            ]
        return found

    def lines(self) -> Iterator[list[str]]:
        """Yield each table as lines of Markdown, with a sentence that says how to read it."""
        if self.batches is not None:
            yield _batch_lines(self.batches)
        if self.dimensions is not None:
            yield _dimension_lines(self.dimensions)


def _batch_lines(condition: BatchCondition) -> list[str]:
    scales = " | ".join(f"ρ̄/γ at margin {scale:g}" for scale in condition.scales)
    lines = [f"| b | m | worst case ρ/γ | {scales} |", "| --- " * (3 + len(condition.scales)) + "|"]
    for row, worst in zip(condition.rows, condition.worst_case, strict=True):
        means = " | ".join(f"{mean / condition.margin:.3g}" for mean in row.mean)
        lines.append(f"| {row.batch_size} | {row.batches} | {worst / condition.margin:.3g} | {means} |")
    smallest = condition.smallest
    says = (
        "For no b but the full batch the mean alignment is positive at all of these margins."
        if smallest in (None, condition.rows[-1].batch_size)
        else f"From b = {smallest} on the mean alignment of a batch is positive at all of these margins: "
        "along the max-margin solution a step without momentum lowers the loss on average."
    )
    return [*lines, "", says]


def _dimension_lines(rows: tuple[DimensionRow, ...]) -> list[str]:
    lines = [
        "| d | t₁, paper | t₁, times d | gap/ρ, paper | gap/ρ, times d |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        numbers = (row.paper_start, row.fan_start, row.paper_gap, row.fan_gap)
        lines.append(f"| {row.features} | {' | '.join(map(_number, numbers))} |")
    return [*lines, "", f"R, γ, n and k are those of the data; gaps are bounded at t = {rows[0].step:.3g}."]


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.3g}"
