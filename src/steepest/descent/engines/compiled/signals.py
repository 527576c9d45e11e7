"""What the compiled engine knows of signals and momentum: the numbers that its loop switches on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from steepest.capabilities import Capability
from steepest.signals import coins
from steepest.signals.heavy_ball import HeavyBall
from steepest.signals.loopless_svrg import LooplessSVRG
from steepest.signals.minibatch import MiniBatch
from steepest.signals.momentum import MovingAverage
from steepest.signals.nesterov import Nesterov
from steepest.signals.saga import SAGA
from steepest.signals.svrg import SVRG

__all__ = [
    "AVERAGE",
    "COMPILED_MOMENTUM",
    "COMPILED_SIGNAL",
    "HEAVY_BALL",
    "NESTEROV",
    "SignalCode",
    "Snapshots",
]

AVERAGE, NESTEROV, HEAVY_BALL = range(3)

Snapshots = Callable[[int, int, int, int], np.ndarray]
"""Says for (seed, batches an epoch, first, last) at which steps the snapshot is taken, [last - first]."""


class SignalCode(NamedTuple):
    """A signal as the compiled loop knows it: a gradient over the batch, corrected or not."""

    snapshots: Snapshots
    """At which steps the snapshot that corrects gradients is taken: two matrices of the state, as SVRG's."""
    keeps_table: bool = False
    """Whether a table of residuals does: what :class:`steepest.signals.saga.SAGA` keeps in the state."""


COMPILED_SIGNAL: Capability[SignalCode] = Capability(
    "compiled code for its steps", "How the compiled engine corrects the gradients, if at all."
)

COMPILED_MOMENTUM: Capability[int] = Capability(
    "compiled code for its momentum", "The number of the momentum in the compiled engine's loop."
)


def _no_snapshots(_seed: int, _batches: int, _first: int, _last: int) -> np.ndarray:
    return np.zeros(0, dtype=bool)


@COMPILED_SIGNAL.offered_by(MiniBatch)
def _minibatch(_signal: MiniBatch) -> SignalCode:
    return SignalCode(_no_snapshots)


@COMPILED_SIGNAL.offered_by(SVRG)
def _svrg(_signal: SVRG) -> SignalCode:
    return SignalCode(lambda _seed, batches, first, last: np.arange(first, last) % batches == 0)


@COMPILED_SIGNAL.offered_by(LooplessSVRG)
def _loopless_svrg(_signal: LooplessSVRG) -> SignalCode:
    def snapshots(seed: int, batches: int, first: int, last: int) -> np.ndarray:
        return coins(seed, first, last, 1.0 / batches) | (np.arange(first, last) == 0)

    return SignalCode(snapshots)


@COMPILED_SIGNAL.offered_by(SAGA)
def _saga(_signal: SAGA) -> SignalCode:
    return SignalCode(_no_snapshots, keeps_table=True)


@COMPILED_MOMENTUM.offered_by(MovingAverage)
def _average(_kind: MovingAverage) -> int:
    return AVERAGE


@COMPILED_MOMENTUM.offered_by(Nesterov)
def _nesterov(_kind: Nesterov) -> int:
    return NESTEROV


@COMPILED_MOMENTUM.offered_by(HeavyBall)
def _heavy_ball(_kind: HeavyBall) -> int:
    return HEAVY_BALL
