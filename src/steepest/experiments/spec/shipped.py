"""The experiments that come with steepest: the paper's figures, and what it names but does not plot."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from steepest.errors import InvalidArgument
from steepest.experiments.inputs import as_path
from steepest.experiments.spec.experiment import Experiment, load_experiment

__all__ = ["extensions", "find_experiment", "paper_experiment", "paper_figures"]

_HOME = "steepest.experiments.spec"


def paper_figures() -> tuple[str, ...]:
    """Return the names of the paper's figures that can be reproduced.

    >>> paper_figures()
    ('figure1', 'figure2', 'figure3', 'figure4')
    """
    return _names("paper")


def extensions() -> tuple[str, ...]:
    """Return the names of the experiments beyond the paper's figures.

    >>> extensions()
    ('batch-one', 'digits', 'exponential-loss', 'long-run', 'other-norms', 'rates', 'uneven-batches')
    """
    return _names("extensions")


def paper_experiment(figure: str) -> Experiment:
    """Return the experiment of a figure of the paper.

    Raises:
        InvalidArgument: no figure has that name.

    >>> paper_experiment("figure1").norm
    ('frobenius',)
    """
    if not isinstance(figure, str) or figure not in paper_figures():
        raise InvalidArgument("figure", figure, f"give one of {', '.join(paper_figures())}, or all")
    return _load("paper", figure)


def find_experiment(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Return the experiment of that name among those that come with steepest, or the one in that file.

    Args:
        name_or_path: one of :func:`paper_figures` and :func:`extensions`, or the path of a TOML file, which
            comes before a name.
        overrides: dotted key to value; they replace or add keys.

    Raises:
        DataFileError: the file cannot be read or is not TOML.
        InvalidArgument: neither a known name nor the path of a .toml file; or a key or value of the
            experiment that cannot be used.

    >>> find_experiment("other-norms", {"seed": 7}).seed
    (7,)
    """
    path = as_path("experiment", name_or_path, "give the path of a .toml file, or a name")
    if path.suffix == ".toml" or path.is_file():
        return load_experiment(path, overrides)
    name = str(name_or_path)
    for folder in ("paper", "extensions"):
        if name in _names(folder):
            return _load(folder, name, overrides)
    known = ", ".join([*extensions(), *paper_figures()])
    raise InvalidArgument("experiment", name, f"give the path of a .toml file, or one of {known}")


def _names(folder: str) -> tuple[str, ...]:
    entries = (resources.files(_HOME) / folder).iterdir()
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))
    )


def _load(folder: str, name: str, overrides: Mapping[str, Any] | None = None) -> Experiment:
    with resources.as_file(resources.files(_HOME) / folder / f"{name}.toml") as path:
        return load_experiment(path, overrides)
