"""The runs of one data set, norm and loss, picked out of the labelled results for claims and figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.experiments.dimensions import PLAIN_SIGNAL, with_signals

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Missing", "Runs"]


class Missing(Exception):
    """The results do not hold the runs that a claim is about; the message says which."""


@dataclass(frozen=True)
class Runs:
    """The runs of one data set, norm and loss.

    Methods pick runs by ``batch_size``, ``momentum`` and ``signal``, on all seeds.
    """

    dataset: xr.Dataset
    """Results with dimensions batch_size, momentum, signal, seed and step."""
    data: str
    norm: str
    loss: str
    every_norm: xr.Dataset
    """The same results for all norms, for claims that compare norms."""
    every_data: xr.Dataset
    """The same results for all data sets, for claims that compare data sets."""

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Iterator[Runs]:
        """Yield the runs of each data set, norm and loss that ``dataset`` holds."""
        dataset = with_signals(dataset)
        for data in dataset["data"].values:
            for norm in dataset["norm"].values:
                for loss in dataset["loss"].values:
                    chosen = dataset.sel(data=data, norm=norm, loss=loss)
                    if not bool(chosen["relative_margin_error"].isnull().all()):
                        every_norm = dataset.sel(data=data, loss=loss)
                        every_data = dataset.sel(norm=norm, loss=loss)
                        names = str(data), str(norm), str(loss)
                        yield cls(_without_empty(chosen), *names, every_norm, every_data)

    @property
    def contrast(self) -> bool:
        """Whether the data is there to show a difference, and the experiment's claims are not about it."""
        return "contrast" in self.dataset and bool(self.dataset["contrast"] == 1)

    @property
    def generalises(self) -> bool:
        """Whether the data is another than that which the experiment's claims are about."""
        return "generalises" in self.dataset and bool(self.dataset["generalises"] == 1)

    @property
    def samples(self) -> int:
        """Number of samples n, the size of the full batch."""
        return int(self.dataset["samples"])

    @property
    def classes(self) -> int:
        """Number of classes k."""
        return int(self.dataset["classes"])

    @property
    def resolution(self) -> float:
        """Smallest error that says something: ten times the certified relative gap of the max margins."""
        gaps = 1 - self.dataset["max_margin"] / self.dataset["max_margin_upper_bound"]
        return 10 * max(float(gaps.max()), 0.0)

    @property
    def steps(self) -> np.ndarray:
        """Steps of the records after the start, shape [r]."""
        steps = self.dataset["step"].values
        return steps[steps > 0]

    @property
    def last_step(self) -> int:
        """The step of the last record."""
        return int(self.dataset["step"].values[-1])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in ascending order."""
        return tuple(int(seed) for seed in self.dataset["seed"].values)

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes, in ascending order."""
        return [int(b) for b in self.dataset["batch_size"].values]

    @property
    def momenta(self) -> list[float]:
        """The momenta, in ascending order."""
        return [float(momentum) for momentum in self.dataset["momentum"].values]

    @property
    def step_size_exponent(self) -> float:
        """Decay exponent a of the step sizes."""
        return float(self.dataset["step_size_exponent"].values[0])

    @property
    def unique_optimum(self) -> np.ndarray:
        """Whether the max-margin solution is known to be the only one, on each seed, shape [seeds]."""
        return self.dataset["unique_optimum"].values == 1

    @property
    def signals(self) -> list[str]:
        """The signals, in the order of the results."""
        return [str(signal) for signal in self.dataset["signal"].values]

    def has(self, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL) -> bool:
        """Whether these runs are among the results."""
        return (batch_size, momentum, signal) in self._places

    @cached_property
    def _places(self) -> dict[tuple[int, float, str], dict[str, int]]:
        """Where each run that there is stands along the dimensions; labels are looked up a thousand times."""
        names = ("batch_size", "momentum", "signal")
        error = self.dataset.variables["relative_margin_error"].transpose(*names, ...)
        there = ~np.isnan(error.values).reshape(*error.shape[:3], -1).all(axis=-1)
        labels = self.batch_sizes, self.momenta, self.signals
        return {
            (labels[0][b], labels[1][m], labels[2][s]): dict(zip(names, (b, m, s), strict=True))
            for b, m, s in np.argwhere(there).tolist()
        }

    def words(self, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL) -> str:
        """Return a name of these runs for messages."""
        which = "the full batch" if batch_size == self.samples else f"batch size {batch_size}"
        how = "without variance reduction" if signal == PLAIN_SIGNAL else f"with the signal {signal}"
        return f"{which} at momentum {momentum:g} {how}"

    def chosen(self, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL) -> xr.Dataset:
        """Return the results of these runs alone, every variable of them.

        Raises:
            Missing: they were not run.
        """
        return self.dataset.isel(self._place(batch_size, momentum, signal))

    def _place(self, batch_size: int, momentum: float, signal: str) -> dict[str, int]:
        if not self.has(batch_size, momentum, signal):
            raise Missing(f"no run of {self.words(batch_size, momentum, signal)}")
        return self._places[batch_size, momentum, signal]

    def variable(
        self, name: str, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL
    ) -> xr.Variable:
        """Return one variable of the results of these runs, by its ``name`` and without labels.

        Raises:
            Missing: they were not run.
        """
        found, place = self.dataset.variables[name], self._place(batch_size, momentum, signal)
        return found.isel({dimension: at for dimension, at in place.items() if dimension in found.dims})

    def curve(
        self, variable: str, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL
    ) -> np.ndarray:
        """Return a variable along the steps of :attr:`steps`, shape [seeds, r]; Missing if it was not run."""
        found = self.variable(variable, batch_size, momentum, signal)
        return found.transpose("seed", "step").values[:, self.dataset["step"].values > 0]

    def final(
        self, variable: str, batch_size: int, momentum: float, signal: str = PLAIN_SIGNAL
    ) -> np.ndarray:
        """Return a variable at the last step, shape [seeds]."""
        return self.curve(variable, batch_size, momentum, signal)[:, -1]


def _without_empty(chosen: xr.Dataset) -> xr.Dataset:
    # Data sets differ in size, so results of several hold batch sizes and steps that one of them never ran.
    error: Any = chosen["relative_margin_error"]
    # Positions, because a list of booleans as labels would be taken for a mask.
    kept = {
        name: np.flatnonzero(error.notnull().any([other for other in error.dims if other != name]))
        for name in ("batch_size", "momentum", "signal", "seed", "step")
    }
    return chosen.isel(kept)
