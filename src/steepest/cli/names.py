"""Parts that several commands take by name."""

from __future__ import annotations

from typing import Annotated

import typer

from steepest.cli import completion

__all__ = ["Loss", "Norm"]

Norm = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A norm, such as spectral, max or schatten-4; `steepest parts` lists them.",
        show_default=False,
        autocompletion=completion.norms,
    ),
]
Loss = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A loss, such as exponential; `steepest parts` lists them.",
        autocompletion=completion.losses,
    ),
]
