"""An experiment as a TOML file: its data, norms, batch sizes, momenta and seeds, and what is claimed of them.

A key that takes a grid accepts one value or a list; the runs are every combination. Whatever cannot be used
is refused with the key's path, its value and what is accepted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from steepest.errors import DataFileError, InvalidArgument
from steepest.experiments.dimensions import PLAIN_SIGNAL, REDUCED_SIGNAL
from steepest.experiments.figures.draw import FIGURES
from steepest.experiments.inputs import as_path, as_table, as_texts
from steepest.experiments.spec import values as accept
from steepest.experiments.spec.data import DataSet, DataSets
from steepest.experiments.spec.refusals import refusal_of
from steepest.experiments.spec.schedule import ScheduleChoice
from steepest.plugins import load_plugin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

__all__ = ["AVERAGE", "Experiment", "load_experiment", "parse_overrides", "validated"]

AVERAGE = "ema"
"""The kind of momentum that is meant where none is named."""

_MOST_RECORDS = 10_000_000
"""As many as a run may have: their weights alone would take gigabytes."""

_SIGNAL_KEYS = ("signal", "signals", "variance_reduction")
"""Three ways to write one key: its name, the same for a list, and the switch that there was before names."""

Norms = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.norm_name))]
BatchSizes = Annotated[tuple[int | Literal["full"], ...], BeforeValidator(accept.grid(accept.batch_size))]
Momenta = Annotated[tuple[float, ...], BeforeValidator(accept.grid(accept.momentum))]
Signals = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.signal_name))]
Losses = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.loss_name))]
Seeds = Annotated[tuple[int, ...], BeforeValidator(accept.grid(accept.seed))]
SomeNorms = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.norm_name, may_be_empty=True))]
ClaimNames = Annotated[tuple[str, ...], BeforeValidator(accept.grid(accept.claim_name, may_be_empty=True))]


class Experiment(BaseModel):
    """A sweep: every combination of its grids, on each data set and seed.

    ``name`` and ``title`` are what files and pictures are called. ``norm``, ``batch_size``, ``momentum``,
    ``signal``, ``loss`` and ``seed`` are the grids; a run takes ``steps`` steps, of which about ``records``
    are recorded, evenly spaced in the logarithm of the step, with the step sizes of ``schedule``.

    ``plugins`` are files, or modules, that register norms, data sets, signals, losses, claims or figures;
    they are loaded before anything else is read, and by every worker process.

    ``batch_size`` entries are sample counts or ``"full"``. ``signal`` names how gradients are estimated;
    ``variance_reduction`` is another way to write it, false for "minibatch" and true for "svrg".
    ``momentum_kind`` says what the momenta mean, for all runs. ``seed`` draws the data (where it is random)
    and shuffles the samples. ``gap`` is the relative duality gap asked of each certified max margin.

    Besides the error in a run's own norm, ``reference`` asks for the errors in further norms, ``bias`` for
    the cosine to the bias direction of Definition 4.8, ``naive`` for the same of a run in the usual
    arithmetic (single samples in these norms, on data that is not there for contrast), and ``weights`` for
    the recorded weights themselves. ``bound`` draws the theory's margin bound and predicted slope over the
    errors of ``figure``. ``quick`` holds the keys that a reduced run replaces.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, BeforeValidator(accept.identifier)]
    title: str = ""
    plugins: tuple[str, ...] = ()
    data: DataSets
    norm: Norms
    batch_size: BatchSizes = ("full",)
    momentum: Momenta = (0.0,)
    momentum_kind: Annotated[str, BeforeValidator(accept.momentum_kind_name)] = AVERAGE
    signal: Signals = (PLAIN_SIGNAL,)
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
    figure: Annotated[str | None, BeforeValidator(accept.figure_name)] = None
    bound: Annotated[bool, BeforeValidator(accept.switch)] = False
    claims: ClaimNames = ()
    quick: dict[str, Any] = Field(default_factory=dict)

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
        if self.figure is not None and not (needs := FIGURES[self.figure].needs).met_by(dict(self)):
            raise InvalidArgument("figure", self.figure, f"it needs {needs.words}")
        return self

    def schedule_for(self, data: DataSet) -> ScheduleChoice:
        """Return a data set's own schedule, or the experiment's."""
        return data.schedule or self.schedule

    @property
    def generalisations(self) -> tuple[str, ...]:
        """Names of the data sets that claims are not about, but may generalise to."""
        return tuple(data.name for data in self.data if data.generalises)

    def replaced(self, changes: Mapping[str, Any]) -> Experiment:
        """Return this experiment with the keys of ``changes`` replaced, validated like a file."""
        return validated(_merged(self.model_dump(exclude_unset=True), changes))

    def reduced(self) -> Experiment:
        """Return the quick form: the same question with the keys of ``quick`` replaced."""
        return self.replaced({**self.quick, "quick": {}})


def load_experiment(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    r"""Read an experiment from a TOML file.

    Args:
        path: the file; paths within it are taken from its folder, and without a ``name`` it gives its own.
        overrides: dotted key to value; they replace or add keys.

    Raises:
        DataFileError: the file cannot be read or is not TOML (with the line).
        InvalidArgument: an unknown key or a value that cannot be used.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "mine.toml")
    ...     _ = file.write_text('norm = "spectral"\ndata = "gaussian"\nbatch_size = [1, "full"]')
    ...     experiment = load_experiment(file, {"seed": [0, 1]})
    >>> experiment.name, experiment.batch_size, experiment.seed
    ('mine', (1, 'full'), (0, 1))
    """
    path = as_path("path", path, "give the path of a TOML file")
    overrides = as_table("overrides", overrides)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DataFileError(path, f"cannot be read: {reason}; give a TOML file") from error
    try:
        table = _parsed(text)
    except ValueError as error:
        raise DataFileError(path, f"is not valid TOML: {error}") from error
    for key, value in overrides.items():
        table = _merged(table, {key: value}) if key in _SIGNAL_KEYS else table
        _replace(table, key, value)
    table.setdefault("name", path.stem)
    return validated(_with_absolute_paths(table, path.parent), path.parent)


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """Turn ``key=value`` settings into overrides; a value is TOML, or text where it is not.

    Raises:
        InvalidArgument: a setting without a key, an equals sign or a value.

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
            overrides[key.strip()] = _parsed(f"value = {value}")["value"]
        except ValueError:
            overrides[key.strip()] = value.strip()
    return overrides


def _parsed(text: str) -> dict[str, Any]:
    """Return the table of a TOML text; ValueError, with the reason, for what is none or cannot be read."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("its lists or tables are too deep inside one another") from error
    except ValueError as error:
        # Python reads whole numbers of some thousand digits at most.
        raise ValueError("a whole number has too many digits") from error


def validated(table: Mapping[str, Any], folder: Path | None = None) -> Experiment:
    """Build an experiment from a plain table, or raise InvalidArgument naming the first offending key.

    Plug-ins are loaded first; their files are looked for in ``folder``, by default the current one.
    """
    plugins = _loaded_plugins(table.get("plugins", ()), folder or Path())
    try:
        return Experiment.model_validate({**_with_signal(table), "plugins": plugins})
    except ValidationError as error:
        raise refusal_of(error, Experiment) from error


def _loaded_plugins(given: Any, folder: Path) -> tuple[str, ...]:
    names = as_texts(
        "plugins", [given] if isinstance(given, str) else given, 'give files or modules, such as ["mine.py"]'
    )
    # Absolute, so that worker processes and later readers of the settings find the same file.
    places = tuple(str((folder / name).resolve()) if name.endswith(".py") else name for name in names)
    for place in places:
        load_plugin(place)
    return places


def _with_signal(table: Mapping[str, Any]) -> dict[str, Any]:
    given = [key for key in _SIGNAL_KEYS if key in table]
    if not given:
        return dict(table)
    first, *others = given
    if others:
        raise InvalidArgument(others[0], table[others[0]], f"leave it out, {first} says it")
    rest = {key: value for key, value in table.items() if key != first}
    return {**rest, "signal": _as_signals(table[first]) if first == _SIGNAL_KEYS[-1] else table[first]}


def _as_signals(switches: Any) -> list[str]:
    try:
        reduced = accept.grid(accept.switch)(switches)
    except ValueError as error:
        raise InvalidArgument(_SIGNAL_KEYS[-1], switches, str(error)) from error
    return [REDUCED_SIGNAL if each else PLAIN_SIGNAL for each in reduced]


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with keys replaced; whichever way signals are written, the change replaces them."""
    dropped = _SIGNAL_KEYS if any(key in _SIGNAL_KEYS for key in changes) else ()
    return {**{key: value for key, value in table.items() if key not in dropped}, **changes}


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
    if not index.isdecimal() or int(index) >= len(entries):
        raise InvalidArgument(
            dotted, value, f"{index} is not a position; give a number from 0 to {len(entries) - 1}"
        )
    return int(index)


def _with_absolute_paths(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    # A data file is named relative to the experiment that uses it, wherever the command is started.
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
