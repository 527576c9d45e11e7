"""The runs of one data set, norm and loss, picked out of the labelled results for claims and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.experiments.claims.measurement import Measurement

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Missing", "Runs", "chosen_runs"]


class Missing(Exception):
    """The results do not hold the runs that a claim is about; the message says which."""


@dataclass(frozen=True)
class Runs:
    """The runs of one data set, norm and loss."""

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
        """Yield the runs of each data set, norm and loss that was run."""
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

    def has(self, batch_size: int, momentum: float, signal: str = "minibatch") -> bool:
        """Whether these runs are among the results."""
        wanted = chosen_runs(batch_size, momentum, signal)
        if not all(value in self.dataset[name].values for name, value in wanted.items()):
            return False
        return not bool(self.dataset["relative_margin_error"].sel(wanted).isnull().all())

    def curve(self, variable: str, batch_size: int, momentum: float, signal: str = "minibatch") -> np.ndarray:
        """Return a variable along the steps of :attr:`steps`, shape [seeds, r]; Missing if it was not run."""
        if not self.has(batch_size, momentum, signal):
            which = "the full batch" if batch_size == self.samples else f"batch size {batch_size}"
            raise Missing(f"no run of {which} at momentum {momentum:g} {_in_words(signal)}")
        chosen = self.dataset[variable].sel(chosen_runs(batch_size, momentum, signal))
        return chosen.transpose("seed", "step").values[:, self.dataset["step"].values > 0]

    def final(self, variable: str, batch_size: int, momentum: float, signal: str = "minibatch") -> np.ndarray:
        """Return a variable at the last step, shape [seeds]."""
        return self.curve(variable, batch_size, momentum, signal)[:, -1]

    def measurement(
        self,
        quantity: str,
        where: str,
        values: Sequence[float] | np.ndarray,
        at_least: float = -math.inf,
        at_most: float = math.inf,
        expected: tuple[float, float] | None = None,
    ) -> Measurement:
        """Return a measurement over the seeds of these runs."""
        return Measurement(
            quantity, where, self.seeds, tuple(map(float, values)), at_least, at_most, expected
        )

    def where_unique(
        self,
        unique: np.ndarray,
        quantity: str,
        where: str,
        values: np.ndarray,
        at_least: float = -math.inf,
        at_most: float = math.inf,
    ) -> Iterator[Measurement]:
        """Yield a measurement that is held to its bounds on the seeds of a unique optimum alone."""
        for kept, words, bounds in (
            (unique, quantity, (at_least, at_most)),
            (~unique, f"{quantity}, which is not known to be unique", (-math.inf, math.inf)),
        ):
            if kept.any():
                seeds = tuple(seed for seed, chosen in zip(self.seeds, kept, strict=True) if chosen)
                yield Measurement(words, where, seeds, tuple(map(float, values[kept])), *bounds)


def chosen_runs(batch_size: int, momentum: float, signal: str = "minibatch") -> dict[str, Any]:
    """Return the labels of the runs of a batch size, a momentum and a signal."""
    return {"batch_size": batch_size, "momentum": momentum, "signal": signal}


def _in_words(signal: str) -> str:
    words = {"minibatch": "without variance reduction", "svrg": "with variance reduction"}
    return words.get(signal, f"with the signal {signal}")


def _without_empty(chosen: xr.Dataset) -> xr.Dataset:
    # Data sets differ in size, so results of several hold batch sizes and steps that one of them never ran.
    error: Any = chosen["relative_margin_error"]
    # Positions, because a list of booleans as labels would be taken for a mask.
    kept = {
        name: np.flatnonzero(error.notnull().any([other for other in error.dims if other != name]))
        for name in ("batch_size", "momentum", "signal", "seed", "step")
    }
    return chosen.isel(kept)
