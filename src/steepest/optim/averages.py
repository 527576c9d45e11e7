"""Averages of gradients as they are kept between steps: in full, in bfloat16, or in 8 bits an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steepest.errors import InvalidArgument
from steepest.optim.eight_bits import BLOCK, blocks_of, decoded, encode_, scales_of
from steepest.optim.lists import copy_
from steepest.optim.shards import is_one_of_several, is_sharded, local, sharded_as

__all__ = [
    "BUFFER",
    "SCALES",
    "Averages",
    "averages_of",
    "dtype_name",
    "fit",
    "for_files",
    "make_averages",
    "require_fit",
]

BUFFER = "momentum_buffer"
"""The entry of a parameter's state for its average, under the name that torch.optim.Muon and SGD have."""
CODES = "momentum_codes"
"""The entry for the codes of an average in 8 bits, in place of that for the average itself."""
SCALES = "momentum_scales"
"""The entry for the scales of an average in 8 bits."""

_DTYPES = {"bfloat16": torch.bfloat16, "int8": torch.int8}


@dataclass(frozen=True)
class Averages:
    """Averages of some real parameters, as they are kept.

    >>> Averages([torch.ones(2)]).in_full
    True
    """

    kept: list[Tensor]
    """In the shapes of the parameters: the averages, rounded or not, or their codes."""
    scales: list[Tensor] | None = None
    """Scales of codes; None where averages are kept as numbers."""
    dtypes: tuple[torch.dtype, ...] | None = None
    """Of the parameters, where some averages are rounded to another dtype."""

    @property
    def in_full(self) -> bool:
        """Whether all are kept as they are."""
        return self.scales is None and self.dtypes is None

    def read(self, indices: list[int]) -> list[Tensor]:
        """Return some averages, all of parameters of one dtype, in that dtype; copies unless kept in full."""
        kept = [self.kept[index] for index in indices]
        if self.scales is not None:
            return decoded(kept, [self.scales[index] for index in indices])
        if self.dtypes is not None:
            return [each.to(self.dtypes[index], copy=True) for each, index in zip(kept, indices, strict=True)]
        return kept

    def write(self, indices: list[int], values: list[Tensor]) -> None:
        """Keep values in place of some averages."""
        kept = [self.kept[index] for index in indices]
        if self.scales is None:
            copy_(kept, values)
        else:
            encode_(kept, [self.scales[index] for index in indices], values)

    def some(self, indices: Sequence[int]) -> Averages:
        """Return some of the averages."""
        return Averages(
            [self.kept[index] for index in indices],
            None if self.scales is None else [self.scales[index] for index in indices],
            None if self.dtypes is None else tuple(self.dtypes[index] for index in indices),
        )

    def cut(self, grads: list[Tensor], size: int) -> tuple[Averages, list[Tensor]]:
        """Return views of averages and of gradients, those of large contiguous tensors in flat pieces.

        >>> averages, grads = Averages([torch.zeros(600)]).cut([torch.ones(600)], 256)
        >>> [len(each) for each in grads]
        [256, 256, 88]
        """
        parts: list[list[Tensor]] = [[], [], []]
        dtypes: list[torch.dtype] = []
        for index, grad in enumerate(grads):
            own = [self.kept[index], grad]
            if grad.numel() > size and all(each.is_contiguous() for each in own):
                cut = blocks_of(grad.shape)
                # Rows that are blocks of their own stay whole.
                step, shape = (max(1, size // cut.row), (-1, cut.row)) if cut.by_rows else (size, (-1,))
                pieces = [each.view(shape).split(step) for each in own]
                in_scales = step if cut.by_rows else step // BLOCK
                scales = [] if self.scales is None else self.scales[index].split(in_scales)
            else:
                pieces = [[each] for each in own]
                scales = [] if self.scales is None else [self.scales[index]]
            for found, more in zip(parts, (*pieces, scales), strict=True):
                found.extend(more)
            dtypes += [grad.dtype] * len(pieces[0])
        kept, cut_grads, cut_scales = parts
        return Averages(
            kept,
            None if self.scales is None else cut_scales,
            None if self.dtypes is None else tuple(dtypes),
        ), cut_grads


def dtype_name(value: object) -> str | None:
    """Return the name of a dtype that averages can be kept in; None for that of the parameters.

    Raises:
        InvalidArgument: another dtype.

    >>> dtype_name(torch.int8)
    'int8'
    """
    name = str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
    if name is None or (isinstance(name, str) and name in _DTYPES):
        return name
    remedy = f"give None for that of the parameters, or one of {', '.join(_DTYPES)}"
    raise InvalidArgument("momentum_dtype", value, remedy)


def make_averages(state: Any, params: list[Tensor], dtype: str | None) -> None:
    """Make the averages of parameters that have none yet, all 0, and fit those that there are."""
    for param in params:
        own = state[param]
        if BUFFER in own or CODES in own:
            fit(own, param, dtype)
        else:
            _keep(own, torch.zeros_like(param, memory_format=torch.preserve_format), dtype)


def fit(own: Any, param: Tensor, dtype: str | None) -> None:
    """Bring an average, if there is one, to the dtype that it is to be kept in; codes stay codes, to the bit.

    PyTorch turns every entry of a state into the parameter's dtype when it loads it, and a state may come
    from an optimiser that kept its averages otherwise.
    """
    if CODES in own:
        # Every dtype that a parameter may have holds whole numbers up to 127.
        own[CODES] = own[CODES].to(torch.int8)
        if dtype != "int8":
            average = _decoded(own, param)
            del own[CODES], own[SCALES]
            _keep(own, average, dtype)
    elif BUFFER in own and (dtype == "int8" or own[BUFFER].dtype != _kept_dtype(param, dtype)):
        average = _real(own.pop(BUFFER)).to(_real(param).dtype)
        _keep(own, torch.view_as_complex(average) if param.is_complex() else average, dtype)


def require_fit(own: Any, param: Tensor) -> None:
    """Check that an average that has been loaded, if there is one, has the shape of its parameter.

    Raises:
        InvalidArgument: it has another.
    """
    kept = own.get(CODES, own.get(BUFFER))
    if kept is None:
        return
    # Codes are those of the shard that is here.
    shape = tuple(local(param).shape if CODES in own else param.shape)
    given = tuple(kept.shape)
    if given not in ((shape, (*shape, 2)) if param.is_complex() else (shape,)):
        remedy = f"the parameter in its place has shape {list(shape)}: give the states of the same parameters"
        raise InvalidArgument("state_dict", f"average of shape {list(given)}", remedy)


def for_files(own: Any, param: Tensor) -> Any:
    """Return the state of a parameter as files have it: in a process group averages in 8 bits are in full.

    So any number of ranks, with shards or copies, loads them; they become the same codes again, to the bit,
    where blocks are the same.
    """
    if CODES not in own or not (is_sharded(param) or is_one_of_several()):
        return own
    others = {name: value for name, value in own.items() if name not in (CODES, SCALES)}
    return {**others, BUFFER: _decoded(own, param)}


def averages_of(state: Any, params: list[Tensor]) -> Averages:
    """Return the averages of parameters, which have been made, as of their real views; the shards here."""
    if params and CODES in state[params[0]]:
        return Averages([state[param][CODES] for param in params], [state[param][SCALES] for param in params])
    kept = [local(state[param][BUFFER]) for param in params]
    dtypes = tuple(local(param).dtype for param in params)
    rounded = any(each.dtype != dtype for each, dtype in zip(kept, dtypes, strict=True))
    return Averages(kept, None, dtypes if rounded else None)


def _kept_dtype(param: Tensor, dtype: str | None) -> torch.dtype:
    """Return the dtype of what is kept for a parameter: half precision stays as it is in "bfloat16"."""
    if dtype is None:
        return param.dtype
    own, rounded = _real(param).dtype, _DTYPES[dtype]
    return param.dtype if own.itemsize <= rounded.itemsize else rounded


def _keep(own: Any, average: Tensor, dtype: str | None) -> None:
    """Keep an average that has the dtype of its parameter; what is rounded is kept as its real view."""
    if dtype == "int8":
        real = local(average)
        own[CODES] = torch.zeros_like(real, memory_format=torch.preserve_format, dtype=torch.int8)
        own[SCALES] = scales_of(real)
        if real.numel():
            encode_([own[CODES]], [own[SCALES]], [real])
    else:
        kept = _kept_dtype(average, dtype)
        own[BUFFER] = average if kept == average.dtype else _real(average).to(kept)


def _decoded(own: Any, param: Tensor) -> Tensor:
    """Return what codes stand for, in the form of the parameter."""
    (real,) = decoded([own[CODES]], [own[SCALES]])
    return sharded_as(param, torch.view_as_complex(real) if param.is_complex() else real)


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
