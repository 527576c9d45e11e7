"""Variance reduction for any optimiser: batch gradients corrected by those at a snapshot (SVRG).

Johnson and Zhang, "Accelerating stochastic gradient descent using predictive variance reduction", NIPS 2013;
without epochs: Kovalev, Horváth and Richtárik, "Don't jump through hoops and remove those loops", ALT 2020.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from steepest.arguments import one_of, real_number
from steepest.errors import InvalidArgument, InvalidData, SteepestWarning
from steepest.optim.batches import EMPTY, Caller, Read, inputs_and_labels, labels_that_count, read_pair

__all__ = ["VarianceReduced"]

_PER_EPOCH = 'give "epoch" for a snapshot at the start of each, or the probability of one at each step'


class VarianceReduced:
    """Take an optimiser's steps along variance-reduced gradients V = ∇L_B(W) - ∇L_B(W̃) + ∇L(W̃).

    W̃ is a snapshot of the parameters and ∇L(W̃) the gradient over the whole loader: one pass an epoch more,
    and a second gradient a batch. They are all that is kept. V stands in the ``grad`` of each parameter when
    the optimiser steps; with ``backward`` in place of ``step`` it can be clipped before. On a linear model
    these are the signals of :func:`steepest.descend` with ``variance_reduction=True``.

    A gradient over a batch must be that of the same function at W and at W̃. Layers that draw random numbers,
    which shows in the generator's state, are refused; with ``random_layers="seed"`` both gradients see the
    same draws. Batch normalisation makes a sample's loss depend on its batch: there is a warning.

    Args:
        optimizer: any optimiser of the model's parameters.
        model: the network.
        loss: a function of logits and labels that returns their mean loss.
        loader: batches, each a pair (inputs, labels) or a mapping with "labels".
        snapshot: "epoch", or the probability of a new snapshot before each step, above 0 and at most 1.
        random_layers: "refuse" or "seed".
        read: how a batch is read: a function that returns its inputs and labels.
        seed: seed of the coins for new snapshots.

    Raises:
        InvalidArgument: an argument cannot be used, or the model draws random numbers.
        InvalidData: the loader's batches cannot be read.

    >>> X, y = torch.eye(4), torch.arange(4)
    >>> model = nn.Linear(4, 4)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> loader = [(X[:2], y[:2]), (X[2:], y[2:])]
    >>> reduced = VarianceReduced(optimizer, model, nn.functional.cross_entropy, loader)
    >>> for _ in range(3):
    ...     for batch in reduced.epoch():
    ...         loss = reduced.step(batch)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        loader: Iterable[Any],
        *,
        snapshot: float | str = "epoch",
        random_layers: str = "refuse",
        read: Read = read_pair,
        seed: int = 0,
    ):
        if not isinstance(optimizer, Optimizer):
            raise InvalidArgument("optimizer", optimizer, "give a torch.optim.Optimizer")
        if not isinstance(model, nn.Module):
            raise InvalidArgument("model", model, "give a torch.nn.Module")
        if not callable(loss):
            raise InvalidArgument("loss", loss, "give a function of logits and labels")
        self._parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        _check_trained(optimizer, self._parameters)
        self.optimizer, self.model, self.loader = optimizer, model, loader
        self._loss, self._read = loss, read
        self._probability = _probability(snapshot)
        self._seeded = one_of("random_layers", random_layers, ("refuse", "seed")) == "seed"
        self._coins = torch.Generator().manual_seed(seed)
        self._snapshot: dict[str, Tensor] = {}
        self._gradient: dict[str, Tensor] = {}
        if any(_normalises_batches(module) for module in model.modules()):
            warnings.warn(
                "batch normalisation: a sample's gradient depends on its batch, so corrections by a snapshot "
                "are biased; GroupNorm or LayerNorm would not be",
                SteepestWarning,
                stacklevel=2,
            )

    def epoch(self) -> Iterator[Any]:
        """Yield the loader's batches, after a snapshot where they are taken by epochs."""
        if self._probability is None:
            self.take_snapshot()
        yield from self.loader

    def step(self, batch: Any) -> Tensor:
        """Take a step of the optimiser along the variance-reduced gradient; return the batch's loss."""
        found = self.backward(batch)
        self.optimizer.step()
        return found

    def backward(self, batch: Any) -> Tensor:
        """Replace each parameter's ``grad`` by its variance-reduced gradient; return the batch's loss."""
        tossed = self._probability is not None and (
            float(torch.rand((), generator=self._coins)) < self._probability
        )
        if tossed or not self._snapshot:
            self.take_snapshot()
        ((inputs, labels),) = inputs_and_labels([batch], self._read, self._device)
        # First the snapshot, in a copy of the generators: both gradients see the same draws, and training
        # goes on with the numbers that it would have drawn without.
        with torch.random.fork_rng(devices=self._cuda):
            there, _ = self._gradients(inputs, labels, self._snapshot)
        here, found = self._gradients(inputs, labels, None)
        for name, parameter in self._parameters.items():
            parameter.grad = here[name].sub_(there[name]).add_(self._gradient[name])
        return found

    def take_snapshot(self) -> None:
        """Keep the parameters as they are, and the gradient over the whole loader there."""
        total = {name: torch.zeros_like(each) for name, each in self._parameters.items()}
        count = 0
        for inputs, labels in inputs_and_labels(self.loader, self._read, self._device):
            weight = labels_that_count(labels)
            with torch.random.fork_rng(devices=self._cuda):
                gradients, _ = self._gradients(inputs, labels, self._parameters)
            for name, part in gradients.items():
                total[name].add_(part, alpha=weight)
            count += weight
        if not count:
            raise InvalidData("loader", "no batch", EMPTY)
        self._gradient = {name: part.div_(count) for name, part in total.items()}
        self._snapshot = {name: each.detach().clone() for name, each in self._parameters.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the snapshot, its gradient and the coins; the optimiser's state is its own."""
        return {
            "snapshot": dict(self._snapshot),
            "gradient": dict(self._gradient),
            "coins": self._coins.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that :meth:`state_dict` has returned.

        Raises:
            InvalidArgument: it is of another model.
        """
        for kept in (state["snapshot"], state["gradient"]):
            shapes = {name: each.shape for name, each in kept.items()}
            if kept and shapes != {name: each.shape for name, each in self._parameters.items()}:
                raise InvalidArgument("state", sorted(shapes), "give the state of a run of the same model")
        self._snapshot = {name: each.to(self._device) for name, each in state["snapshot"].items()}
        self._gradient = {name: each.to(self._device) for name, each in state["gradient"].items()}
        self._coins.set_state(state["coins"].cpu())

    @property
    def _device(self) -> torch.device:
        return next(iter(self._parameters.values())).device

    @property
    def _cuda(self) -> list[int]:
        return list(range(torch.cuda.device_count()))

    def _gradients(
        self, inputs: Any, labels: Tensor, at: Mapping[str, Tensor] | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient over a batch at some parameters, or at the model's, and the loss there.

        Elsewhere the model's buffers, such as running statistics, are copies: a batch counts once.
        """
        caller = Caller(self.model)
        state = {} if at is None else {f"model.{name}": value for name, value in self.model.named_buffers()}
        state = {name: value.clone() for name, value in state.items()}
        points = dict(self._parameters) if at is None else _ready(at)
        state |= {} if at is None else {f"model.{name}": value for name, value in points.items()}
        before = None if self._seeded else _generators(self._device)
        logits = functional_call(caller, state, (inputs,))
        if before is not None and not _same(before, _generators(self._device)):
            drawing = _random_layers(self.model) or type(self.model).__name__
            remedy = 'the model draws random numbers: random_layers="seed" gives both gradients the same'
            raise InvalidArgument("model", drawing, remedy)
        found = self._loss(logits, labels)
        parts = torch.autograd.grad(found, list(points.values()), allow_unused=True)
        filled = (
            torch.zeros_like(point) if part is None else part
            for part, point in zip(parts, points.values(), strict=True)
        )
        return dict(zip(points, filled, strict=True)), found.detach()


def _ready(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: each.detach().requires_grad_() for name, each in tensors.items()}


def _probability(snapshot: object) -> float | None:
    if isinstance(snapshot, str):
        if snapshot != "epoch":
            raise InvalidArgument("snapshot", snapshot, _PER_EPOCH)
        return None
    return real_number("snapshot", snapshot, _PER_EPOCH, above=0.0, at_most=1.0)


def _check_trained(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> None:
    trained = {id(each) for group in optimizer.param_groups for each in group["params"]}
    left = [name for name, each in parameters.items() if id(each) not in trained]
    if left or len(trained) > len(parameters):
        remedy = "give the optimiser exactly those parameters of the model that require gradients"
        raise InvalidArgument("optimizer", left[0] if left else len(trained), remedy)


def _normalises_batches(module: nn.Module) -> bool:
    return module.training and getattr(module, "running_mean", None) is not None


def _generators(device: torch.device) -> tuple[Tensor, ...]:
    own = (torch.cuda.get_rng_state(device),) if device.type == "cuda" else ()
    return (torch.get_rng_state(), *own)


def _same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _random_layers(model: nn.Module) -> str:
    """Name the layers that are known to draw, for a message; a function may draw without a layer."""
    known = (nn.modules.dropout._DropoutNd, nn.RReLU, nn.FractionalMaxPool2d)
    drawing = [
        name for name, module in model.named_modules() if isinstance(module, known) and module.training
    ]
    return ", ".join(drawing)
