"""What was asked for, kept beside the results: the experiment as resolved, its data, versions and machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from steepest.errors import InvalidArgument
from steepest.experiments.spec.cells import Cell, cells_of
from steepest.experiments.spec.data import StoredSamples
from steepest.experiments.spec.experiment import Experiment, validated
from steepest.experiments.spec.resolved import ResolvedExperiment
from steepest.files import write_text

__all__ = ["SUFFIX", "Settings", "provenance", "read_settings", "write_settings"]

SUFFIX = "-experiment.json"
"""How the name of such a file ends, after the experiment's name."""

_VERSIONS_OF = ("steepest", "numpy", "scipy", "numba", "xarray", "netCDF4", "matplotlib")


@dataclass(frozen=True)
class Settings:
    """An experiment as it was resolved, the data it was run on, and what it was run with."""

    experiment: Experiment
    data: tuple[StoredSamples, ...]
    cells: tuple[Cell, ...]
    """What there was to compute, finished or not."""
    provenance: Mapping[str, str]
    """Versions, Python and machine."""


def provenance() -> dict[str, str]:
    """Return the versions, the Python and the machine that results come from."""
    versions = {name: metadata.version(name) for name in _VERSIONS_OF}
    return {
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "python": platform.python_version(),
        "machine": f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores",
    }


def write_settings(resolved: ResolvedExperiment, directory: Path) -> Path:
    """Write ``NAME-experiment.json`` and return its path; done before the first run, so that it outlives all.

    Raises:
        RunError: the file cannot be written.
    """
    spec = resolved.spec
    stored = [StoredSamples.of(*key, problem) for key, problem in resolved.problems.items()]
    table = {
        "experiment": json.loads(spec.model_dump_json(exclude_none=True)),
        "data": [asdict(each) for each in stored],
        **provenance(),
    }
    text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return write_text(directory / f"{spec.name}{SUFFIX}", text)


def read_settings(path: Path) -> Settings:
    """Return what :func:`write_settings` wrote; the plug-ins that the experiment names are loaded.

    Raises:
        InvalidArgument: the file cannot be read, or holds something else.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        experiment = validated(table["experiment"])
        data = tuple(StoredSamples(**each) for each in table["data"])
        rest = {name: str(table[name]) for name in ("versions", "python", "machine")}
        cells = tuple(cells_of(experiment, {(each.name, each.seed): each for each in data}))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        remedy = "it is no record of an experiment; run the experiment again to write it anew"
        if isinstance(error, InvalidArgument) and error.argument == "plugin":
            remedy = f"what its experiment registers cannot be loaded: {error}"
        raise InvalidArgument("settings", str(path), remedy) from error
    return Settings(experiment, data, cells, rest)
