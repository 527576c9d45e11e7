"""What one measurement found, and where it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from steepest.errors import InvalidArgument
from steepest.monitor.homogeneous import NetworkMargin
from steepest.monitor.margins import Alignment, HeadMargin

__all__ = ["MarginRecord", "ScalarWriter", "Write", "writer_of"]


@dataclass(frozen=True)
class MarginRecord:
    """The margins of a network's head, and of the network if it is homogeneous, before one step."""

    step: int
    """The number of optimiser steps that were taken before."""
    accuracy: float
    """Share of the samples that the head classifies correctly."""
    log_loss: float
    """Natural logarithm of the loss over the loader, which may be far below that of the smallest number."""
    margins: Mapping[str, HeadMargin]
    """The head's margin and its features' max margin, by the name of the norm."""
    alignments: Mapping[str, Alignment]
    """How the step that followed went along steepest descent; empty where none was seen."""
    network: NetworkMargin | None
    """Margin and KKT residual of the whole network; None where they were not asked for."""
    seconds: float
    """Time that the measurement took."""

    def scalars(self) -> dict[str, float]:
        """Return every number under a name such as "margin/max"; what is not known is left out."""
        found = {"accuracy": self.accuracy, "log_loss": self.log_loss, "seconds": self.seconds}
        for name, each in self.margins.items():
            found[f"margin/{name}"] = each.margin
            found[f"max_margin/{name}"] = each.solution.margin
            found[f"max_margin_upper_bound/{name}"] = each.solution.upper_bound
            found[f"relative_error/{name}"] = each.relative_error
        for name, alignment in self.alignments.items():
            found[f"alignment/{name}"] = alignment.share
            found[f"realised_alignment/{name}"] = alignment.realised
        if self.network is not None:
            found["network/margin"] = self.network.margin
            found["network/size"] = self.network.size
            found["network/kkt_residual"] = self.network.residual
        return {name: value for name, value in found.items() if not math.isnan(value)}


@runtime_checkable
class ScalarWriter(Protocol):
    """What TensorBoard's SummaryWriter can do."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> Any:
        """Write one number at a step."""
        ...


Write = Callable[[MarginRecord], object]


def writer_of(report: object, prefix: str) -> Write | None:
    """Return where records go: to a function, to a writer of scalars under a prefix, or nowhere.

    Raises:
        InvalidArgument: it is none of these.

    >>> writer_of(3, "margins")
    Traceback (most recent call last):
    ...
    steepest.errors.InvalidArgument: report=3: give a function of a record, a SummaryWriter, or None
    """
    if report is None:
        return None
    if isinstance(report, ScalarWriter) and not isinstance(report, type):
        writer = report

        def write(record: MarginRecord) -> None:
            for name, value in record.scalars().items():
                writer.add_scalar(f"{prefix}/{name}", value, record.step)

        return write
    if callable(report) and not isinstance(report, type):
        return report
    raise InvalidArgument("report", report, "give a function of a record, a SummaryWriter, or None")
