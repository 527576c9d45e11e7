"""Whether a max-margin solution is the only one, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Uniqueness"]


@dataclass(frozen=True)
class Uniqueness:
    """A verdict on whether the optimum is unique, with its evidence; ``str`` of it is a sentence.

    For unitarily invariant norms optima are counted among the weights that margins see: rows that sum to zero
    and lie in the span of the samples, where descent from zero stays. Only the spectral norm has others,
    which add to such an optimum what changes neither a margin nor the norm.
    """

    unique: bool | None
    """True, False (``other`` is a second optimum), or None where neither could be shown."""
    argument: str
    """The reason, as a clause."""
    unknowns: int | None = None
    """Parameters of the face of the ball that every optimum lies on; None where no face was needed."""
    rank: int | None = None
    """Rank of the equations that the support pairs put on these parameters."""
    smallest_kept: float | None = None
    """Smallest singular value counted in the rank, relative to the largest."""
    largest_dropped: float | None = None
    """Largest singular value not counted, relative to the largest; None where all are counted."""
    relative_gap: float | None = None
    """Certified relative gap of the weights and dual weights that the argument rests on."""
    other: np.ndarray | None = field(default=None, repr=False)
    """A second optimum of norm 1, shape [k, d], where one was found."""
    other_margin: float | None = None
    """Margin of ``other``, certified from below, in units of the features."""
    other_cosine: float | None = None
    """Cosine between ``other`` and the optimum of least Frobenius norm."""

    def __str__(self) -> str:
        verdict = {True: "unique", False: "not unique", None: "undecided"}[self.unique]
        return f"{verdict}: {self.argument}"
