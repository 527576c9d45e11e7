"""Names that the shell completes; each list is read from where the names are kept, when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["data_sets", "experiments", "figures", "losses", "norms"]


def norms(incomplete: str) -> list[str]:
    """Return the norms that have a name."""
    from steepest.geometry.names import NORMS

    return _starting(NORMS, incomplete)


def losses(incomplete: str) -> list[str]:
    """Return the losses."""
    from steepest.losses import LOSSES

    return _starting(LOSSES, incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Return the data sets that have a name, and the files and folders that go on as the text does."""
    from steepest.datasets import DATA_SETS

    return _starting(DATA_SETS, incomplete) + _paths(incomplete)


def experiments(incomplete: str) -> list[str]:
    """Return the experiments that come with steepest, and the files and folders."""
    from steepest.experiments.spec.shipped import extensions, paper_figures

    return _starting((*extensions(), *paper_figures()), incomplete) + _paths(incomplete)


def figures(incomplete: str) -> list[str]:
    """Return the figures of the paper."""
    from steepest.experiments.spec.shipped import paper_figures

    return _starting((*paper_figures(), "all"), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _paths(incomplete: str) -> list[str]:
    folder, _, start = incomplete.rpartition("/")
    try:
        place = Path(f"{folder}/" if incomplete.startswith("/") else folder or ".").expanduser()
        found = sorted(each for each in place.iterdir() if each.name.startswith(start))
    except (OSError, RuntimeError):
        # No such folder, none that may be read, or the home of a user who is not there: nothing goes on so.
        return []
    lead = f"{folder}/" if "/" in incomplete else ""
    return [
        f"{lead}{each.name}{'/' if each.is_dir() else ''}" for each in found if start or each.name[0] != "."
    ]
