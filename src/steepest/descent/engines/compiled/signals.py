"""What the compiled engine knows of signals and momentum: the numbers that its loop switches on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steepest.capabilities import Capability
from steepest.signals import coins
from steepest.signals.heavy_ball import HeavyBall
from steepest.signals.loopless_svrg import LooplessSVRG
from steepest.signals.minibatch import MiniBatch
from steepest.signals.momentum import MovingAverage
from steepest.signals.nesterov import Nesterov
from steepest.signals.svrg import SVRG

__all__ = ["AVERAGE", "COMPILED_MOMENTUM", "COMPILED_SIGNAL", "HEAVY_BALL", "NESTEROV", "Snapshots"]

AVERAGE, NESTEROV, HEAVY_BALL = range(3)

Snapshots = Callable[[int, int, int, int], np.ndarray]
"""Says for (seed, batches an epoch, first, last) at which steps the snapshot is taken, [last - first]."""

COMPILED_SIGNAL: Capability[Snapshots] = Capability(
    "compiled code for its steps",
    "The steps at which the compiled engine takes the snapshot that corrects the gradients, if any.",
)

COMPILED_MOMENTUM: Capability[int] = Capability(
    "compiled code for its momentum", "The number of the momentum in the compiled engine's loop."
)


@COMPILED_SIGNAL.offered_by(MiniBatch)
def _minibatch(_signal: MiniBatch) -> Snapshots:
    return lambda _seed, _batches, _first, _last: np.zeros(0, dtype=bool)


@COMPILED_SIGNAL.offered_by(SVRG)
def _svrg(_signal: SVRG) -> Snapshots:
    return lambda _seed, batches, first, last: np.arange(first, last) % batches == 0


@COMPILED_SIGNAL.offered_by(LooplessSVRG)
def _loopless_svrg(_signal: LooplessSVRG) -> Snapshots:
    def snapshots(seed: int, batches: int, first: int, last: int) -> np.ndarray:
        return coins(seed, first, last, 1.0 / batches) | (np.arange(first, last) == 0)

    return snapshots


@COMPILED_MOMENTUM.offered_by(MovingAverage)
def _average(_kind: MovingAverage) -> int:
    return AVERAGE


@COMPILED_MOMENTUM.offered_by(Nesterov)
def _nesterov(_kind: Nesterov) -> int:
    return NESTEROV


@COMPILED_MOMENTUM.offered_by(HeavyBall)
def _heavy_ball(_kind: HeavyBall) -> int:
    return HEAVY_BALL
