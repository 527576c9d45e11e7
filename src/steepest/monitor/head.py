"""The head of a network: its last linear layer, with the features that reach it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steepest.arrays import as_numpy
from steepest.errors import InvalidArgument, InvalidData
from steepest.monitor.batches import EMPTY, Read, called, inputs_and_labels, undisturbed
from steepest.optim.losses import LEFT_OUT
from steepest.problem import Classification

__all__ = ["Head", "head_layer", "read_head"]


@dataclass(frozen=True)
class Head:
    """A linear layer W x + b as it was at one moment, and the features x of every sample of a loader."""

    weights: np.ndarray
    """W, shape [k, d], float64."""
    bias: np.ndarray | None
    """b, shape [k]; None for a layer without."""
    problem: Classification
    """The features, shape [n, d], with their labels among k classes."""

    @cached_property
    def margin(self) -> float:
        """Smallest margin of any sample: z_y - max_c z_c over c ≠ y, with z = W x + b."""
        return float(self._whole.margin(self._all_weights))

    @cached_property
    def accuracy(self) -> float:
        """Share of the samples with a positive margin."""
        return float(np.mean(np.min(self._whole.pair_margins(self._all_weights), axis=-1) > 0))

    @property
    def augmented(self) -> tuple[Classification, np.ndarray]:
        """The same logits of weights alone: features with a column of ones, and [W, b], for a bias."""
        return self._whole, self._all_weights

    @cached_property
    def _whole(self) -> Classification:
        # Single precision would round what is to be exact here.
        features = np.asarray(as_numpy(self.problem.features), dtype=np.float64)
        columns = [features] if self.bias is None else [features, np.ones((len(features), 1))]
        classes = self.problem.classes
        return Classification(np.hstack(columns), classes[self.problem.labels], classes=classes)

    @property
    def _all_weights(self) -> np.ndarray:
        return self.weights if self.bias is None else np.column_stack([self.weights, self.bias])


def head_layer(model: nn.Module, layer: nn.Module | str | None) -> nn.Linear:
    """Return the linear layer that is named or given; the last one of the model where none is.

    Raises:
        InvalidArgument: there is no such layer, or it is not linear.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> head_layer(model, None) is head_layer(model, "2")
    True
    """
    found: object = layer
    if layer is None:
        linear = [each for each in model.modules() if isinstance(each, nn.Linear)]
        found = linear[-1] if linear else None
    elif isinstance(layer, str):
        found = dict(model.named_modules()).get(layer)
    if not isinstance(found, nn.Linear) or not any(found is each for each in model.modules()):
        raise InvalidArgument("layer", layer, "give a torch.nn.Linear of the model, or its name in the model")
    return found


@torch.no_grad()
def read_head(model: nn.Module, layer: nn.Linear, loader: Iterable[Any], read: Read) -> Head:
    """Pass every batch through the model, and keep what reaches the layer.

    Sequences count position by position, without those labelled -100, as PyTorch's cross-entropy has it.

    Raises:
        InvalidData: the loader is empty, a batch passes the layer not just once or has not one label for each
            of the features, or a label is no output of the layer.
    """
    device = layer.weight.device
    features: list[Tensor] = []
    labels: list[Tensor] = []
    caught: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0].detach()))
    try:
        with undisturbed(model, loader):
            for inputs, given in inputs_and_labels(loader, read, device):
                caught.clear()
                called(model, inputs)
                kept = _flattened(caught, given)
                features.append(kept[0].cpu())
                labels.append(kept[1].cpu())
    finally:
        hook.remove()
    if not features:
        raise InvalidData("loader", "no batch", EMPTY)
    X = as_numpy(torch.cat(features).to(_precision(features[0])))
    y = as_numpy(torch.cat(labels))
    _check_labels(y, layer.out_features)
    problem = Classification(X, y, "features of the head", classes=np.arange(layer.out_features))
    bias = None if layer.bias is None else _copied(layer.bias)
    return Head(_copied(layer.weight), bias, problem)


def _flattened(caught: list[Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
    if len(caught) != 1:
        remedy = "name a layer that each batch passes once, as layer="
        raise InvalidData("layer", f"passed {len(caught)} times", remedy)
    X, y = caught[0].flatten(0, -2), labels.flatten()
    if len(X) != len(y):
        remedy = f"give {len(X)} labels a batch, one for each of the features that reach the layer"
        raise InvalidData("labels", tuple(labels.shape), remedy)
    kept = y != LEFT_OUT
    return X[kept], y[kept]


def _check_labels(y: np.ndarray, classes: int) -> None:
    if y.size and not 0 <= int(y.min()) <= int(y.max()) < classes:
        wrong = int(y.min()) if y.min() < 0 else int(y.max())
        remedy = f"give classes from 0 to {classes - 1}: the layer has {classes} outputs"
        raise InvalidData("labels", wrong, remedy)


def _copied(parameter: Tensor) -> np.ndarray:
    """As a copy: the layer is about to move."""
    return np.array(as_numpy(parameter), dtype=np.float64)


def _precision(features: Tensor) -> torch.dtype:
    """Half precision is widened, which changes no value."""
    return features.dtype if features.dtype == torch.float64 else torch.float32
