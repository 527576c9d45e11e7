"""Features as rows in blocks: in memory, in a file that is mapped, sparse, or spread over a Dask array.

A scan goes through all samples a block at a time and keeps little of each. So data larger than memory, or
with few entries that are not zero, is scanned like any other: what differs is in the files of this room.
"""

from steepest.features.dense import DenseRows
from steepest.features.protocol import Block, Rows
from steepest.features.sparse import SparseRows
from steepest.features.spread import SpreadRows
from steepest.features.validated import rows_elsewhere, validated_array

__all__ = ["Block", "DenseRows", "Rows", "SparseRows", "SpreadRows", "rows_elsewhere", "validated_array"]
