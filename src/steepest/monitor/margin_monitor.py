"""MarginMonitor: which margin does training maximise? Measured beside it, and written down."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import length_hint
from typing import Any

import numpy as np
from torch import nn
from torch.optim import Optimizer

from steepest.arguments import real_number
from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument, SteepestWarning
from steepest.geometry import Norm, norm_label
from steepest.geometry import norm as norm_of
from steepest.losses import Loss, log_loss
from steepest.losses import loss as loss_of
from steepest.monitor.batches import Read, read_pair
from steepest.monitor.head import Head, head_layer, read_head
from steepest.monitor.homogeneous import (
    NetworkMargin,
    NormOfNetwork,
    degree_of,
    form_of,
    network_margin,
    norms_of,
)
from steepest.monitor.margins import Alignment, alignment_of_step, certified_margins
from steepest.monitor.record import MarginRecord, writer_of
from steepest.monitor.schedule import WithinShare, schedule_of

__all__ = ["MarginMonitor"]

_LOADING = 1.0
"""Seconds in which the compiled code of max margins is loaded."""
_FIRST = 1.0
"""Seconds for the max margins of the first measurement."""
NORMS = ("max", "frobenius", "spectral", "row-2/inf")


class MarginMonitor:
    """Measure, while a network trains, how far its head is from the max margins of its own features.

    At chosen steps every batch of a loader passes the network in evaluation mode, and what reaches the head,
    a linear layer, are features on which the head is a linear classifier. Its margin min_i (z_y - max_c z_c)
    over ‖W‖ stands beside the largest that any head could have on these features, certified from both sides,
    in several norms; a bias is free in both. How the step that follows aligns with steepest descent in each
    norm is measured too. Training goes on as if nobody had looked, to the last bit on the CPU.

    Args:
        model: the network; of one in DistributedDataParallel its module, so that no rank waits for another.
        loader: batches, each a pair (inputs, labels) or a mapping with "labels"; iterated over at every
            measurement, and twice more for ``network_norm``.
        layer: the head, a :class:`torch.nn.Linear` or its name; the last one by default.
        norms: norms or their names.
        every: a number of steps, the steps themselves, or a function of a step; None for ``share``.
        share: what measurements may take of the time of training alone. The first waits until it has about
            two seconds, which is 40 seconds of training by default; max margins have as much as the share
            leaves them, and their bounds hold after any time.
        gap: relative gap of the certified max margins.
        time_limit: seconds for each of them; None for no limit.
        loss: the loss whose gradient steps are aligned with, over the loader, without weight decay.
        network_norm: for homogeneous networks: a norm or its name for all parameters, or a mapping from the
            names of parameters to norms; ‖θ‖ is the largest of all that are trained. Frozen ones need none.
        read: how a batch is read: a function that returns its inputs and labels.
        report: a function of a :class:`MarginRecord`, or a SummaryWriter of TensorBoard.
        prefix: what names in TensorBoard begin with.

    Raises:
        InvalidArgument: an argument cannot be used, or the network is not homogeneous.
        InvalidData: the loader's batches cannot be read.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> X, y = torch.randn(30, 8).double(), torch.arange(30) % 3
    >>> model = nn.Linear(8, 3, bias=False).double()
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with MarginMonitor(model, [(X, y)], norms=["max"], every=10).attach(optimizer) as monitor:
    ...     for _ in range(11):
    ...         optimizer.zero_grad()
    ...         nn.functional.cross_entropy(model(X), y).backward()
    ...         optimizer.step()
    >>> [record.step for record in monitor.records]
    [0, 10]
    >>> found = monitor.records[-1].margins["max"]
    >>> found.margin <= found.solution.upper_bound
    True
    """

    def __init__(
        self,
        model: nn.Module,
        loader: Iterable[Any],
        *,
        layer: nn.Module | str | None = None,
        norms: Sequence[Norm | str] = NORMS,
        every: int | Iterable[int] | Callable[[int], bool] | None = None,
        share: float = 0.05,
        gap: float = 1e-2,
        time_limit: float | None = 60.0,
        loss: Loss | str = "cross-entropy",
        network_norm: NormOfNetwork | None = None,
        read: Read = read_pair,
        report: object = None,
        prefix: str = "margins",
    ):
        if not isinstance(model, nn.Module):
            raise InvalidArgument("model", model, "give a torch.nn.Module")
        if isinstance(norms, str) or not isinstance(norms, Iterable):
            raise InvalidArgument("norms", norms, "give a list of norms or of their names")
        if not callable(read):
            raise InvalidArgument("read", read, "give a function that returns a batch's inputs and labels")
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        self._model, self._loader, self._read = model, loader, read
        self._layer = head_layer(model, layer)
        self._norms = {norm_label(each): each for each in map(norm_of, norms)}
        self._due = schedule_of(every, share)
        remedy = "give a number between 0 and 1"
        self._gap = real_number("gap", gap, remedy, above=0.0, below=1.0)
        remedy = "give seconds above 0, or None for no limit"
        self._time_limit = (
            None if time_limit is None else real_number("time_limit", time_limit, remedy, above=0)
        )
        self._loss = loss_of(loss)
        self._network_norm = network_norm
        if network_norm is not None:
            norms_of(model, network_norm)
        self._write = writer_of(report, prefix)
        self.records: list[MarginRecord] = []
        """What was measured so far."""
        self._hooks: list[Any] = []
        self._step = 0
        self._spent = self._elsewhere = self._unused = 0.0
        self._needed: float | None = None
        self._started: float | None = None
        self._pending: tuple[Head, MarginRecord] | None = None
        self._form: tuple[object, ...] = ()
        self._degree = 0

    def __enter__(self) -> MarginMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def attach(self, optimizer: Optimizer) -> MarginMonitor:
        """Measure around the steps of an optimiser from now on, and of no other; return the monitor."""
        if not isinstance(optimizer, Optimizer):
            raise InvalidArgument("optimizer", optimizer, "give a torch.optim.Optimizer")
        self._unhook()
        self._hooks = [
            optimizer.register_step_pre_hook(lambda *_: self._before()),
            optimizer.register_step_post_hook(lambda *_: self._after()),
        ]
        return self

    def detach(self) -> None:
        """Leave the optimiser alone; records stay, and a warning says so where no measurement fitted."""
        if self._hooks and self._step and not self.records and isinstance(self._due, WithinShare):
            warnings.warn(
                f"MarginMonitor: no measurement fitted a share of {self._due.share:g} of {self._step} steps; "
                "give a larger share=, or every= for the steps to measure at",
                SteepestWarning,
                stacklevel=2,
            )
        self._unhook()

    def _unhook(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def measure(self) -> MarginRecord:
        """Measure now, and keep and write the record, whose alignments are empty: no step follows."""
        _, record = self._measured()
        self._keep(record)
        return record

    def _before(self) -> None:
        # A step that failed has left its measurement behind.
        self._pending = None
        now = time.perf_counter()
        self._started = now if self._started is None else self._started
        elapsed = now - self._started
        first = self._needed is None
        needed = self._first_need(elapsed) if self._needed is None else self._needed
        seconds = self._due(self._step, spent=self._spent + self._unused, elapsed=elapsed, needed=needed)
        if seconds:
            self._pending = self._measured(seconds)
            if first and math.isfinite(seconds):
                # What it has left would else be spent at once, on the same features again.
                self._unused = max(0.0, seconds - self._spent)

    def _first_need(self, elapsed: float) -> float:
        """Return the seconds that the first measurement is expected to need, by the time of a step so far."""
        batches = length_hint(self._loader, 1)
        passes = batches if self._network_norm is None else 3 * batches
        self._elsewhere = passes * elapsed / max(1, self._step) + _LOADING
        return self._elsewhere + _FIRST

    def _after(self) -> None:
        self._step += 1
        if self._pending is not None:
            started = time.perf_counter()
            head, record = self._pending
            self._pending = None
            moved = as_numpy(self._layer.weight.detach().double().cpu()) - head.weights
            alignments = self._alignments(head, moved)
            taken = time.perf_counter() - started
            self._spent += taken
            self._needed = (self._needed or 0.0) + taken
            self._keep(replace(record, alignments=alignments, seconds=record.seconds + taken))

    def _alignments(self, head: Head, moved: np.ndarray) -> dict[str, Alignment]:
        return {name: alignment_of_step(head, self._loss, each, moved) for name, each in self._norms.items()}

    def _measured(self, seconds: float = math.inf) -> tuple[Head, MarginRecord]:
        started = time.perf_counter()
        head = read_head(self._model, self._layer, self._loader, self._read)
        # All but the max margins takes what it took before.
        seconds -= self._elsewhere
        begun = time.perf_counter()
        margins = dict(certified_margins(head, self._norms, self._gap, self._time_limit, seconds))
        searched = time.perf_counter() - begun
        problem, weights = head.augmented
        found = float(log_loss(problem, self._loss, weights))
        network = self._network()
        taken = time.perf_counter() - started
        self._spent += taken
        self._elsewhere = taken - searched
        # Where max margins had too little time for their gap, a measurement waits for twice as much.
        self._needed = self._elsewhere + (2.0 if searched > seconds else 1.0) * searched
        return head, MarginRecord(self._step, head.accuracy, found, margins, {}, network, taken)

    def _network(self) -> NetworkMargin | None:
        if self._network_norm is None:
            return None
        model, loader, read = self._model, self._loader, self._read
        # Anew each time: layers are frozen and thawed while a network trains.
        norms = norms_of(model, self._network_norm)
        form = form_of(model)
        if form != self._form:
            self._degree, self._form = degree_of(model, loader, read), form
        return network_margin(model, loader, read, self._loss, norms, self._degree)

    def _keep(self, record: MarginRecord) -> None:
        self.records.append(record)
        if self._write is not None:
            self._write(record)
