"""What the lemmas must know of a loss beyond its residuals: the capability that opens the theory to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steepest.capabilities import Capability
from steepest.errors import MissingCapability
from steepest.losses import Loss, loss

__all__ = ["LEMMA_CONSTANTS", "LemmaConstants", "lemma_constants"]

OfLogTotal = Callable[[np.ndarray], np.ndarray]
"""A function of log(nL), elementwise; n times the loss L is its sum over samples, the total loss y."""


@dataclass(frozen=True)
class LemmaConstants:
    """What the lemmas use of a loss, as functions of its total y = nL.

    Whoever offers it states that

    1. where no difference of a sample's logits changes by more than δ its residuals change by factors within
       e^{±δ} (Lemmas C.4, C.9, C.10, C.13, C.14 and the Taylor bound, with δ = 2R ‖W' - W‖);
    2. y (1 - deficit(y)) ≤ nG ≤ y, and the left side increases in y (Lemma C.7);
    3. e^{-margin} ≤ e^{Y(y)}, where Y increases from -∞ and Y' y (1 - deficit(y)) = 1 (Lemma C.8, margin
       bounds);
    4. L = ``loss_at_zero(k)`` at W = 0, and G ≤ ``largest_proxy(k)`` everywhere, for k classes (Lemma C.6);
    5. with ``convex_odds``, Y is convex as a function of W, with sample weights of at least 1 too.

    For the argument from 2 and 3 see :func:`~steepest.theory.margin_bound`.
    """

    loss_at_zero: Callable[[int], float]
    """L(0) for k classes."""
    largest_proxy: Callable[[int], float]
    """A bound on G for k classes; infinite where there is none."""
    log_total_odds: OfLogTotal
    """Y as a function of log y."""
    separating_total: float
    """The y with Y = 0: below it every sample is classified correctly."""
    deficit: OfLogTotal | None
    """The bound on 1 - G/L as a function of log y; None where G = L."""
    papers_deficit: OfLogTotal | None = None
    """The paper's simpler bound on 1 - G/L, at least ``deficit``; None takes ``deficit``."""
    convex_odds: bool = False
    """Whether 5 holds too."""

    @property
    def proxy_is_loss(self) -> bool:
        """Whether G = L, so that log L itself is what a step lowers."""
        return self.deficit is None

    def deficit_of(self, log_total: np.ndarray, *, sharp: bool = True) -> np.ndarray:
        """Return the bound on 1 - G/L at ``log_total`` = log y, the sharp one or the paper's."""
        log_total = np.asarray(log_total, dtype=float)
        chosen = self.deficit if sharp or self.papers_deficit is None else self.papers_deficit
        return np.zeros_like(log_total) if chosen is None else chosen(log_total)

    @property
    def separating_ratio(self) -> float:
        """The largest L/G while y is at most ``separating_total``."""
        return 1.0 / (1.0 - float(self.deficit_of(np.log(self.separating_total))))

    def log_loss_after(self, classes: int, growth: float) -> float:
        """Return a bound on log L, started at W = 0, after L may have grown by ``growth`` times G.

        Where G has a bound L grows by at most so much; otherwise by the factor e^growth, since G ≤ L.
        """
        start, largest = self.loss_at_zero(classes), self.largest_proxy(classes)
        if math.isinf(largest):
            return math.log(start) + growth
        return math.log(start + largest * growth)


LEMMA_CONSTANTS: Capability[LemmaConstants] = Capability(
    "lemma constants",
    "What the lemmas of the theory use of a loss: how its proxy, its size and margins relate.",
)
"""The capability by which a loss offers its :class:`LemmaConstants`."""


def lemma_constants(loss_: Loss | str) -> LemmaConstants:
    """Return what the lemmas use of a loss (Lemmas C.5 to C.8).

    Args:
        loss_: the loss or its name.

    Raises:
        MissingCapability: the loss does not offer it; descent runs with it, the theory does not.

    >>> lemma_constants("cross-entropy").loss_at_zero(10).__round__(6)
    2.302585
    """
    loss_ = loss(loss_)
    offer = LEMMA_CONSTANTS.of(loss_)
    if offer is None:
        remedy = "offer them, or give a loss that has them, such as cross-entropy"
        raise MissingCapability("loss", loss_.name, LEMMA_CONSTANTS.name, "the theory", remedy)
    return offer
