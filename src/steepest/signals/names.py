"""Signals and kinds of momentum by name: what a user writes in a call, a file or a command line."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

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

Part = TypeVar("Part")

SIGNALS: Registry[Signal] = Registry("signal")
"""Every signal that has a name."""
MOMENTUM_KINDS: Registry[Momentum] = Registry("momentum_kind")
"""Every kind of momentum that has a name."""


def signal(name: str | Signal) -> Signal:
    """Return the signal of that name, one of :data:`SIGNALS`; a signal is returned as it is.

    Raises:
        InvalidArgument: another name, or an object without ``start`` and ``step``, without a name of its own,
            or that is not hashable.

    >>> str(signal("svrg"))
    'svrg'
    """
    if isinstance(name, Signal) and not isinstance(name, type):
        return _unmistakable(SIGNALS, _named("signal", name))
    return SIGNALS[_text("signal", name, "start and step")]


def momentum_kind(name: str | Momentum) -> Momentum:
    """Return the kind of momentum of that name, one of :data:`MOMENTUM_KINDS`; a kind is returned as it is.

    Raises:
        InvalidArgument: another name, or an object without ``start``, ``follow`` and ``move``, without a name
            of its own, or that is not hashable.

    >>> str(momentum_kind("nesterov"))
    'nesterov'
    """
    if isinstance(name, Momentum) and not isinstance(name, type):
        return _unmistakable(MOMENTUM_KINDS, _named("momentum_kind", name))
    return MOMENTUM_KINDS[_text("momentum_kind", name, "start, follow and move")]


def register_signal(signal_: Signal) -> Signal:
    """Let every call, file and command line know a signal by its text form, and return the signal.

    Args:
        signal_: a signal.

    Raises:
        InvalidArgument: the name is taken, or the object is no signal.

    From then on ``Method(signal="mine")`` takes it, if ``str(Mine())`` is "mine"::

        register_signal(Mine())
    """
    if isinstance(signal_, type) or not isinstance(signal_, Signal):
        raise InvalidArgument("signal", signal_, "give an object with methods start and step")
    return SIGNALS.register(str(signal_), _named("signal", signal_))


def register_momentum_kind(kind: Momentum) -> Momentum:
    """Let every call, file and command line know a kind of momentum by its text form, and return the kind.

    Args:
        kind: a kind of momentum.

    Raises:
        InvalidArgument: the name is taken, or the object is no kind of momentum.

    From then on ``Method(momentum_kind="mine")`` takes it, if ``str(Mine())`` is "mine"::

        register_momentum_kind(Mine())
    """
    if isinstance(kind, type) or not isinstance(kind, Momentum):
        raise InvalidArgument("momentum_kind", kind, "give an object with methods start, follow and move")
    return MOMENTUM_KINDS.register(str(kind), _named("momentum_kind", kind))


def _named(argument: str, part: Part) -> Part:
    """Return a part that results can name and that runs can be grouped by."""
    if str(part) == object.__repr__(part):
        raise InvalidArgument(argument, part, "give its class a __str__ that names it and its parameters")
    if not isinstance(part, Hashable):
        raise InvalidArgument(argument, str(part), "make it hashable: a frozen dataclass is")
    return part


def _unmistakable(registry: Registry[Part], part: Part) -> Part:
    """Return a part whose name, if it is known, is that of an equal one."""
    name = str(part)
    if name in registry and registry[name] != part:
        remedy = "another one of that name is known; its __str__ must tell them apart"
        raise InvalidArgument(registry.kind, part, remedy)
    return part


def _text(argument: str, name: object, methods: str) -> str:
    if not isinstance(name, str):
        raise InvalidArgument(argument, name, f"give a name, or an object with methods {methods}")
    return name


for _signal in (MiniBatch(), SVRG(), LooplessSVRG(), SAGA()):
    register_signal(_signal)
for _kind in (MovingAverage(), Nesterov(), HeavyBall()):
    register_momentum_kind(_kind)
