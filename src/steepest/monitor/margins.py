"""Margins of a head in several norms, beside the largest that its features allow, and how a step aligns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from steepest.geometry import Norm
from steepest.losses import Loss, gradient, log_proxy
from steepest.maxmargin import MaxMarginSolution, max_margin
from steepest.maxmargin.solution import Status
from steepest.monitor.head import Head

__all__ = ["Alignment", "HeadMargin", "alignment_of_step", "certified_margins", "normalized_margin"]


@dataclass(frozen=True)
class Alignment:
    """How the step ΔW of a head's weights W goes along the steepest descent of the whole loader's loss L."""

    share: float
    """⟨-∇L, ΔW⟩ / (‖∇L‖_* ‖ΔW‖), in [-1, 1]; 1 for a step along the norm's own steepest direction."""
    realised: float
    """⟨-∇L, ΔW⟩ / (G ‖ΔW‖), in the units of a margin, with G the loss's proxy: large steps along it raise the
    margin at this rate."""


@dataclass(frozen=True)
class HeadMargin:
    """A head's margin in one norm, and the largest of any head on the same features, bias free in both."""

    norm: Norm
    margin: float
    """min_i (z_y - max_{c≠y} z_c) / ‖W‖, at most the max margin; negative where a sample is misclassified."""
    solution: MaxMarginSolution
    """The certified max margin of the features: between ``solution.margin`` and ``solution.upper_bound``."""

    @property
    def relative_error(self) -> float:
        """1 - margin / γ with γ the max margin's lower bound; NaN where the features are not separable."""
        return 1.0 - self.margin / self.solution.margin if self.solution.margin > 0 else math.nan

    @property
    def status(self) -> Status:
        """What is known of the max margin."""
        return self.solution.status


def normalized_margin(head: Head, norm: Norm) -> float:
    """Return the head's margin over ‖W‖; 0 for W = 0, which has no direction."""
    size = float(norm(head.weights))
    return head.margin / size if size > 0 else 0.0


def certified_margins(
    head: Head,
    norms: Mapping[str, Norm],
    gap: float,
    time_limit: float | None,
    seconds: float = math.inf,
) -> Iterator[tuple[str, HeadMargin]]:
    """Yield the margins of a head in each norm, with the max margins of its features to a relative gap.

    Each max margin is looked for for ``time_limit`` seconds at most, and for an even share of what is left
    of the ``seconds`` for all of them.
    """
    end = time.perf_counter() + seconds
    for place, (name, norm) in enumerate(norms.items()):
        share = max((end - time.perf_counter()) / (len(norms) - place), _LEAST)
        limit = min(share, math.inf if time_limit is None else time_limit)
        solution = max_margin(
            head.problem,
            norm,
            gap,
            time_limit=None if math.isinf(limit) else limit,
            intercept=head.bias is not None,
        )
        yield name, HeadMargin(norm, normalized_margin(head, norm), solution)


_LEAST = 1e-3
"""Seconds after which a search for a max margin has bounds, be they wide."""


def alignment_of_step(head: Head, loss: Loss, norm: Norm, step: np.ndarray) -> Alignment:
    """Return how a step [k, d] of the weights aligns with the gradient at the head; NaN for no step at all.

    Gradient and proxy keep a common scale apart, so that losses of 1e-1000 have an alignment as any other.
    """
    problem, weights = head.augmented
    found = gradient(problem, loss, weights).normalized()
    slope = np.asarray(found.mantissa)[:, : head.weights.shape[1]]
    descent = -float(np.sum(slope * step))
    size, dual = float(norm(step)), float(norm.dual(slope))
    if size == 0.0 or dual == 0.0:
        return Alignment(math.nan, math.nan)
    proxy = math.exp(float(log_proxy(problem, loss, weights)) - float(found.log_scale))
    return Alignment(descent / (dual * size), descent / (proxy * size))
