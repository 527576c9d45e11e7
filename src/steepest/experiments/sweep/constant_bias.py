"""What is known of batches of one on data and in norms where no weights change a sample's direction."""

from __future__ import annotations

import numpy as np

from steepest.geometry import norm
from steepest.problem import Classification
from steepest.theory import single_sample_bias
from steepest.theory.limits.single_samples import has_constant_directions

__all__ = ["about_bias"]


def about_bias(
    problem: Classification, name: str, max_margin: float
) -> dict[str, tuple[float, dict[str, str]]]:
    """Return numbers about B with their words: its margin, its share of the max margin, whether it separates.

    There are none where directions depend on the weights, as on the orthogonal data of Theorem 4.9 in other
    norms than the max-norm.
    """
    norm_ = norm(name)
    if not has_constant_directions(problem, norm_):
        return {}
    found = single_sample_bias(problem, norm_)
    size = float(norm_(found.B))
    share = found.margin / size / max_margin if size > 0 else np.nan
    separates = {True: 1.0, False: 0.0, None: np.nan}[found.separates]
    return {
        "bias_margin": (
            found.margin,
            {"long_name": "smallest margin of the bias direction B", "units": "feature units"},
        ),
        "bias_share": (share, {"long_name": "normalised margin of B over the max margin", "units": "1"}),
        "bias_separates": (
            separates,
            {"long_name": "1 if the bias direction B separates the data, 0 if not", "units": "1"},
        ),
    }
