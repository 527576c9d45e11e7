"""Which margin does training maximise? Measured beside it: needs the core, numba included, beside torch."""

from __future__ import annotations

from steepest.optim.monitor.homogeneous import NetworkMargin
from steepest.optim.monitor.margin_monitor import MarginMonitor
from steepest.optim.monitor.margins import Alignment, HeadMargin
from steepest.optim.monitor.record import MarginRecord

__all__ = ["Alignment", "HeadMargin", "MarginMonitor", "MarginRecord", "NetworkMargin"]
