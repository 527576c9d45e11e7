"""An experiment as a TOML file: its data, norms, batch sizes, momenta and seeds, and what is claimed of them.

A key that takes a grid accepts one value or a list; the runs are every combination. Whatever cannot be used
is refused with the key's path, its value and what is accepted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from steepest.errors import DataFileError, InvalidArgument
from steepest.experiments.inputs import as_path, as_table, as_texts
from steepest.experiments.spec import values as accept
from steepest.experiments.spec.data import DataSet, DataSets
from steepest.experiments.spec.schedule import ScheduleChoice
from steepest.plugins import load_plugin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

__all__ = ["Experiment", "load_experiment", "parse_overrides", "validated"]

Norms = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.norm_name))]
BatchSizes = Annotated[tuple[int | Literal["full"], ...], BeforeValidator(accept.grid(accept.batch_size))]
Momenta = Annotated[tuple[float, ...], BeforeValidator(accept.grid(accept.momentum))]
Switches = Annotated[tuple[bool, ...], BeforeValidator(accept.grid(accept.switch))]
Losses = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.loss_name))]
Seeds = Annotated[tuple[int, ...], BeforeValidator(accept.grid(accept.seed))]
Signals = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.signal_name))]
Plugins = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.plugin, may_be_empty=True))]
SomeNorms = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.norm_name, may_be_empty=True))]
ClaimNames = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.claim_name, may_be_empty=True))]


_MOST_RECORDS = 10_000_000
"""As many as a run may have: their weights alone would take gigabytes."""


class Experiment(BaseModel):
    """A sweep: every combination of its grids, on each data set and seed.

    ``batch_size`` entries are sample counts or ``"full"``; ``seed`` draws the data (where it is random) and
    shuffles the samples; ``quick`` holds the keys that a reduced run replaces. ``gap`` is the relative
    duality gap asked of each certified max margin. Besides the error in a run's own norm, ``reference`` asks
    for the errors in further norms, ``bias`` for the cosine to the bias direction of Definition 4.8,
    ``naive`` for the same of a run in the usual arithmetic (single samples in these norms, on data that is
    not there for contrast), and ``weights`` for the recorded weights themselves. ``bound`` draws the theory's
    margin bound and predicted slope over the errors of ``figure``. ``plugins`` are files and modules that
    register norms, signals, losses and data sets of one's own. ``variance_reduction`` is the older way to
    write ``signal``: false is "minibatch", true is "svrg".
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, BeforeValidator(accept.identifier)]
    title: str = ""
    plugins: Plugins = ()
    data: DataSets
    norm: Norms
    batch_size: BatchSizes = ("full",)
    momentum: Momenta = (0.0,)
    variance_reduction: Switches | None = None
    signal: Signals = ("minibatch",)
    momentum_kind: Annotated[str, BeforeValidator(accept.momentum_kind_name)] = "ema"
    loss: Losses = ("cross-entropy",)
    schedule: ScheduleChoice = ScheduleChoice(initial_times_margin=0.15)
    steps: Annotated[int, BeforeValidator(accept.count(at_least=1))] = 20_000
    records: Annotated[int, BeforeValidator(accept.count(at_least=2, at_most=_MOST_RECORDS))] = 200
    seed: Seeds = (0,)
    gap: Annotated[float, BeforeValidator(accept.gap)] = 1e-8
    reference: SomeNorms = ()
    bias: Annotated[bool, BeforeValidator(accept.switch)] = False
    naive: SomeNorms = ()
    weights: Annotated[bool, BeforeValidator(accept.switch)] = False
    figure: Literal["margin-panels", "batch-one"] | None = None
    bound: Annotated[bool, BeforeValidator(accept.switch)] = False
    claims: ClaimNames = ()
    quick: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_signals(cls, table: Any) -> Any:
        if not isinstance(table, dict) or table.get("variance_reduction") is None:
            return table
        if "signal" in table:
            remedy = "leave it out, signal says it"
            raise InvalidArgument("variance_reduction", table["variance_reduction"], remedy)
        switches = accept.grid(accept.switch)(table["variance_reduction"])
        rest = {key: value for key, value in table.items() if key != "variance_reduction"}
        return {**rest, "signal": ["svrg" if reduced else "minibatch" for reduced in switches]}

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        names = [data.name for data in self.data]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise InvalidArgument(
                "data.name", sorted(repeated)[0], "two data sets share it; name each differently"
            )
        if self.naive and not self.bias:
            raise InvalidArgument(
                "naive", self.naive[0], "it is measured against the bias direction; set bias = true too"
            )
        for data in self.data:
            missing = self.schedule_for(data).missing_norms(self.norm)
            if missing:
                raise InvalidArgument(
                    "schedule", missing[0], f"data set {data.name} has no step size for this norm"
                )
        if self.figure == "batch-one" and not self._has_batch_one():
            remedy = (
                "it needs norm max or frobenius, batch_size 1, momentum 0, signal minibatch, "
                "reference norms and bias = true"
            )
            raise InvalidArgument("figure", self.figure, remedy)
        return self

    def _has_batch_one(self) -> bool:
        runs = 1 in self.batch_size and 0.0 in self.momentum and "minibatch" in self.signal
        return runs and self.bias and bool(self.reference) and bool({"max", "frobenius"} & set(self.norm))

    def schedule_for(self, data: DataSet) -> ScheduleChoice:
        """Return a data set's own schedule, or the experiment's."""
        return data.schedule or self.schedule

    def replaced(self, changes: Mapping[str, Any]) -> Experiment:
        """Return this experiment with some keys replaced, validated like a file."""
        table = self.model_dump(exclude_unset=True)
        if "variance_reduction" in changes:
            table.pop("signal", None)
        return validated({**table, **changes})

    def reduced(self) -> Experiment:
        """Return the quick form: the same question with the keys of ``quick`` replaced."""
        return self.replaced({**self.quick, "quick": {}})


def load_experiment(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Read an experiment from a TOML file; ``overrides`` (dotted key to value) replace or add keys.

    Raises:
        DataFileError: the file cannot be read or is not TOML (with the line).
        InvalidArgument: an unknown key or a value that cannot be used.
    """
    path = as_path("path", path, "give the path of a TOML file")
    overrides = as_table("overrides", overrides)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataFileError(path, f"cannot be read: {reason}; give a TOML file") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataFileError(path, f"is not valid TOML: {error}") from error
    for key, value in overrides.items():
        _replace(table, key, value)
    table.setdefault("name", path.stem)
    return validated(_with_absolute_paths(table, path.parent))


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """Turn ``key=value`` settings into overrides; a value is TOML, or text where it is not.

    >>> parse_overrides(["momentum=[0, 0.9]", "norm=spectral", "schedule.exponent=0.3"])
    {'momentum': [0, 0.9], 'norm': 'spectral', 'schedule.exponent': 0.3}
    """
    overrides: dict[str, Any] = {}
    for setting in as_texts("settings", settings, "give texts such as momentum=[0,0.9]"):
        key, equals, value = setting.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InvalidArgument(
                "set", setting, "write key=value, such as momentum=[0,0.9] or data.0.scale=0.2"
            )
        try:
            overrides[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key.strip()] = value.strip()
    return overrides


def validated(table: Mapping[str, Any]) -> Experiment:
    """Build an experiment from a plain table, or raise InvalidArgument naming the first offending key."""
    # Before anything is looked up by a name that they bring.
    for name in _listed(table.get("plugins")):
        load_plugin(name)
    try:
        return Experiment.model_validate(dict(table))
    except ValidationError as error:
        raise _refusal(error) from error


def _replace(table: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    place: Any = table
    for parent in parents:
        if isinstance(place, list):
            place = place[_position(place, parent, dotted, value)]
        elif isinstance(place, dict):
            place = place.setdefault(parent, {})
    if isinstance(place, list):
        place[_position(place, last, dotted, value)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise InvalidArgument(dotted, value, f"{'.'.join(parents)} is a single value; set it as a whole")


def _position(entries: list[Any], index: str, dotted: str, value: Any) -> int:
    if not index.isdigit() or int(index) >= len(entries):
        raise InvalidArgument(
            dotted, value, f"{index} is not a position; give a number from 0 to {len(entries) - 1}"
        )
    return int(index)


def _with_absolute_paths(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    # Files are named relative to the experiment that uses them, wherever the command is started.
    named = _listed(table.get("plugins"))
    plugins = [str((folder / name).resolve()) if name.endswith(".py") else name for name in named]
    if plugins:
        table = {**table, "plugins": plugins}
    entries = table.get("data")
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list):
        return table
    moved = [
        {**entry, "path": str((folder / entry["path"]).resolve())}
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
        else entry
        for entry in entries
    ]
    return {**table, "data": moved}


def _listed(value: Any) -> list[str]:
    """Return texts of a value that is one or a list of them; what is neither is left to validation."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    return [each for each in entries if isinstance(each, str) and each]


def _refusal(error: ValidationError) -> InvalidArgument:
    first, *others = error.errors()
    cause = (first.get("ctx") or {}).get("error")
    if isinstance(cause, InvalidArgument) and (not first["loc"] or _names_data(first["loc"])):
        # Of the experiment as a whole, or of what a data set's own generator takes.
        place = _path(first["loc"])
        argument = f"{place}.{cause.argument}" if place else cause.argument
        return InvalidArgument(argument, cause.value, cause.remedy)
    remedy = _remedy(first) + (f" (and {len(others)} more)" if others else "")
    # What pydantic calls the input of a missing key is the table that lacks it.
    value = None if first["type"] == "missing" else first.get("input")
    return InvalidArgument(_path(first["loc"]) or "experiment", value, remedy)


def _names_data(location: tuple[Any, ...]) -> bool:
    """Whether this is the place of a data set as a whole."""
    return len(location) == 2 and location[0] == "data"


def _remedy(detail: Any) -> str:
    match detail["type"]:
        case "extra_forbidden":
            keys = _accepted_keys(detail["loc"])
            close = get_close_matches(str(detail["loc"][-1]), keys, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            return f"no such key; {hint}accepted: {', '.join(keys)}"
        case "missing":
            return "is required"
        case "literal_error":
            return f"give {detail['ctx']['expected']}"
        case "string_type":
            return "give text"
        case "path_type":
            return "give the path of a file, as text"
        case "model_type":
            return "give a table, such as { initial = 0.1, exponent = 0.5 }"
        case "dict_type":
            return "give a table of keys and values"
        case "value_error":
            cause = detail["ctx"]["error"]
            return cause.remedy if isinstance(cause, InvalidArgument) else str(cause)
        case _:
            return detail["msg"]


def _accepted_keys(location: tuple[Any, ...]) -> list[str]:
    if "schedule" in location[:-1]:
        return list(ScheduleChoice.model_fields)
    return list(Experiment.model_fields)


def _path(location: tuple[Any, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text
