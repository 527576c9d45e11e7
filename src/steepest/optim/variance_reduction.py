"""Variance reduction by snapshots (SVRG) around any optimiser of PyTorch.

V_t = c (∇L_B(W_t) - ∇L_B(W̃)) + ∇L(W̃), with a snapshot W̃ of the weights and the gradient over all samples
there. For a batch B of the m batches of n samples c = |B| m / n, so that the mean of the signals over an
epoch is the gradient over all samples, whatever the last batch leaves; c = 1 for batches of one size, and
with partial_batch="mean" for all, as in a loop that takes every batch as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from steepest.arguments import one_of, real_number, whole_number
from steepest.errors import InvalidArgument

__all__ = ["VarianceReduced"]

Snapshots = Literal["epoch"] | float | Callable[[int], bool]
"""When a snapshot is taken: at each epoch, with a probability at each step, or at steps of your own."""

_LARGEST_SEED = 2**64 - 1
_WHEN = 'give "epoch", a probability in (0, 1], or a function of the step'


class VarianceReduced:
    """An optimiser whose gradients are corrected by a snapshot of the weights.

    It costs a gradient over all samples a snapshot, a second gradient over each batch, and the memory of one
    snapshot and its gradient. The loss is a mean over samples. Buffers, such as the running means of batch
    normalisation, are left alone by everything but the ordinary pass over each batch.

    Args:
        optimizer: any optimiser of the model's parameters that takes steps without a closure.
        model: maps a batch's inputs to outputs.
        loss: maps outputs and targets to the mean loss of the batch.
        loader: batches (inputs, targets), anew at each iteration, the same samples in any order.
        snapshots: "epoch" takes one at the first step of each pass over the loader (SVRG); a probability at
            each step, and at the first one (loopless SVRG); or a function of the number of the step.
        random_layers: a correction needs the same function at both weights. "refuse" raises where a pass
            draws random numbers, as dropout does; "seed" draws the same ones at the snapshot, and at the full
            gradient whatever comes.
        seed: of the coins of a probability, a whole number of at least 0.
        partial_batch: how a smaller last batch counts: "weighted" by its samples, so that the signals of an
            epoch average to the full gradient, or by its plain "mean", as in :class:`steepest.Method`.

    Raises:
        InvalidArgument: a value that cannot be used; a model that draws random numbers, at its first pass.

    >>> inputs, targets = torch.randn(8, 3), torch.arange(8) % 2
    >>> batches = list(zip(inputs.split(4), targets.split(4)))
    >>> model = nn.Linear(3, 2)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> reduced = VarianceReduced(sgd, model, nn.functional.cross_entropy, batches)
    >>> for _ in range(2):
    ...     for inputs, targets in batches:
    ...         loss = reduced.step(inputs, targets)
    >>> reduced.steps, reduced.snapshots_taken
    (4, 2)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        loader: Iterable[tuple[Any, Any]],
        snapshots: Snapshots = "epoch",
        random_layers: Literal["refuse", "seed"] = "refuse",
        seed: int = 0,
        partial_batch: Literal["weighted", "mean"] = "weighted",
    ):
        _check_parts(optimizer, model, loss)
        if isinstance(loader, Iterator) or not isinstance(loader, Iterable):
            raise InvalidArgument("loader", type(loader).__name__, "give what can be iterated more than once")
        if isinstance(snapshots, str) or not callable(snapshots):
            is_epoch = isinstance(snapshots, str) and snapshots == "epoch"
            snapshots = (
                "epoch" if is_epoch else real_number("snapshots", snapshots, _WHEN, above=0, at_most=1)
            )
        seed = whole_number("seed", seed, 0, at_most=_LARGEST_SEED)
        self.optimizer, self.model, self.loss, self.loader = optimizer, model, loss, loader
        self.random_layers = one_of("random_layers", random_layers, ("refuse", "seed"))
        self.partial_batch = one_of("partial_batch", partial_batch, ("weighted", "mean"))
        self.steps = self.snapshots_taken = 0
        self._snapshots = snapshots
        self._coins = torch.Generator().manual_seed(seed)
        self._batches = self._samples = 0
        self._snapshot: dict[str, Tensor] = {}
        self._full: dict[str, Tensor] = {}

    def step(self, inputs: Any, targets: Any) -> Tensor:
        """Take a step on a batch, after a snapshot where one is due, and return the batch's loss.

        Gradients that have gathered before are dropped; the corrected ones stay in ``grad``.
        """
        if self._is_due():
            self.take_snapshot()
        self.optimizer.zero_grad()
        state = _random_state()
        value = self.loss(self.model(inputs), targets)
        value.backward()
        self._require_same(state)
        after = _random_state()
        _set_random_state(state)
        there = self._gradients(self._snapshot, inputs, targets)
        _set_random_state(after)
        is_weighted = self.partial_batch == "weighted"
        weight = _samples(inputs) * self._batches / self._samples if is_weighted else 1.0
        with torch.no_grad():
            for name, param in self._trained():
                here = torch.zeros_like(param) if param.grad is None else param.grad
                param.grad = (here - there[name]).mul_(weight).add_(self._full[name])
        self.optimizer.step()
        self.steps += 1
        return value.detach()

    def take_snapshot(self) -> None:
        """Take the weights of now as the snapshot, and the gradient over all samples there."""
        self._snapshot = {name: param.detach().clone() for name, param in self._trained()}
        total = {name: torch.zeros_like(param) for name, param in self._trained()}
        batches = samples = 0
        state = _random_state()
        for batch in self.loader:
            inputs, targets = _pair(batch)
            size = _samples(inputs)
            before = _random_state()
            for name, gradient in self._gradients(self._snapshot, inputs, targets).items():
                total[name].add_(gradient, alpha=size)
            self._require_same(before)
            batches, samples = batches + 1, samples + size
        if not samples:
            raise InvalidArgument("loader", type(self.loader).__name__, "it has no samples")
        if self.random_layers == "seed":
            _set_random_state(state)
        self._full = {name: gradient.div_(samples) for name, gradient in total.items()}
        self._batches, self._samples = batches, samples
        self.snapshots_taken += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what a run is resumed from, the optimiser's state among it."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "snapshot": dict(self._snapshot),
            "full": dict(self._full),
            "counts": [self.steps, self.snapshots_taken, self._batches, self._samples],
            "coins": self._coins.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load ``state``, which :meth:`state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        own = dict(self._trained())
        for name in ("snapshot", "full"):
            kept = {key: value.to(own[key]) for key, value in state[name].items() if key in own}
            setattr(self, f"_{name}", kept)
        self.steps, self.snapshots_taken, self._batches, self._samples = state["counts"]
        self._coins.set_state(state["coins"])

    def _is_due(self) -> bool:
        if not self._snapshot:
            return True
        if callable(self._snapshots):
            return self._snapshots(self.steps)
        if isinstance(self._snapshots, str):
            period = len(self.loader) if isinstance(self.loader, Sized) else self._batches
            return self.steps % period == 0
        return float(torch.rand((), generator=self._coins)) < self._snapshots

    def _trained(self) -> Iterator[tuple[str, Tensor]]:
        own = {id(param) for group in self.optimizer.param_groups for param in group["params"]}
        for name, param in self.model.named_parameters():
            if id(param) in own and param.requires_grad:
                yield name, param

    def _gradients(self, weights: dict[str, Tensor], inputs: Any, targets: Any) -> dict[str, Tensor]:
        """Return the gradients of a batch's loss at other weights; the model stays as it is."""
        leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        value = self.loss(functional_call(self.model, {**leaves, **buffers}, (inputs,)), targets)
        found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, found, strict=True))

    def _require_same(self, state: list[Tensor]) -> None:
        if self.random_layers == "refuse" and not all(map(torch.equal, state, _random_state())):
            remedy = (
                "a pass through it draws random numbers, so that gradients at two weights do not compare: "
                'set dropout to 0, or give random_layers="seed"'
            )
            raise InvalidArgument("model", type(self.model).__name__, remedy)


def _check_parts(optimizer: object, model: object, loss: object) -> None:
    if not isinstance(optimizer, Optimizer):
        raise InvalidArgument(
            "optimizer", optimizer, "give a torch.optim.Optimizer of the model's parameters"
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        remedy = "its steps need a closure, with gradients at several weights: give one that takes gradients"
        raise InvalidArgument("optimizer", "LBFGS", remedy)
    if not isinstance(model, nn.Module):
        raise InvalidArgument("model", model, "give a torch.nn.Module")
    if not callable(loss):
        raise InvalidArgument("loss", loss, "give a function of outputs and targets")
    own = {id(param) for group in optimizer.param_groups for param in group["params"]}
    if not any(id(param) in own and param.requires_grad for param in model.parameters()):
        remedy = "it trains none of the model's parameters: give the optimiser of this model"
        raise InvalidArgument("optimizer", type(optimizer).__name__, remedy)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise InvalidArgument("loader", type(batch).__name__, "give batches that are pairs (inputs, targets)")
    return batch[0], batch[1]


def _samples(inputs: Any) -> int:
    try:
        return len(inputs)
    except TypeError:
        remedy = "give inputs with a length, their number of samples: a tensor with samples first"
        raise InvalidArgument("inputs", type(inputs).__name__, remedy) from None


def _random_state() -> list[Tensor]:
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *on_devices]


def _set_random_state(state: list[Tensor]) -> None:
    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state_all(state[1:])
