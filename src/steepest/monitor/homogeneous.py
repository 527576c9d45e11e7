"""The margin of a whole network that is homogeneous in its parameters, and how near it is to a KKT point.

A network is homogeneous of degree L if f(cθ) = c^L f(θ) for c > 0: layers without biases, but for the
first's, with ReLUs and pooling between them, have their number as L. θ are the parameters that are trained:
layers that are frozen belong to f, and count neither in L nor in ‖θ‖. With ‖θ‖ = max over layers of each
layer's norm, the margin that steepest descent drives up is min_i (z_y - max_c z_c) / ‖θ‖^L, and

    1 - ⟨-∇L, θ⟩ / (‖∇L‖_* ‖θ‖),   ‖∇L‖_* = Σ over layers of each layer's dual norm,

is 0 where θ is along the steepest descent direction: at the KKT points of that margin's problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from steepest.doubled import Doubled
from steepest.errors import InvalidArgument, InvalidData
from steepest.geometry import Norm
from steepest.geometry import norm as norm_of
from steepest.losses import Loss
from steepest.losses.protocol import Residuals
from steepest.monitor.batches import EMPTY, Caller, Read, called, inputs_and_labels, undisturbed
from steepest.optim.losses import LEFT_OUT

__all__ = ["NetworkMargin", "NormOfNetwork", "degree_of", "form_of", "network_margin", "norms_of"]

NormOfNetwork = Norm | str | Mapping[str, Norm | str]
"""One norm for all parameters, or one for each by its name."""

_WHOLE = 1e-3
"""How far a measured degree may be from a whole number: single precision and summation orders stay below."""


@dataclass(frozen=True)
class NetworkMargin:
    """The normalised margin and the KKT residual of a homogeneous network."""

    degree: int
    """L: multiplying all trained parameters by c multiplies the logits by c^L."""
    size: float
    """‖θ‖, the largest of the trained layers' norms."""
    margin: float
    """min_i (z_y - max_{c≠y} z_c) / ‖θ‖^L."""
    residual: float
    """1 - ⟨-∇L, θ⟩ / (‖∇L‖_* ‖θ‖), from 0, at a KKT point, to 2; NaN where a gradient is zero."""


def norms_of(model: nn.Module, given: NormOfNetwork) -> dict[str, Norm]:
    """Return the norm of each parameter that is trained now, by its name.

    Raises:
        InvalidArgument: no parameter is trained; a trained one has no norm, or a norm is for no parameter.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False)).requires_grad_(False)
    >>> _ = model[1].requires_grad_(True)
    >>> norms_of(model, "max")
    {'1.weight': Entrywise(p=inf)}
    """
    trained = _trained(model)
    if not isinstance(given, Mapping):
        return dict.fromkeys(trained, norm_of(given))
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    for name in given:
        if name not in names:
            remedy = f"no parameter of the model has that name; there are {', '.join(names)}"
            raise InvalidArgument("network_norm", name, remedy)
    missing = [name for name in trained if name not in given]
    if missing:
        raise InvalidArgument("network_norm", sorted(given), f"give a norm for {missing[0]} too")
    return {name: norm_of(given[name]) for name in trained}


def degree_of(model: nn.Module, loader: Iterable[Any], read: Read) -> int:
    """Return the degree of homogeneity, measured on a batch: doubled parameters multiply every logit by 2^L.

    Those that are frozen stay as they are.

    Raises:
        InvalidArgument: they do not, so that the network is not homogeneous; or none is trained.
        InvalidData: the loader yields no batch.

    >>> from steepest.monitor.batches import read_pair
    >>> _ = torch.manual_seed(0)
    >>> layers = nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False)
    >>> degree_of(nn.Sequential(*layers), [(torch.eye(3), torch.tensor([0, 1, 1]))], read_pair)
    2
    """
    trained = _trained(model)
    device = next(iter(trained.values())).device
    with torch.no_grad(), undisturbed(model, loader):
        inputs, _ = next(inputs_and_labels(loader, read, device), (None, None))
        if inputs is None:
            raise InvalidData("loader", "no batch", EMPTY)
        once = called(model, inputs)
        doubled = {name: 2.0 * parameter for name, parameter in trained.items()}
        twice = _called_with(model, doubled, inputs)
    known = once != 0
    ratios = torch.log2((twice[known] / once[known]).double())
    # A logit that changes its sign or vanishes has no finite ratio, and none of those makes a whole number.
    finite = ratios[torch.isfinite(ratios)]
    degree = round(float(finite.median())) if finite.numel() else 0
    off = float((ratios - degree).abs().max()) if known.any() else math.inf
    if degree < 1 or not off <= _WHOLE or bool((twice[~known] != 0).any()):
        remedy = (
            "doubled parameters do not multiply its outputs by a power of 2: give a homogeneous network, "
            "without normalisation and without biases after its first trained layer, or "
            "leave network_norm out"
        )
        raise InvalidArgument("model", type(model).__name__, remedy)
    return degree


def form_of(model: nn.Module) -> tuple[object, ...]:
    """Return what the degree depends on: while it stays equal, a measured degree holds.

    These are the modules, the shapes of the parameters, and which of them are trained and which zero: a
    network whose biases are still zero is homogeneous, and no longer once they are trained.

    >>> layer = nn.Linear(3, 2)
    >>> before = form_of(layer)
    >>> _ = layer.weight.data.mul_(0.5)
    >>> form_of(layer) == before, form_of(layer.requires_grad_(False)) == before
    (True, False)
    >>> _ = layer.requires_grad_(True).bias.data.zero_()
    >>> form_of(layer) == before
    False
    """
    with torch.no_grad():
        parameters = tuple(
            (name, tuple(each.shape), each.requires_grad, bool(each.any()))
            for name, each in model.named_parameters()
        )
    return repr(model), parameters


def network_margin(
    model: nn.Module, loader: Iterable[Any], read: Read, loss: Loss, norms: Mapping[str, Norm], degree: int
) -> NetworkMargin:
    """Return margin and KKT residual, ``norms`` naming the norm of each trained parameter.

    The residuals of all samples are made from log-odds and share one scale, so that a loss far below the
    smallest number has a gradient as any other. The loader is iterated over twice.

    Raises:
        InvalidArgument: no parameter is trained.
        InvalidData: the loader yields no batch, or labels do not fit the logits.
    """
    parameters = _trained(model)
    device = next(iter(parameters.values())).device
    with undisturbed(model, loader):
        smallest, largest = _extremes(model, loader, read, loss, device)
        slopes = _gradient(model, loader, read, loss, list(parameters.values()), largest, device)
    sizes: list[float] = []
    duals = along = 0.0
    for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
        weights, norm = _matrix(parameter.detach()).double(), norms[name]
        sizes.append(float(norm(weights)))
        duals += float(norm.dual(_matrix(slope)))
        along -= float(torch.sum(weights * _matrix(slope)))
    size = max(sizes)
    margin = smallest / size**degree if size > 0 else 0.0
    residual = 1.0 - along / (duals * size) if duals * size > 0 else math.nan
    return NetworkMargin(degree, size, margin, residual)


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    found = {name: each for name, each in model.named_parameters() if each.requires_grad}
    if not found:
        remedy = "all its parameters are frozen: set requires_grad on some, or leave network_norm out"
        raise InvalidArgument("model", type(model).__name__, remedy)
    return found


def _extremes(
    model: nn.Module, loader: Iterable[Any], read: Read, loss: Loss, device: torch.device
) -> tuple[float, float]:
    """Return the smallest margin, and the logarithm of the largest residual weight, of all samples."""
    margins, weights = [], []
    with torch.no_grad():
        for logits, labels in _logits(model, loader, read, device):
            odds = _log_odds(logits.double(), labels)
            margins.append(-odds.max())
            weights.append(loss.residuals(Doubled(odds, torch.zeros_like(odds))).log_weights.high.max())
    if not margins:
        raise InvalidData("loader", "no batch", EMPTY)
    return float(torch.stack(margins).min()), float(torch.stack(weights).max())


def _gradient(
    model: nn.Module,
    loader: Iterable[Any],
    read: Read,
    loss: Loss,
    parameters: list[nn.Parameter],
    largest: float,
    device: torch.device,
) -> list[Tensor]:
    """Return ∇L up to one positive factor, a float64 tensor a parameter."""
    total = [torch.zeros_like(each, dtype=torch.float64) for each in parameters]
    for logits, labels in _logits(model, loader, read, device):
        odds = _log_odds(logits.detach().double(), labels)
        pull = _pull(loss.residuals(Doubled(odds, torch.zeros_like(odds))), labels, largest)
        parts = torch.autograd.grad(logits, parameters, pull.to(logits.dtype), allow_unused=True)
        for part, whole in zip(parts, total, strict=True):
            if part is not None:
                whole.add_(part)
    return total


def _logits(
    model: nn.Module, loader: Iterable[Any], read: Read, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    for inputs, labels in inputs_and_labels(loader, read, device):
        logits = called(model, inputs)
        if labels.numel() != logits.numel() // logits.shape[-1]:
            remedy = f"give labels for logits of shape {tuple(logits.shape)}, one a row"
            raise InvalidData("labels", tuple(labels.shape), remedy)
        kept = labels.flatten() != LEFT_OUT
        if bool(kept.any()):
            yield logits.flatten(0, -2)[kept], labels.flatten()[kept]


def _log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Return a_ic = z_ic - z_iy, -inf at the true class."""
    true = labels[:, None].long()
    odds = logits - logits.gather(1, true)
    return odds.scatter(1, true, -torch.inf)


def _pull(residuals: Residuals, labels: Tensor, largest: float) -> Tensor:
    """Return the derivative of Σ_i ℓ_i by the logits, times exp(-largest)."""
    weights = torch.exp((residuals.log_weights.high - largest) + residuals.log_weights.low)
    others = residuals.shares * weights[:, None]
    return others.scatter(1, labels[:, None].long(), -others.sum(1, keepdim=True))


def _matrix(tensor: Tensor) -> Tensor:
    """Outputs as rows and all else as columns; a vector is one column."""
    return tensor.reshape(tensor.shape[0], -1) if tensor.ndim else tensor.reshape(1, 1)


def _called_with(model: nn.Module, parameters: Mapping[str, Tensor], inputs: Any) -> Tensor:
    named = {f"model.{name}": value for name, value in parameters.items()}
    return functional_call(Caller(model), named, (inputs,))
