"""What runs came to in the end: one line for each kind of run, over its seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FinalError", "final_errors"]


@dataclass(frozen=True)
class FinalError:
    """Relative margin errors 1 - margin/(‖W‖ γ) at the last step, of runs that differ in their seed alone."""

    run: dict[str, Any]
    """What tells these runs from others: data, norm, batch size, momentum, ..."""
    median: float
    least: float
    largest: float
    seeds: int


def final_errors(dataset: xr.Dataset) -> tuple[FinalError, ...]:
    """Return the final errors of every kind of run that the results hold, in their order."""
    last = dataset["relative_margin_error"].isel(step=-1)
    labels = [str(name) for name in last.dims if name != "seed"]
    values = last.transpose(*labels, "seed").values
    found = []
    for place in np.ndindex(*values.shape[:-1]):
        errors = values[place][np.isfinite(values[place])]
        if errors.size:
            run = {name: dataset[name].values[at].item() for name, at in zip(labels, place, strict=True)}
            numbers = (float(np.median(errors)), float(errors.min()), float(errors.max()))
            found.append(FinalError(run, *numbers, int(errors.size)))
    return tuple(found)
