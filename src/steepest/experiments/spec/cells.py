"""Cells: the runs that share data, seed, norm, loss and batch size; computed together, kept in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from steepest.descent import Method
from steepest.descent.engines.averages import keeps_terms
from steepest.descent.engines.norms import hangs_on_small_parts
from steepest.errors import InvalidArgument
from steepest.experiments.dimensions import PLAIN_SIGNAL, REDUCED_SIGNAL
from steepest.experiments.spec.data import DataSet, StoredSamples, identity
from steepest.experiments.spec.experiment import AVERAGE, Experiment
from steepest.experiments.spec.schedule import ScheduleChoice
from steepest.geometry import norm
from steepest.problem import Classification
from steepest.schedules import PolynomialDecay
from steepest.theory import batch_one_direction

__all__ = ["Cell", "Margin", "cells_of", "described_signals", "signals_described"]

Known = Mapping[tuple[str, int], Classification | StoredSamples]
"""The samples of each data set's name and seed, or what is stored of them."""

_SECONDS_A_STEP, _SECONDS_A_MULTIPLICATION = 2e-6, 1e-10
_SECONDS_A_CELL = 0.5
"""What it takes to measure a cell's records and to write its file, however few its steps."""

_BYTES = 8
_COPIES = 2
"""A run's records are joined into one array while each is still there."""

_FORMAT = 5  # Raised when what a cell's file holds changes, so that older files are computed again.


@dataclass(frozen=True)
class Margin:
    """A certified max margin that cells are compared with."""

    data: DataSet
    seed: int
    fingerprint: str
    norm: str
    gap: float

    @property
    def label(self) -> str:
        """A short text for progress and messages."""
        return f"max margin: {self.data.name}, seed {self.seed}, {self.norm}"

    def description(self) -> dict[str, Any]:
        """Return all that the result depends on, as plain values; its hash names the file."""
        return {
            "kind": "max margin",
            "format": _FORMAT,
            "samples": self.fingerprint,
            "norm": self.norm,
            "gap": self.gap,
        }


@dataclass(frozen=True)
class Cell:
    """Every combination of momentum and signal at one data set, seed, norm, loss and batch size."""

    data: DataSet
    seed: int
    fingerprint: str
    """Hash of the samples: results belong to the data, not to its name."""
    samples: int
    features: int
    classes: int
    norm: str
    loss: str
    batch_size: int
    schedule: ScheduleChoice
    momenta: tuple[float, ...]
    momentum_kind: str
    signals: tuple[str, ...]
    steps: int
    records: int
    gap: float
    references: tuple[str, ...] = ()
    """Further norms whose max margins the runs are compared with."""
    bias: bool = False
    """Whether the cosine to the bias direction of Definition 4.8 is measured."""
    weights: bool = False
    """Whether the recorded weights are kept."""
    naive: bool = False
    """Whether runs are repeated in the usual arithmetic, for contrast."""

    @property
    def label(self) -> str:
        """A short text for progress and messages."""
        return f"{self.data.name}, seed {self.seed}, {self.norm}, b = {self.batch_size}"

    @property
    def runs(self) -> int:
        """Number of runs in the cell."""
        return len(self.momenta) * len(self.signals)

    @property
    def run_steps(self) -> int:
        """Updates in all runs of the cell."""
        return self.steps * self.runs

    @property
    def seconds(self) -> float:
        """About how long it takes one core: enough to order cells, and to tell long from short."""
        multiplications = self.batch_size * self.classes * self.features
        steps = self.run_steps * (_SECONDS_A_STEP + _SECONDS_A_MULTIPLICATION * multiplications)
        return _SECONDS_A_CELL + steps

    @property
    def kept_records(self) -> int:
        """Records of a run at most: there are no more than steps."""
        return min(self.records, self.steps + 1)

    @property
    def memory_bytes(self) -> int:
        """About what its recorded weights take, in bytes, which is what memory goes to."""
        return self.runs * self.kept_records * self.classes * self.features * _BYTES * _COPIES

    @property
    def margins(self) -> tuple[Margin, ...]:
        """The max margins that its runs are compared with, that of its own norm first."""
        norms = dict.fromkeys((self.norm, *self.references))
        return tuple(Margin(self.data, self.seed, self.fingerprint, norm, self.gap) for norm in norms)

    def methods(self, margin: float) -> list[Method]:
        """Return the cell's methods, momenta first, for a max margin γ that scales the step sizes."""
        schedule = PolynomialDecay(self.schedule.initial_step_size(self.norm, margin), self.schedule.exponent)
        batch_size = None if self.batch_size == self.samples else self.batch_size
        return [
            Method(
                self.norm,
                batch_size,
                momentum,
                loss=self.loss,
                schedule=schedule,
                seed=self.seed,
                signal=signal,
                momentum_kind=self.momentum_kind,
            )
            for momentum in self.momenta
            for signal in self.signals
        ]

    @property
    def _averages_by_terms(self) -> bool:
        """Whether some method of the cell keeps the coefficients of what it averages."""
        return any(
            keeps_terms(Method(self.norm, momentum=beta, signal=each, momentum_kind=self.momentum_kind))
            for beta in self.momenta
            for each in self.signals
        )

    def description(self) -> dict[str, Any]:
        """Return all that the results depend on, as plain values; its hash names the cell's file."""
        return {
            "kind": "runs",
            "format": _FORMAT,
            "data": identity(self.data),
            "samples": self.fingerprint,
            "seed": self.seed,
            "norm": self.norm,
            "loss": self.loss,
            "batch_size": self.batch_size,
            "schedule": self.schedule.model_dump(exclude_none=True),
            "momentum": list(self.momenta),
            **described_signals(self.signals),
            **({} if self.momentum_kind == AVERAGE else {"momentum_kind": self.momentum_kind}),
            "steps": self.steps,
            "records": self.records,
            "gap": self.gap,
            "reference": list(self.references),
            "bias": self.bias,
            # Since distances to the bias direction are measured; what measured cosines alone is computed
            # again.
            **({"bias_distance": True} if self.bias else {}),
            "weights": self.weights,
            "naive": self.naive,
            # Since directions are exact at any grading; where that can change a run it is computed again.
            **({"directions": "exact"} if hangs_on_small_parts(norm(self.norm)) else {}),
            # Since those of averages and of SAGA are too.
            **({"averages": "exact"} if self._averages_by_terms else {}),
        }


def described_signals(signals: tuple[str, ...]) -> dict[str, Any]:
    """Return signals as descriptions keep them: where there are no others, by the name that there was first.

    >>> described_signals(("minibatch", "svrg")), described_signals(("saga",))
    ({'variance_reduction': [False, True]}, {'signal': ['saga']})
    """
    if set(signals) <= {PLAIN_SIGNAL, REDUCED_SIGNAL}:
        return {"variance_reduction": [signal == REDUCED_SIGNAL for signal in signals]}
    return {"signal": list(signals)}


def signals_described(description: Mapping[str, Any]) -> list[str]:
    """Return the signals of a description, the inverse of :func:`described_signals`."""
    if "signal" in description:
        return [str(each) for each in description["signal"]]
    return [REDUCED_SIGNAL if reduced else PLAIN_SIGNAL for reduced in description["variance_reduction"]]


def cells_of(experiment: Experiment, problems: Known) -> list[Cell]:
    """Return the cells of an experiment on its samples, in the order in which they are computed.

    Raises:
        InvalidArgument: a batch size that is larger than a data set, or a bias direction where there is
            none.
    """
    if experiment.bias:
        _require_bias(experiment, problems)
    return [
        Cell(
            data,
            seed,
            *_facts(problems[data.name, seed]),
            norm,
            loss,
            batch_size,
            experiment.schedule_for(data).for_norm(norm),
            experiment.momentum,
            experiment.momentum_kind,
            experiment.signal,
            experiment.steps,
            experiment.records,
            experiment.gap,
            experiment.reference,
            experiment.bias,
            experiment.weights,
            norm in experiment.naive and batch_size == 1 and not data.contrast,
        )
        for data in experiment.data
        for seed in data.seeds_of(experiment.seed)
        for norm in experiment.norm
        for loss in experiment.loss
        for batch_size in _batch_sizes(experiment, problems[data.name, seed])
    ]


def _facts(problem: Classification | StoredSamples) -> tuple[str, int, int, int]:
    if isinstance(problem, StoredSamples):
        return problem.fingerprint, problem.samples, problem.features, problem.classes
    return problem.fingerprint, problem.samples, problem.dimension, problem.n_classes


def _require_bias(experiment: Experiment, problems: Known) -> None:
    for (name, _), problem in problems.items():
        # Of samples that are not here this was asked when they were.
        if isinstance(problem, Classification):
            for norm in experiment.norm:
                _require_bias_direction(name, problem, norm)


def _require_bias_direction(name: str, problem: Classification, norm: str) -> None:
    try:
        batch_one_direction(problem, norm)
    except InvalidArgument as error:
        raise InvalidArgument("bias", True, f"data set {name}: {error.remedy}") from error


def _batch_sizes(experiment: Experiment, problem: Classification | StoredSamples) -> Iterator[int]:
    chosen = [problem.samples if size == "full" else size for size in experiment.batch_size]
    for size in chosen:
        if size > problem.samples:
            remedy = f"data set {problem.name} has {problem.samples} samples; give at most that, or 'full'"
            raise InvalidArgument("batch_size", size, remedy)
    # "full" and n are the same runs.
    yield from dict.fromkeys(chosen)
