"""What signals and momenta state about themselves, for advice on settings that suit them."""

from __future__ import annotations

from steepest.capabilities import Capability
from steepest.signals.loopless_svrg import LooplessSVRG
from steepest.signals.momentum import MovingAverage
from steepest.signals.nesterov import Nesterov
from steepest.signals.saga import SAGA
from steepest.signals.svrg import SVRG

__all__ = ["AGE", "MEMORY"]

AGE: Capability[float] = Capability(
    "the age of its corrections",
    "How many epochs ago the gradients that correct a step's were taken: at an epoch's end, or on average.",
)

MEMORY: Capability[float] = Capability(
    "the memory of its average",
    "Steps, times 1 - β, in which the weight of a past gradient, beside its size, falls by a factor e.",
)


@AGE.offered_by(SVRG, LooplessSVRG, SAGA)
def _epoch(_signal: SVRG | LooplessSVRG | SAGA) -> float:
    return 1.0


@MEMORY.offered_by(MovingAverage, Nesterov)
def _steps(_kind: MovingAverage | Nesterov) -> float:
    return 1.0
