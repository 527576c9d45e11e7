"""The data sets that an experiment can name: whatever has a generator by that name, and the user's own files.

A table of data has a few keys of its own, and those that the generator's signature has: a generator that a
plug-in registers is a kind of data at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from steepest import datasets
from steepest.datasets.catalogue import DATA_SETS, generate
from steepest.datasets.parameters import parameters_of
from steepest.errors import InvalidArgument
from steepest.experiments.spec import values as accept
from steepest.experiments.spec.schedule import ScheduleChoice
from steepest.problem import Classification

__all__ = ["DataSet", "DataSets", "StoredSamples", "identity", "keys_of"]

_FILE = "file"
_OF_FILES = ("path", "label", "separator", "encoding")
_OWN = ("kind", "name", "schedule", "contrast", "generalises", "most_seeds")
_SEED = "seed"


class DataSet(BaseModel):
    """A data set of an experiment: its kind, how results call it, and what its generator takes.

    ``contrast`` marks data that is there to show a difference: claims about an experiment's data leave it
    out. ``generalises`` marks data that claims are not about: whether they generalise to it is shown, and no
    reason for a command to fail. ``most_seeds`` has it run on the first of the experiment's seeds alone.
    Every other key is an argument of the generator, with the generator's default where it is not given.

    >>> DataSet(kind="gaussian", classes=3).load(seed=0).samples
    30
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    name: Annotated[str, BeforeValidator(accept.identifier)]
    schedule: ScheduleChoice | None = None
    contrast: Annotated[bool, BeforeValidator(accept.switch)] = False
    generalises: Annotated[bool, BeforeValidator(accept.switch)] = False
    most_seeds: Annotated[int, BeforeValidator(accept.count(at_least=1))] | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_options(cls, table: Any) -> Any:
        if isinstance(table, str):
            table = {"kind": table}
        if not isinstance(table, Mapping):
            raise ValueError("give the name of a data set, or a table with its kind")
        kind = table.get("kind")
        if not isinstance(kind, str) or not (kind == _FILE or kind in DATA_SETS):
            kinds = ", ".join([*DATA_SETS, _FILE])
            raise InvalidArgument("kind", kind, f"give a kind of data: {kinds}")
        own = {name: value for name, value in table.items() if name in _OWN}
        given = {name: value for name, value in table.items() if name not in _OWN}
        for name in given:
            if name not in keys_of(kind):
                raise InvalidArgument(name, given[name], _no_such_key(name, kind))
        return {"name": kind, **own, **(_file_options(given) if kind == _FILE else _options(kind, given))}

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the generator, without the seed."""
        return dict(self.model_extra or {})

    def seeds_of(self, seeds: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of an experiment's seeds that this data is run on."""
        return seeds[: self.most_seeds]

    def load(self, seed: int) -> Classification:
        """Return the samples; a generator with an argument ``seed`` draws them by it."""
        if self.kind == _FILE:
            return datasets.from_file(**self.options)
        takes_seed = any(each.name == _SEED for each in parameters_of(DATA_SETS[self.kind]))
        return generate(self.kind, **self.options, **({_SEED: seed} if takes_seed else {}))


def keys_of(kind: str) -> tuple[str, ...]:
    """Return the keys that a table of data of that kind may have.

    >>> keys_of("digits")
    ('kind', 'name', 'schedule', 'contrast', 'generalises', 'most_seeds')
    """
    if kind == _FILE:
        return (*_OWN, *_OF_FILES)
    return (*_OWN, *(each.name for each in parameters_of(DATA_SETS[kind]) if each.name != _SEED))


def _no_such_key(name: str, kind: str) -> str:
    keys = keys_of(kind)
    close = get_close_matches(name, keys, n=1)
    return f"no such key; {f'did you mean {close[0]}? ' if close else ''}accepted: {', '.join(keys)}"


def _options(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return every argument of a generator but the seed, as given or by default."""
    options: dict[str, Any] = {}
    for each in parameters_of(DATA_SETS[kind]):
        if each.name == _SEED:
            continue
        if each.name in given:
            options[each.name] = each.value_of(given[each.name])
        elif each.required:
            raise InvalidArgument(each.name, None, "is required")
        else:
            options[each.name] = each.default
    return options


def _file_options(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("path") is None:
        raise InvalidArgument("path", None, "is required")
    if not isinstance(given["path"], str):
        raise InvalidArgument("path", given["path"], "give the path of a file, as text")
    for name in ("label", "separator", "encoding"):
        value = given.get(name)
        if value is not None and not isinstance(value, str) and not (name == "label" and type(value) is int):
            raise InvalidArgument(name, value, "give text")
    # What files take since later is left out where it is not given: results keep their names.
    later = {name: given[name] for name in ("separator", "encoding") if given.get(name) is not None}
    return {"path": given["path"], "label": given.get("label"), **later}


def _as_tables(given: Any) -> list[Any]:
    entries = list(given) if isinstance(given, (list, tuple)) else [given]
    if not entries:
        raise ValueError("an empty list has no runs; give at least one data set")
    return entries


DataSets = Annotated[tuple[DataSet, ...], BeforeValidator(_as_tables)]
"""One data set or a list; a bare kind such as "gaussian" stands for that data with its standard sizes."""


@dataclass(frozen=True)
class StoredSamples:
    """What is known of a data set without having it: its sizes, and the hash by which results name it."""

    name: str
    seed: int
    fingerprint: str
    """Hash of features and labels."""
    samples: int
    """n."""
    features: int
    """d."""
    classes: int
    """k."""
    feature_bound: float
    """R = max ‖x‖₁, in units of the features."""

    @classmethod
    def of(cls, name: str, seed: int, problem: Classification) -> StoredSamples:
        """Return what is to be known of samples."""
        sizes = problem.samples, problem.dimension, problem.n_classes
        return cls(name, seed, problem.fingerprint, *sizes, problem.feature_bound)


def identity(data: DataSet) -> dict[str, Any]:
    """Return what the samples depend on besides the seed: no name, no schedule, no place on a disk."""
    return data.model_dump(exclude={"name", "schedule", "path", "generalises", "most_seeds"})
