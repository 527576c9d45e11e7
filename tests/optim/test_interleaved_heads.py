"""Projections whose heads have queries, keys and values beside each other, by the modules around them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from steepest.optim import SteepestDescent, spectral_direction


def known_attention(name, projection, outputs, **numbers):
    """Return a module that has the name and the numbers of one that is known for how it fuses."""
    module = type(name, (nn.Module,), {})()
    setattr(module, projection, nn.Linear(16, outputs))
    vars(module).update(numbers)
    return module


@pytest.mark.parametrize(
    ("module", "places"),
    [
        (known_attention("GPTNeoXAttention", "query_key_value", 48, num_heads=4), "qkv" * 4),
        (known_attention("BloomAttention", "query_key_value", 48, num_heads=2), "qqkkvv" * 2),
        (
            known_attention(
                "FalconAttention",
                "query_key_value",
                32,
                num_heads=4,
                num_kv_heads=2,
                new_decoder_architecture=1,
            ),
            "qqkv" * 2,
        ),
        (
            known_attention(
                "FalconAttention", "query_key_value", 24, num_heads=4, num_kv_heads=1, multi_query=True
            ),
            "qqqqkv",
        ),
        (known_attention("GPTBigCodeAttention", "c_attn", 48, num_heads=4, kv_heads=4), "qkv" * 4),
        (known_attention("CodeGenAttention", "qkv_proj", 96, num_attention_heads=8), "qqvvkk" * 4),
        (
            known_attention(
                "SelfAttention",
                "linear_qkv",
                48,
                num_attention_heads_per_partition=8,
                num_query_groups_per_partition=2,
            ),
            "qqqqkv" * 2,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_interleaved_heads_are_told_apart_where_the_module_is_known(module, places):
    """Every letter is so many rows of the one projection: they move as three parameters would."""
    (projection,) = module.children()
    rows = torch.tensor([list("qkv").index(each) for each in places]).repeat_interleave(
        projection.out_features // len(places)
    )
    generator = torch.Generator().manual_seed(0)
    projection.weight.grad = torch.randn(projection.weight.shape, generator=generator)
    projection.bias.grad = torch.randn(projection.bias.shape, generator=generator)
    before = [each.detach().clone() for each in (projection.weight, projection.bias)]
    SteepestDescent(nn.Sequential(module), lr=1.0, scale="unit").step()
    for part in range(3):
        own = rows == part
        moved = (before[0] - projection.weight.detach())[own]
        torch.testing.assert_close(moved, spectral_direction(projection.weight.grad[own]))
        step = (before[1] - projection.bias.detach())[own]
        assert torch.nn.functional.cosine_similarity(step, projection.bias.grad[own], dim=0) > 0.99999
