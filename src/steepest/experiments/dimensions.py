"""The labels of results: their dimensions with units and meanings, and those of earlier versions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CELL_LABELS",
    "DIMENSIONS",
    "PLAIN_SIGNAL",
    "REDUCED_SIGNAL",
    "RUN_LABELS",
    "labelled",
    "with_generalisation",
    "with_signals",
    "with_variance_reduction",
]

CELL_LABELS = ("data", "loss", "norm", "batch_size", "seed")
"""What tells one cell of an experiment from another."""

RUN_LABELS = ("momentum", "signal")
"""What tells the runs of a cell apart."""

DIMENSIONS = ("data", "loss", "norm", "batch_size", "momentum", "signal", "seed", "step")
"""The dimensions of every series, in this order."""

PLAIN_SIGNAL, REDUCED_SIGNAL = "minibatch", "svrg"
"""The two signals that the paper is about, and that results from before signals had names hold."""

_AXES = {
    "data": ("1", "name of the data set"),
    "loss": ("1", "loss"),
    "norm": ("1", "norm of the steepest descent and of the max margin"),
    "batch_size": ("samples", "samples a step, b"),
    "momentum": ("1", "momentum β"),
    "signal": ("1", "how the gradient is estimated from batches"),
    "seed": ("1", "seed of the data and of the shuffling"),
    "step": ("updates", "updates done, t"),
    "reference": ("1", "norm whose max margin the runs are compared with"),
    "class": ("1", "class, a row of the weights"),
    "feature": ("1", "feature, a column of the weights"),
}
_OLDER = "variance_reduction"
_OLDER_AXIS = {"units": "1", "long_name": "whether gradients are corrected by a snapshot each epoch (SVRG)"}


def labelled(coordinates: Mapping[str, Any]) -> dict[str, Any]:
    """Return coordinates by the names of their dimensions, with units and meanings."""
    return {
        name: (name, labels, {"units": _AXES[name][0], "long_name": _AXES[name][1]})
        for name, labels in coordinates.items()
    }


def with_generalisation(dataset: xr.Dataset, names: Collection[str]) -> xr.Dataset:
    """Return results that say of each data set whether claims are not about it, but may generalise to it."""
    words = {"units": "1", "long_name": "1 for data that claims are not about, but may generalise to"}
    switches = [float(name in names) for name in dataset["data"].values.tolist()]
    return dataset.assign(generalises=("data", switches, words))


def with_signals(dataset: xr.Dataset) -> xr.Dataset:
    """Return results with the dimension signal, in place of the switch variance_reduction that was before."""
    if _OLDER not in dataset.dims:
        return dataset
    signals = [REDUCED_SIGNAL if reduced else PLAIN_SIGNAL for reduced in dataset[_OLDER].values]
    renamed = dataset.drop_vars(_OLDER).rename_dims({_OLDER: "signal"})
    return renamed.assign_coords(labelled({"signal": signals}))


def with_variance_reduction(dataset: xr.Dataset) -> xr.Dataset:
    """Return results whose signals can be chosen by the switch variance_reduction too, where it says all.

    >>> import xarray as xr
    >>> results = xr.Dataset({"log_loss": ("signal", [-3.0, -5.0])}, {"signal": ["minibatch", "svrg"]})
    >>> float(with_variance_reduction(results)["log_loss"].sel(variance_reduction=True))
    -5.0
    """
    signals = dataset["signal"].values.tolist()
    if not set(signals) <= {PLAIN_SIGNAL, REDUCED_SIGNAL}:
        return dataset
    reduced = [signal == REDUCED_SIGNAL for signal in signals]
    return dataset.assign_coords({_OLDER: ("signal", reduced, _OLDER_AXIS)}).set_xindex(_OLDER)
