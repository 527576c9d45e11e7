"""Parts that several commands take by name."""

from __future__ import annotations

from typing import Annotated

import typer

from steepest.cli import completion
from steepest.errors import InvalidArgument

__all__ = ["FULL", "Loss", "Norm", "as_batch_size"]

FULL = "full"
"""The batch of all samples."""

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


def as_batch_size(text: str, remedy: str = "give a whole number, or full for all samples") -> int | None:
    """Return a batch size that is written as a number, or None for ``full``.

    Raises:
        InvalidArgument: neither, with the remedy.

    >>> as_batch_size("20"), as_batch_size("full")
    (20, None)
    """
    if text.strip() == FULL:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise InvalidArgument("batch_size", text, remedy) from error
