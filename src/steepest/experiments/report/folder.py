"""What a folder of results holds: each experiment as far as it was run, and runs whose settings are gone."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.errors import InvalidArgument, SteepestWarning
from steepest.experiments.claims.check import check_claims
from steepest.experiments.claims.claim import ClaimResult, Verdict
from steepest.experiments.dimensions import with_generalisation
from steepest.experiments.spec.cells import signals_described
from steepest.experiments.store.notes import notes_of
from steepest.experiments.store.results import combine
from steepest.experiments.store.settings import SUFFIX, Settings, read_settings
from steepest.experiments.store.store import Store, key_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["StoredCell", "StoredExperiment", "read_folder"]

Group = tuple[str, str, str]
"""Data set, norm and loss."""

_ALIKE = (
    *("steps", "records", "gap", "reference", "bias", "weights", "momentum"),
    *("variance_reduction", "signal", "momentum_kind"),
)


@dataclass(frozen=True)
class StoredCell:
    """One file of runs, with the description of what they depend on."""

    description: Mapping[str, Any]
    dataset: xr.Dataset

    @property
    def group(self) -> Group:
        """Data set, norm and loss."""
        return self._label("data"), self._label("norm"), self._label("loss")

    @property
    def place(self) -> tuple[str, ...]:
        """What tells it from the other cells of an experiment."""
        return (*self.group, self._label("batch_size"), self._label("seed"))

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.description["momentum"]) * len(signals_described(self.description))

    def _label(self, name: str) -> str:
        return str(self.dataset[name].item())


@dataclass(frozen=True)
class StoredExperiment:
    """An experiment as far as a folder holds it."""

    folder: Path
    cells: tuple[StoredCell, ...]
    solutions: tuple[tuple[Mapping[str, Any], xr.Dataset], ...]
    """Certified max margins of the same folder, each with its description."""
    settings: Settings | None = None
    """None where the folder does not say what the runs belong to."""
    asked: Mapping[Group, int] | None = None
    """Cells that the experiment has for each data set, norm and loss; None with unknown settings."""

    @property
    def name(self) -> str:
        """The experiment's name, or what to call runs without one."""
        return "other runs" if self.settings is None else self.settings.experiment.name

    @property
    def title(self) -> str:
        """The experiment's title, empty if it has none."""
        return "" if self.settings is None else self.settings.experiment.title

    @cached_property
    def dataset(self) -> xr.Dataset:
        """All runs, joined; what was not run is NaN."""
        return combine(cell.dataset for cell in self.cells)

    @property
    def runs(self) -> int:
        """Number of runs."""
        return sum(cell.runs for cell in self.cells)

    @property
    def missing(self) -> int:
        """Cells that the experiment asks for and the folder does not hold."""
        return 0 if self.asked is None else sum(self.asked.values()) - len(self.cells)

    @cached_property
    def claims(self) -> tuple[ClaimResult, ...]:
        """The experiment's claims, judged where every run of a data set, norm and loss is there."""
        if self.settings is None or self.asked is None or not self.settings.experiment.claims:
            return ()
        names = self.settings.experiment.claims
        found = Counter(cell.group for cell in self.cells)
        whole = [cell for cell in self.cells if found[cell.group] == self.asked[cell.group]]
        if len(whole) == len(self.cells):
            joined = self.dataset
        else:
            joined = combine(cell.dataset for cell in whole) if whole else None
        judged = () if joined is None else check_claims(self._told(joined), names)
        if not self.missing:
            return judged
        # What is unfinished is listed all the same, for else a claim that was asked for would be nowhere.
        undecided = [
            _unfinished(claim, found[group], self.asked[group])
            for claim in check_claims(self._told(self.dataset), names)
            if found[group := (claim.data, claim.norm, claim.loss)] < self.asked[group]
        ]
        order = {name: place for place, name in enumerate(names)}
        return tuple(sorted([*judged, *undecided], key=lambda claim: order[claim.name]))

    def _told(self, dataset: xr.Dataset) -> xr.Dataset:
        names = () if self.settings is None else self.settings.experiment.generalisations
        return with_generalisation(dataset, names)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the settings of the runs, each once."""
        return notes_of(cell.dataset for cell in self.cells)


def read_folder(directory: str | Path) -> tuple[StoredExperiment, ...]:
    """Return what a folder of results holds, finished or not.

    ``directory`` is the folder that experiments were run in, its ``cells``, or a folder of such folders.

    Raises:
        InvalidArgument: there is no such folder, or it holds no results.

    Warns:
        SteepestWarning: a file is damaged or foreign; it is left out.
    """
    folder = Path(directory)
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "there is no such folder"
        raise InvalidArgument("directory", str(directory), f"{what}; give the folder of a run")
    stored = tuple(each for place in _places(folder) for each in _experiments(place))
    if not stored:
        raise InvalidArgument("directory", str(directory), "it holds no results; give the folder of a run")
    return stored


def _places(folder: Path) -> list[Path]:
    # Each is a folder that holds ``cells``, or the cells themselves.
    if (folder / "cells").is_dir():
        return [folder]
    inside = sorted(each.parent for each in folder.glob("*/cells") if each.is_dir())
    return inside or [folder]


def _experiments(folder: Path) -> Iterator[StoredExperiment]:
    cells = folder / "cells"
    every = list(Store(cells if cells.is_dir() else folder).everything())
    runs = {key_of(text): StoredCell(text, dataset) for text, dataset in every if text["kind"] == "runs"}
    solutions = tuple((text, dataset) for text, dataset in every if text["kind"] == "max margin")
    used: set[str] = set()
    for settings in _settings(folder if cells.is_dir() else folder.parent):
        wanted = {key_of(cell.description()): cell for cell in settings.cells}
        found = tuple(_called(runs[key], cell.data.name) for key, cell in wanted.items() if key in runs)
        used.update(wanted)
        if found:
            asked = Counter((cell.data.name, cell.norm, cell.loss) for cell in wanted.values())
            yield StoredExperiment(folder, found, solutions, settings, asked)
    for group in _grouped([cell for key, cell in runs.items() if key not in used]):
        yield StoredExperiment(folder, tuple(group), solutions)


def _settings(folder: Path) -> list[Settings]:
    return [found for path in sorted(folder.glob(f"*{SUFFIX}")) if (found := _readable(path)) is not None]


def _readable(path: Path) -> Settings | None:
    try:
        return read_settings(path)
    except InvalidArgument as problem:
        warnings.warn(f"{path} is left out: {problem.remedy}", SteepestWarning, stacklevel=5)
        return None


def _called(cell: StoredCell, name: str) -> StoredCell:
    # The same samples may go by another name in another experiment.
    data = cell.dataset.assign_coords(data=("data", [name], cell.dataset["data"].attrs))
    return replace(cell, dataset=data)


def _grouped(cells: Sequence[StoredCell]) -> list[list[StoredCell]]:
    """Put cells together that can share one dataset: each place once, and one schedule for each group."""
    groups: list[tuple[Any, dict[Group, Any], dict[tuple[str, ...], StoredCell]]] = []
    for cell in sorted(cells, key=lambda cell: cell.place):
        alike = [cell.description.get(name) for name in _ALIKE]
        schedule = cell.description.get("schedule")
        for other, schedules, places in groups:
            if (
                alike == other
                and cell.place not in places
                and schedules.get(cell.group, schedule) == schedule
            ):
                break
        else:
            groups.append((alike, schedules := {}, places := {}))
        schedules[cell.group] = schedule
        places[cell.place] = cell
    return [list(places.values()) for _, _, places in groups]


def _unfinished(claim: ClaimResult, found: int, asked: int) -> ClaimResult:
    reason = f"unfinished: {found} of {asked} cells of these runs are computed"
    nothing = replace(claim, measured="", verdict=Verdict.UNDECIDED, reason=reason, more_data_sets=None)
    return replace(nothing, effect=None, effects=(), data_sets=0, measurements=(), remarks=())
