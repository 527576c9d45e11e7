"""Checkpoints of runs: all that a run needs to go on, in a file that is whole or not there."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steepest.descent.method import Method
from steepest.descent.state import State
from steepest.errors import CheckpointWarning, RunError
from steepest.files import writing
from steepest.problem import Classification
from steepest.schedules import step_sizes

_FORMAT = 1
_ALIGNMENT = "alignment_"


@dataclass(frozen=True)
class Checkpoint:
    """The file of one run in a checkpoint directory; its name is a hash of all that determines the run."""

    path: Path

    @classmethod
    def of(
        cls,
        directory: Path,
        problem: Classification,
        method: Method,
        steps: np.ndarray,
        start: np.ndarray,
        engine: str,
        *,
        alignment: bool = False,
    ) -> Checkpoint:
        """Return the file for a run with these records, start weights [k, d] and engine."""
        digest = hashlib.sha256(f"{_FORMAT} {problem.fingerprint} {method.fingerprint()} {engine}".encode())
        digest.update(np.ascontiguousarray(steps).tobytes())
        # A schedule of the user's own may say nothing of itself; what it does tells it from others.
        digest.update(step_sizes(method.schedule, steps).tobytes())
        digest.update(np.ascontiguousarray(start).tobytes())
        if problem.sample_weight is not None:
            digest.update(problem.sample_weight.tobytes())
        if alignment:
            digest.update(b"alignment")
        return cls(directory / f"run-{digest.hexdigest()[:20]}.npz")

    def save(
        self, state: State, weights: np.ndarray, truncated: np.ndarray, alignment: Mapping[str, np.ndarray]
    ) -> None:
        """Write a run's state and its records so far; a full disk is a warning, the run itself goes on."""
        try:
            with writing(self.path) as file:
                arrays: dict[str, Any] = {**state.arrays(), "recorded_weights": weights}
                arrays |= {_ALIGNMENT + name: values for name, values in alignment.items()}
                np.savez(file, recorded_truncated=truncated, **arrays)
        except RunError as error:
            warnings.warn(f"checkpoint {error}; the run goes on without it", CheckpointWarning, stacklevel=2)

    def load(self, start: State) -> tuple[State, np.ndarray, np.ndarray, dict[str, np.ndarray]] | None:
        """Return (state, recorded weights [r, k, d], truncated [r], alignment), or None to start anew.

        ``start`` is the run's first state, which says what its signal keeps.

        A truncated or foreign file is said in a warning, and the run starts again.
        """
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            alignment = {
                name.removeprefix(_ALIGNMENT): values
                for name, values in arrays.items()
                if name.startswith(_ALIGNMENT)
            }
            weights, truncated = arrays["recorded_weights"], arrays["recorded_truncated"]
            return start.with_arrays(arrays), weights, truncated, alignment
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"checkpoint {self.path} cannot be read ({error}); its run starts again",
                CheckpointWarning,
                stacklevel=2,
            )
            return None
