"""What modules fuse along their outputs, as far as types, names and numbers of heads tell.

Queries, keys and values of one projection, or a gate and what it opens, are maps of their own, and move as
those do. What is neither said by the user nor told here is trained as one matrix, with a warning where a
name says that there are several.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from math import gcd

from torch import nn
from torch.nn.modules.conv import _ConvNd

from steepest.errors import SteepestWarning
from steepest.optim.layouts import Layout
from steepest.optim.owners import Owned, is_transposed

__all__ = ["experts_layout", "fused_layout", "is_vector_by_name", "looks_fused", "warn_of_fused"]

# One part after the other along the outputs, in every model known by these names.
_ATTENTION = re.compile(r"(^|\.)(w?qkv|qkv_proj|to_qkv|c_attn|attn_qkv|in_proj)$", re.IGNORECASE)
_GATE = re.compile(r"(^|\.)(gate_up_proj|gate_up|up_gate|w12|w13|w1_w3)$")
# As in BLOOM, GPT-NeoX, Falcon and Megatron: heads or groups may lie between the parts.
_UNSAID = re.compile(r"(^|\.)(\w*qkv\w*|query_key_value|c_attn|\w*gate_up\w*)$", re.IGNORECASE)

# Biases of experts, and rates of decay of state spaces.
_VECTOR = re.compile(r"(^|_)(bias|A_log)$")

_QUERY_HEADS = ("num_attention_heads", "num_heads", "n_heads", "n_head", "num_q_heads")
_KEY_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_kv_heads",
    "n_kv_head",
    "num_query_groups",
    "kv_heads",
)

# Whose heads, or groups of heads that share a key, have their queries, keys and values beside each other.
_BY_HEAD = {
    "BloomAttention": "query_key_value",
    "FalconAttention": "query_key_value",
    "GPTNeoXAttention": "query_key_value",
    "GPTNeoXJapaneseAttention": "query_key_value",
    "PersimmonAttention": "query_key_value",
    "GPTBigCodeAttention": "c_attn",
    "InternLM2Attention": "wqkv",
}
# Of Megatron, which splits heads between ranks.
_OF_MEGATRON = "num_attention_heads_per_partition", "num_query_groups_per_partition"
_CODEGEN_BLOCKS = 4


def fused_layout(owned: Owned, transposed: bool = False) -> Layout:
    """Return the layout of what a module fuses along its outputs, in weights and biases alike.

    >>> class Attention(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.num_heads, self.num_kv_heads = 8, 2
    ...         self.qkv_proj = nn.Linear(64, 96)
    >>> attention = Attention()
    >>> weight = attention.qkv_proj.weight
    >>> str(fused_layout(Owned("qkv_proj.weight", attention.qkv_proj, "weight", weight, attention)))
    'outputs=0 parts=4,1,1'
    """
    by_head = _by_head(owned)
    if by_head is not None:
        return Layout.fused(*by_head, transposed=transposed)
    return Layout.fused(_fused_parts(owned), transposed=transposed)


def _by_head(owned: Owned) -> tuple[tuple[int, ...], int] | None:
    """Return parts and how often they are repeated, if the module around the projection is known for that."""
    parent, name = owned.parent, owned.path.rpartition(".")[2]
    kinds = [] if parent is None else [kind.__name__ for kind in type(parent).__mro__]
    if "CodeGenAttention" in kinds and name == "qkv_proj":
        return (1, 1, 1), _CODEGEN_BLOCKS
    queries, keys = _number(parent, _QUERY_HEADS), _number(parent, _KEY_HEADS)
    if name == "linear_qkv" and all(hasattr(parent, each) for each in _OF_MEGATRON):
        queries, keys = (_number(parent, (each,)) for each in _OF_MEGATRON)
    elif not any(_BY_HEAD.get(kind) == name for kind in kinds):
        return None
    if not queries:
        return None
    if getattr(parent, "multi_query", False) and not getattr(parent, "new_decoder_architecture", False):
        return (queries, 1, 1), 1
    groups = keys or queries
    return ((queries // groups, 1, 1), groups) if queries % groups == 0 else None


def _fused_parts(owned: Owned) -> tuple[int, ...]:
    module = owned.module
    if isinstance(module, nn.MultiheadAttention) and owned.own_name.startswith("in_proj_"):
        return (1, 1, 1)
    if isinstance(module, nn.RNNBase) and "_hr_" not in owned.own_name:
        return (1,) * {"LSTM": 4, "GRU": 3}.get(module.mode, 1)
    if isinstance(module, nn.RNNCellBase):
        return (1,) * {nn.LSTMCell: 4, nn.GRUCell: 3}.get(type(module), 1)
    sides = _sides(module)
    if sides is None:
        return (1,)
    inputs, outputs = sides
    if _ATTENTION.search(owned.path) is not None:
        return _attention_parts(owned.parent, inputs, outputs)
    return (1, 1) if _GATE.search(owned.path) is not None and outputs % 2 == 0 else (1,)


def experts_layout(owned: Owned) -> Layout:
    """Return the layout of stacked maps [experts, outputs, inputs], a parameter of the user's own module.

    Modules of transformers say whether theirs are transposed, and whether gate and what it opens follow each
    other or lie entry by entry.

    >>> import torch
    >>> class Experts(nn.Module):
    ...     is_transposed, is_concatenated = True, False
    ...
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.gate_up_proj = nn.Parameter(torch.zeros(2, 3, 8))
    >>> experts = Experts()
    >>> layout = experts_layout(Owned("gate_up_proj", experts, "gate_up_proj", experts.gate_up_proj))
    >>> [tuple(view.shape) for view in layout.views(experts.gate_up_proj)]
    [(2, 4, 3), (2, 4, 3)]
    """
    transposed = getattr(owned.module, "is_transposed", None) is True
    length = owned.param.shape[2 if transposed else 1]
    if _is_split_gate(owned) and length % 2 == 0:
        joined = getattr(owned.module, "is_concatenated", None) is True
        return Layout.experts((1, 1), 1 if joined else length // 2, transposed)
    return Layout.experts(transposed=transposed)


def is_vector_by_name(owned: Owned) -> bool:
    """Whether a parameter of the user's own module is no map, though it has two axes."""
    return owned.is_raw and owned.param.ndim == 2 and _VECTOR.search(owned.own_name) is not None


def looks_fused(owned: Owned) -> bool:
    """Whether the name of a weight says that it has several maps, where nothing says how they lie."""
    if _is_split_gate(owned):
        return False
    is_map = owned.is_raw or _sides(owned.module) is not None or isinstance(owned.module, _ConvNd)
    name = owned.name if owned.is_raw else owned.path
    return is_map and _UNSAID.search(name) is not None and fused_layout(owned).parts == (1,)


def warn_of_fused(weights: Sequence[Owned]) -> None:
    """Warn, once for a model, of weights that are trained as one matrix though they look fused."""
    if not weights:
        return
    first, others = weights[0], len(weights) - 1
    pattern = "*." + ".".join(part for part in first.name.split(".")[-2:] if not part.isdigit())
    example = "Layout.experts((1, 1))" if first.is_raw else "Layout.fused((4, 1, 1))"
    warnings.warn(
        f"{first.name} of shape {list(first.param.shape)}"
        f"{f' and {others} more' if others else ''}: fused by name, but nothing says how the parts lie, "
        f"and so trained as one matrix; say it, as in policy=Policy(layouts={{'{pattern}': {example}}})",
        SteepestWarning,
        stacklevel=4,
    )


def _is_split_gate(owned: Owned) -> bool:
    said = isinstance(getattr(owned.module, "is_concatenated", None), bool)
    return said and owned.is_raw and owned.param.ndim == 3 and _GATE.search(owned.own_name) is not None


def _sides(module: nn.Module) -> tuple[int, int] | None:
    """Return inputs and outputs of a linear layer, whose weight may be computed anew whenever it is read."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    weight = module._parameters.get("weight") if is_transposed(module) else None
    return None if weight is None else (weight.shape[0], weight.shape[1])


def _attention_parts(parent: nn.Module | None, inputs: int, outputs: int) -> tuple[int, ...]:
    queries, keys = _number(parent, _QUERY_HEADS), _number(parent, _KEY_HEADS)
    if queries and keys and queries % keys == 0 and outputs % (queries + 2 * keys) == 0:
        shared = gcd(queries, keys)
        return (queries // shared, keys // shared, keys // shared)
    # What is grouped has fewer keys than queries, and so not three times the inputs.
    return (1, 1, 1) if outputs == 3 * inputs else (1,)


def _number(parent: nn.Module | None, names: Sequence[str]) -> int | None:
    """Return the first whole number above 0 that a module, or else its configuration, has by such a name."""
    for place in (parent, getattr(parent, "config", None)):
        for name in names:
            value = getattr(place, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None
