"""Steps of parameters that several processes hold: copies under DDP, shards of FSDP2 or tensor parallelism.

The direction of each logical matrix is computed by one rank and sent to those that hold a part of it. This
room is imported only where something is distributed.
"""

from __future__ import annotations

from steepest.optim.distributed.step import Distribution

__all__ = ["Distribution"]
