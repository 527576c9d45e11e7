"""The table of what is trained how, and a warning where that looks like a mistake."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from steepest.errors import SteepestWarning
from steepest.optim.directions import is_spectral
from steepest.optim.options import real_shape
from steepest.optim.policy import EMBEDDING_NAME, HEAD_NAME
from steepest.optim.scales import scale_text
from steepest.optim.update import Steps

__all__ = ["Routed", "Routing", "routing", "warn_of_embeddings"]

_TALL, _MANY_ROWS = 8, 512
"""A map between hidden layers hardly has so many times more outputs than inputs; a vocabulary has."""


class Routed(NamedTuple):
    """One parameter: its shape, its logical matrices, and how they are trained."""

    parameter: str
    shape: tuple[int, ...]
    matrices: tuple[tuple[int, int, int], ...]
    norm: str
    scale: str


@dataclass(frozen=True)
class Routing:
    """All parameters of an optimiser in its order; its text is a table."""

    rows: tuple[Routed, ...]
    """Each parameter, and how it is moved."""

    def __iter__(self) -> Iterator[Routed]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        table = [("parameter", "shape", "matrices", "norm", "scale")]
        for row in self.rows:
            matrices = ", ".join(f"{count} of {rows}×{columns}" for count, rows, columns in row.matrices)
            shape = "×".join(map(str, row.shape)) or "scalar"
            table.append((row.parameter, shape, _merged(row.matrices) or matrices, row.norm, row.scale))
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines = (
            "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table
        )
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def routing(groups: Sequence[Mapping[str, Any]], steps: Sequence[Steps]) -> Routing:
    """Return the table of an optimiser's groups."""
    rows = []
    for group, own in zip(groups, steps, strict=True):
        names = group.get("param_names") or [""] * len(group["params"])
        for param, name in zip(group["params"], names, strict=True):
            matrices = tuple(own.layout.shapes(real_shape(param)))
            label = name or f"parameter {len(rows)}"
            rows.append(
                Routed(label, tuple(param.shape), matrices, str(group["norm"]), scale_text(group["scale"]))
            )
    return Routing(tuple(rows))


def warn_of_embeddings(group: Mapping[str, Any]) -> None:
    """Warn of parameters in the spectral norm that look like tables of vectors or like heads.

    The spectral direction mixes the rows of all tokens: those that a batch has not seen move like the others.
    """
    if not is_spectral(group["norm"]) or group.get("role") == "matrix":
        return
    names = group.get("param_names") or [""] * len(group["params"])
    for position, (param, name) in enumerate(zip(group["params"], names, strict=True)):
        if param.ndim != 2:
            continue
        owner = name.removesuffix(".weight")
        by_name = bool(EMBEDDING_NAME.search(owner.rpartition(".")[2]) or HEAD_NAME.search(owner))
        rows, columns = param.shape
        by_shape = rows >= _MANY_ROWS and rows >= _TALL * columns
        if by_name or by_shape:
            warnings.warn(
                f"{name or f'parameter {position}'} of shape [{rows}, {columns}] looks like an embedding or "
                f"a head, and is to be trained in the {group['norm']} norm: give it a norm of rows, such as "
                f"row-2/inf, in a group of its own, or give the whole model instead of its parameters",
                SteepestWarning,
                stacklevel=4,
            )


def _merged(matrices: Sequence[tuple[int, int, int]]) -> str:
    """Return the text of parts that all have one shape."""
    if len({shape[1:] for shape in matrices}) != 1:
        return ""
    count, (_, rows, columns) = sum(shape[0] for shape in matrices), matrices[0]
    return f"{rows}×{columns}" if count == 1 else f"{count} of {rows}×{columns}"
