"""What is recorded of a run along its steps: one table of names, units, titles and meanings.

Labelled datasets, the files of results, the charts of a report and the axes of figures all take their words
from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["OF_A_TRAJECTORY", "SERIES", "Series"]


@dataclass(frozen=True)
class Series:
    """A quantity with one value at each recorded step.

    >>> SERIES["upper_bound"].attributes["units"]
    'feature units'
    """

    name: str
    """Its name as an attribute of a trajectory and as a variable of labelled results."""
    units: str
    title: str
    """A few words for headings and axes."""
    meaning: str
    """What exactly it is, the ``long_name`` of labelled results."""
    logarithmic: bool = False
    """Whether it falls or grows over orders of magnitude, so that its axis is a logarithmic one."""

    @property
    def attributes(self) -> dict[str, str]:
        """Units and meaning, as labelled results carry them."""
        return {"units": self.units, "long_name": self.meaning}


_MEASURED = (
    Series(
        "relative_margin_error",
        "1",
        "Relative margin error",
        "relative margin error, 1 - margin(W_t) / (‖W_t‖ γ)",
        logarithmic=True,
    ),
    Series(
        "cosine",
        "1",
        "Cosine to the max-margin solution",
        "cosine of W_t to the canonical max-margin solution W*, of least Frobenius norm",
    ),
    Series("log_loss", "1", "Log-loss", "natural logarithm of the loss"),
    Series("log_proxy", "1", "Log-proxy", "natural logarithm of the proxy G"),
    Series("margin", "feature units", "Margin", "smallest pair margin of W_t", logarithmic=True),
    Series(
        "normalized_margin",
        "feature units",
        "Normalised margin",
        "margin over norm of W_t, a lower bound of the max margin",
    ),
    Series(
        "upper_bound",
        "feature units",
        "Anytime upper bound of the max margin",
        "smallest anytime certificate so far, an upper bound of the max margin",
        logarithmic=True,
    ),
    Series(
        "truncated_directions",
        "updates",
        "Truncated directions",
        "updates whose spectral direction left out a real singular value",
    ),
)

_OF_EXPERIMENTS = (
    Series(
        "distance_to_optima",
        "1",
        "Distance to the set of all max-margin solutions",
        "distance of the direction of W_t to the set of all max-margin solutions",
        logarithmic=True,
    ),
    Series(
        "margin_floor",
        "feature units",
        "Proven lower bound of the normalised margin",
        "what the theory proves margin over norm of W_t cannot be below; -inf where it proves nothing",
    ),
    Series(
        "alignment",
        "feature units",
        "Realised alignment ρ̂",
        "⟨-∇L, ΔW⟩ / (G ‖ΔW‖) over the way since the record before: what the theory's ρ is the worst case of",
    ),
    Series(
        "realised_floor",
        "feature units",
        "Lower bound of the normalised margin from realised alignments",
        "what the alignments since all samples are classified correctly prove that margin over norm "
        "of W_t cannot be below; -inf where they prove nothing",
    ),
    Series(
        "reference_relative_margin_error",
        "1",
        "Relative margin error",
        "relative margin error to the max margin in the reference norm",
        logarithmic=True,
    ),
    Series(
        "reference_cosine",
        "1",
        "Cosine to the max-margin solution",
        "cosine of W_t to the canonical max-margin solution in the reference norm",
    ),
    Series(
        "reference_distance_to_optima",
        "1",
        "Distance to the set of all max-margin solutions",
        "distance of the direction of W_t to the set of all max-margin solutions in the reference norm",
        logarithmic=True,
    ),
    Series("bias_cosine", "1", "Cosine to the bias direction", "cosine of W_t to the bias direction B"),
    Series(
        "naive_bias_cosine",
        "1",
        "Cosine to the bias direction, plain float64",
        "cosine to B in plain float64 arithmetic",
    ),
)

OF_A_TRAJECTORY: tuple[Series, ...] = _MEASURED
"""What every :class:`steepest.Trajectory` measures; the first two need a reference."""

SERIES: Mapping[str, Series] = MappingProxyType(
    {series.name: series for series in (*OF_A_TRAJECTORY, *_OF_EXPERIMENTS)}
)
"""Every series by its name: those of a trajectory, and what experiments measure of its weights besides."""
