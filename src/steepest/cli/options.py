"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AsJson", "MaxMarginGap", "Momentum", "Quick", "Quiet", "TimeLimit", "VarianceReduction"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Quick = Annotated[bool, typer.Option("--quick", help="The reduced form that the experiment defines.")]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Stop after so many seconds with what was found."),
]
MaxMarginGap = Annotated[float, typer.Option(help="Relative gap of the max margin that is small enough.")]
Momentum = Annotated[float, typer.Option(metavar="BETA", help="Momentum, from 0 up to below 1.")]
VarianceReduction = Annotated[
    bool, typer.Option("--variance-reduction", help="Variance-reduced gradients (SVRG).")
]
