"""The data sets that an experiment can name: every registered generator, and the user's own files.

A generator's signature says what its table in an experiment takes; what the values must be, the generator
checks when it makes the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from steepest.datasets import DATA_SETS, Parameter, from_file, generate, parameters_of
from steepest.errors import InvalidArgument
from steepest.experiments.spec import values as accept
from steepest.experiments.spec.schedule import ScheduleChoice
from steepest.problem import Classification

__all__ = ["FILE", "DataSet", "DataSets", "StoredSamples", "identity", "kinds"]

FILE = "file"
"""The kind of data that is read from a file of the user's."""

Name = Annotated[str, BeforeValidator(accept.identifier)]
Contrast = Annotated[bool, BeforeValidator(accept.switch)]
"""Whether data is there to show a difference: claims about an experiment's data leave it out."""

_SEED, _PATH = "seed", "path"
_READING = (_PATH, "separator", "encoding")
"""Where and how a file is read: the samples are told by their own hash."""


def _read(path: str, label: str | None = None, separator: str | None = None, encoding: str | None = None):
    return from_file(path, label, separator, encoding)


def kinds() -> tuple[str, ...]:
    """Return the kinds of data that an experiment can name."""
    return (*DATA_SETS, FILE)


def _maker(kind: object) -> Callable[..., Any] | None:
    if kind == FILE:
        return _read
    return DATA_SETS[kind] if isinstance(kind, str) and kind in DATA_SETS else None


class DataSet(BaseModel):
    """Samples of one kind: a generator's name with values for its parameters, or a file.

    >>> DataSet(kind="gaussian", classes=3).load(seed=0).samples
    30
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    name: Name
    schedule: ScheduleChoice | None = None
    contrast: Contrast = False

    @model_validator(mode="before")
    @classmethod
    def _as_its_kind_takes(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError('give a kind such as "gaussian", or a table such as { kind = "gaussian" }')
        maker = _maker(given.get("kind"))
        if maker is None:
            remedy = f"give a kind of data: {', '.join(kinds())}"
            raise InvalidArgument("kind", given.get("kind"), remedy)
        kind = given["kind"]
        parameters = [each for each in parameters_of(maker) if each.name != _SEED]
        own = [key for key in cls.model_fields if key != "contrast"]
        _require_known(given, [*own, *(each.name for each in parameters), "contrast"])
        values = {each.name: _value(each, given) for each in parameters}
        return {"name": kind, **given, **values}

    @property
    def options(self) -> dict[str, Any]:
        """The values of the parameters of its kind, all of them."""
        return dict(self.model_extra or {})

    def load(self, seed: int) -> Classification:
        """Return the samples that a seed draws; a file and real data are the same for every seed.

        Raises:
            InvalidArgument: a value that the generator refuses.
            DataFileError: a file that cannot be read.
        """
        if self.kind == FILE:
            return _read(**self.options)
        takes_seed = any(each.name == _SEED for each in parameters_of(DATA_SETS[self.kind]))
        return generate(self.kind, **self.options, **({_SEED: seed} if takes_seed else {}))


def _require_known(given: Mapping[str, Any], accepted: list[str]) -> None:
    for key, value in given.items():
        if key not in accepted:
            close = get_close_matches(key, accepted, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InvalidArgument(key, value, f"no such key; {hint}accepted: {', '.join(accepted)}")


def _value(parameter: Parameter, given: Mapping[str, Any]) -> Any:
    if parameter.name not in given:
        if parameter.required:
            raise InvalidArgument(parameter.name, None, f"is required: give {parameter.wanted}")
        return parameter.default
    value = given[parameter.name]
    if isinstance(value, str) and parameter.type is not str:
        # On a command line all is text; in a file numbers are written as such.
        raise InvalidArgument(parameter.name, value, f"give {parameter.wanted}")
    return parameter.value_of(value)


def _as_tables(given: Any) -> list[Any]:
    entries = list(given) if isinstance(given, (list, tuple)) else [given]
    if not entries:
        raise ValueError("an empty list has no runs; give at least one data set")
    return [{"kind": entry} if isinstance(entry, str) else entry for entry in entries]


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
    return data.model_dump(exclude={"name", "schedule", *_READING})
