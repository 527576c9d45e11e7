"""What is measured of batches of one on data and in norms where no weights change a sample's direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from steepest.descent import Trajectory
from steepest.geometry import norm
from steepest.problem import Classification
from steepest.theory import single_sample_bias
from steepest.theory.limits.single_samples import has_constant_directions

__all__ = ["about_bias"]


def about_bias(
    problem: Classification, name: str, max_margin: float, runs: Sequence[Trajectory]
) -> Iterator[tuple[Any, ...]]:
    """Yield name, values, words and further dimensions of what is known of B, for every run of a cell.

    Of the orthogonal data of Theorem 4.9 in other norms than the max-norm this is not defined.
    """
    norm_ = norm(name)
    if not has_constant_directions(problem, norm_):
        return
    found = single_sample_bias(problem, norm_)
    shares = [_share(run, found.B, found.distance_bound(float(run.method.schedule(0)))) for run in runs]
    words = {"long_name": "‖W_t - B R_t‖_F as a share of its bound n η_0 max ‖D_i‖_F", "units": "1"}
    yield "bias_distance_share", shares, words, "step"
    words = {"long_name": "smallest margin of the bias direction B", "units": "feature units"}
    yield "bias_margin", [np.asarray(found.margin)] * len(runs), words
    size = float(norm_(found.B))
    share = found.margin / size / max_margin if size > 0 else np.nan
    words = {"long_name": "normalised margin of B over the max margin", "units": "1"}
    yield "bias_share", [np.asarray(share)] * len(runs), words
    separates = {True: 1.0, False: 0.0, None: np.nan}[found.separates]
    words = {"long_name": "1 if the bias direction B separates the data, 0 if not", "units": "1"}
    yield "bias_separates", [np.asarray(separates)] * len(runs), words


def _share(run: Trajectory, B: np.ndarray, bound: float) -> np.ndarray:
    last = int(run.steps[-1])
    lengths = np.concatenate([[0.0], np.cumsum(np.broadcast_to(run.method.schedule(np.arange(last)), last))])
    return np.linalg.norm(run.weights - lengths[run.steps, None, None] * B, axis=(1, 2)) / bound
