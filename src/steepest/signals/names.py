"""Signals and kinds of momentum by name: what a user writes in a call, a file or a command line."""

from __future__ import annotations

from steepest.errors import InvalidArgument
from steepest.registry import Registry
from steepest.signals.heavy_ball import HeavyBall
from steepest.signals.loopless_svrg import LooplessSVRG
from steepest.signals.minibatch import MiniBatch
from steepest.signals.momentum import MovingAverage
from steepest.signals.nesterov import Nesterov
from steepest.signals.protocol import Momentum, Signal
from steepest.signals.saga import SAGA
from steepest.signals.svrg import SVRG

__all__ = [
    "MOMENTUM_KINDS",
    "SIGNALS",
    "momentum_kind",
    "register_momentum_kind",
    "register_signal",
    "signal",
]

SIGNALS: Registry[Signal] = Registry("signal")
MOMENTUM_KINDS: Registry[Momentum] = Registry("momentum_kind")


def signal(name: str | Signal) -> Signal:
    """Return the signal of that name, one of :data:`SIGNALS`; a signal is returned as it is.

    Raises:
        InvalidArgument: another name, or an object without ``start`` and ``step``.

    >>> str(signal("svrg"))
    'svrg'
    """
    if isinstance(name, Signal) and not isinstance(name, type):
        return name
    return SIGNALS[_text("signal", name, "start and step")]


def momentum_kind(name: str | Momentum) -> Momentum:
    """Return the kind of momentum of that name, one of :data:`MOMENTUM_KINDS`; a kind is returned as it is.

    Raises:
        InvalidArgument: another name, or an object without ``start``, ``follow`` and ``move``.

    >>> str(momentum_kind("nesterov"))
    'nesterov'
    """
    if isinstance(name, Momentum) and not isinstance(name, type):
        return name
    return MOMENTUM_KINDS[_text("momentum_kind", name, "start, follow and move")]


def register_signal(signal_: Signal) -> Signal:
    """Let every call, file and command line know a signal by its text form, and return the signal.

    Raises:
        InvalidArgument: the name is taken, or the object is no signal.
    """
    return SIGNALS.register(str(signal_), signal(signal_))


def register_momentum_kind(kind: Momentum) -> Momentum:
    """Let every call, file and command line know a kind of momentum by its text form, and return the kind.

    Raises:
        InvalidArgument: the name is taken, or the object is no kind of momentum.
    """
    return MOMENTUM_KINDS.register(str(kind), momentum_kind(kind))


def _text(argument: str, name: object, methods: str) -> str:
    if not isinstance(name, str):
        raise InvalidArgument(argument, name, f"give a name, or an object with methods {methods}")
    return name


for _signal in (MiniBatch(), SVRG(), LooplessSVRG(), SAGA()):
    register_signal(_signal)
for _kind in (MovingAverage(), Nesterov(), HeavyBall()):
    register_momentum_kind(_kind)
