"""Batches of a loader, passed through a model: how they are read, and how no training notices that."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.errors import InvalidArgument, InvalidData

__all__ = [
    "EMPTY",
    "Caller",
    "Read",
    "called",
    "inputs_and_labels",
    "read_pair",
    "undisturbed",
]

Read = Callable[[Any], tuple[Any, Tensor]]
"""How a batch is read: its inputs, as the model takes them, and its labels."""

EMPTY = "give batches, in what can be iterated over again and again: a list or a DataLoader, no generator"
"""The remedy for a loader that yields nothing."""

_ITERABLE = "give an iterable of batches, each a pair (inputs, labels) or a mapping with 'labels', or read="


def read_pair(batch: Any) -> tuple[Any, Tensor]:
    """Read a pair (inputs, labels), or a mapping in which "labels" stands beside the inputs.

    Raises:
        InvalidData: the batch is neither.

    >>> inputs, labels = read_pair((torch.ones(2, 3), torch.tensor([0, 1])))
    >>> inputs.shape, labels.tolist()
    (torch.Size([2, 3]), [0, 1])
    """
    if isinstance(batch, Mapping) and "labels" in batch:
        return {name: value for name, value in batch.items() if name != "labels"}, batch["labels"]
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise InvalidData("loader", type(batch).__name__, _ITERABLE)


@contextmanager
def undisturbed(model: nn.Module, loader: object) -> Iterator[None]:
    """Read a model in evaluation mode; afterwards its modes and random number generators are as before.

    A DataLoader draws a seed each time that it is iterated over, from a generator of its own or PyTorch's,
    and its data set may draw from NumPy's and Python's.
    """
    training = [module for module in model.modules() if module.training]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=range(torch.cuda.device_count())))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 - others draw from it
        own = getattr(loader, "generator", None)
        if isinstance(own, torch.Generator):
            stack.callback(own.set_state, own.get_state())
        # train() would overwrite what single modules were set to.
        for module in training:
            module.training = False
        try:
            yield
        finally:
            for module in training:
                module.training = True


def inputs_and_labels(
    loader: Iterable[Any], read: Read, device: torch.device
) -> Iterator[tuple[Any, Tensor]]:
    """Yield inputs and labels of every batch, on a device.

    Raises:
        InvalidArgument: the loader is not iterable.
        InvalidData: labels are not whole numbers.
    """
    if not isinstance(loader, Iterable):
        raise InvalidArgument("loader", loader, _ITERABLE)
    for batch in loader:
        inputs, labels = read(batch)
        labels = torch.as_tensor(labels)
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise InvalidData("labels", str(labels.dtype), "give the class of each sample as a whole number")
        yield _moved(inputs, device), labels.to(device)


def called(model: nn.Module, inputs: Any) -> Tensor:
    """Call a model on inputs, by name where they are a mapping, and return its logits."""
    found = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    logits = getattr(found, "logits", found)
    if not isinstance(logits, Tensor):
        remedy = "give a model that returns logits, or an object that has them as .logits"
        raise InvalidArgument("model", type(found).__name__, remedy)
    return logits


class Caller(nn.Module):
    """A model that takes all its inputs as one argument and returns logits, as functional calls want it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, inputs: Any) -> Tensor:
        """Return the logits."""
        return called(self.model, inputs)


def _moved(inputs: Any, device: torch.device) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _moved(value, device) for name, value in inputs.items()}
    return inputs.to(device) if isinstance(inputs, Tensor) else inputs
