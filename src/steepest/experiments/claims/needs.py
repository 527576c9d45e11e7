"""What a claim or a figure asks of an experiment, stated where it is registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from steepest.experiments.claims.selection import Runs
from steepest.experiments.dimensions import PLAIN_SIGNAL

__all__ = ["NOTHING_MORE", "Needs", "OneRun"]


class OneRun(NamedTuple):
    """Settings of runs that have to be there, on every seed."""

    batch_size: int
    """Samples a batch."""
    momentum: float = 0.0
    """β."""
    signal: str = PLAIN_SIGNAL
    """The signal's name."""


class _Key(NamedTuple):
    """A key of an experiment that has results hold more."""

    asked: str
    lacking: str
    held: Callable[[Runs], bool]


_KEYS = {
    "reference": _Key(
        "reference norms",
        "names no reference norms",
        lambda runs: "reference" in runs.dataset.dims,
    ),
    "bias": _Key(
        "bias = true",
        "measures no bias (bias = true)",
        lambda runs: "bias_cosine" in runs.dataset,
    ),
    "weights": _Key(
        "weights = true",
        "keeps no weights (weights = true)",
        lambda runs: "weights" in runs.dataset,
    ),
    "naive": _Key(
        "naive norms",
        "does not repeat the runs naively (naive = {norm})",
        lambda runs: "naive_bias_cosine" in runs.dataset,
    ),
}


@dataclass(frozen=True)
class Needs:
    """What runs must be and hold for a claim to be measured or a figure to be drawn.

    >>> Needs(norms=("max",), run=OneRun(1), keys=("bias",)).words
    'norm max, batch_size 1, momentum 0, signal minibatch, bias = true'
    """

    norms: tuple[str, ...] | None = None
    """The norms that it is about; None is all of them."""
    contrast: bool = False
    """Whether it is about data that is there for contrast alone. A figure draws all data."""
    data: str | None = None
    """The name of the one data set that it is about; None is all of them."""
    run: OneRun | None = None
    """Runs that have to be among the others."""
    keys: tuple[str, ...] = ()
    """Keys of the experiment that have to be set: reference, bias, weights or naive."""

    def is_about(self, runs: Runs) -> bool:
        """Whether the runs are in one of the norms and on the data that it is about."""
        if self.data is not None and runs.data != self.data:
            return False
        return (self.norms is None or runs.norm in self.norms) and runs.contrast == self.contrast

    def lacking(self, runs: Runs) -> str:
        """Return what the results lack, in words; empty if they have all."""
        missing = [_KEYS[key].lacking for key in self.keys if not _KEYS[key].held(runs)]
        if missing:
            return f"the experiment {' and '.join(missing)}".format(norm=runs.norm)
        if self.run is not None and not runs.has(*self.run):
            return f"no run of {runs.words(*self.run)}"
        return ""

    def met_by(self, settings: Mapping[str, Any]) -> bool:
        """Whether an experiment with these settings asks for all that is needed, on any data set."""
        grids = ("batch_size", "momentum", "signal")
        has_run = self.run is None or all(
            value in settings[name] for name, value in zip(grids, self.run, strict=True)
        )
        has_norm = self.norms is None or bool(set(self.norms) & set(settings["norm"]))
        return has_run and has_norm and all(settings[key] for key in self.keys)

    @property
    def words(self) -> str:
        """All that is needed, as keys of an experiment."""
        norms = [] if self.norms is None else [f"norm {' or '.join(self.norms)}"]
        run = []
        if self.run is not None:
            batch_size, momentum, signal = self.run
            run = [f"batch_size {batch_size}, momentum {momentum:g}, signal {signal}"]
        return ", ".join([*norms, *run, *(_KEYS[key].asked for key in self.keys)])


NOTHING_MORE = Needs()
"""Runs of any kind, on data that is not there for contrast."""
