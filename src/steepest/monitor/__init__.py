"""Which margin does training maximise? Measured beside it, of the head of any network.

It needs the extra [torch], which is asked for where a name is first used; :mod:`steepest.optim` offers
:class:`MarginMonitor` too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from steepest.extras import require

_HOME = {
    "Alignment": "margins",
    "HeadMargin": "margins",
    "MarginMonitor": "margin_monitor",
    "MarginRecord": "record",
    "NetworkMargin": "homogeneous",
}

__all__ = ["Alignment", "HeadMargin", "MarginMonitor", "MarginRecord", "NetworkMargin"]

if TYPE_CHECKING:
    from steepest.monitor.homogeneous import NetworkMargin
    from steepest.monitor.margin_monitor import MarginMonitor
    from steepest.monitor.margins import Alignment, HeadMargin
    from steepest.monitor.record import MarginRecord


def __getattr__(name: str):
    if name in _HOME:
        require("torch", f"steepest.monitor.{name}")
        return getattr(import_module(f"steepest.monitor.{_HOME[name]}"), name)
    raise AttributeError(f"module 'steepest.monitor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
