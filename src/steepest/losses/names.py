"""Losses by name: what a user writes in a call, a file or a command line."""

from __future__ import annotations

from collections.abc import Hashable

from steepest.errors import InvalidArgument
from steepest.losses.cross_entropy import CrossEntropy
from steepest.losses.exponential import Exponential
from steepest.losses.pairwise_logistic import PairwiseLogistic
from steepest.losses.protocol import Loss
from steepest.registry import Registry

__all__ = ["CROSS_ENTROPY", "EXPONENTIAL", "LOSSES", "PAIRWISE_LOGISTIC", "loss", "register_loss"]

LOSSES: Registry[Loss] = Registry("loss")
"""All losses that go by a name."""


def register_loss(part: Loss) -> Loss:
    """Add a loss under its own name, and return it.

    Args:
        part: a loss.

    Raises:
        InvalidArgument: it is no loss, or its name is taken by another one or has spaces.

    From then on ``Method(loss="mine")`` takes it, if ``Mine().name`` is "mine"::

        register_loss(Mine())
    """
    return LOSSES.register(_checked(part).name, part)


def loss(name: str | Loss) -> Loss:
    """Return the loss of that name, such as "cross-entropy"; a loss is returned as it is.

    Raises:
        InvalidArgument: there is none of that name, or what is given is no loss.

    >>> loss("exponential").name
    'exponential'
    """
    return LOSSES[name] if isinstance(name, str) or not isinstance(name, Loss) else _checked(name)


def _checked(part: Loss) -> Loss:
    if isinstance(part, type) or not isinstance(part, Loss):
        raise InvalidArgument("loss", part, "give an object with a name and residuals(log_odds)")
    if not isinstance(part.name, str):
        raise InvalidArgument("loss", part, "name it by a text")
    if not isinstance(part, Hashable):
        raise InvalidArgument("loss", part.name, "make it hashable: a frozen dataclass is")
    return part


CROSS_ENTROPY = CrossEntropy()
"""L(W) = -(1/n) Σ_i log S_{y_i}(W x_i), with residuals r_ic = S_c(W x_i)."""

EXPONENTIAL = Exponential()
"""L(W) = (1/n) Σ_i Σ_{c≠y_i} exp(a_ic), with residuals its terms (Appendix I)."""

PAIRWISE_LOGISTIC = PairwiseLogistic()
"""L(W) = (1/n) Σ_i Σ_{c≠y_i} log(1 + exp(a_ic)), with residuals r_ic = 1 / (1 + exp(-a_ic))."""

for _each in (CROSS_ENTROPY, EXPONENTIAL, PAIRWISE_LOGISTIC):
    register_loss(_each)
