"""Small networks of the kinds that people train."""

from __future__ import annotations

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).flatten(-2))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """A language model; its head may share the weight of its embedding, and be made before it or after."""

    def __init__(self, tokens=30, width=8, tied=True, head_first=False):
        super().__init__()
        if head_first:
            self.lm_head = nn.Linear(width, tokens, bias=False)
        self.wte = nn.Embedding(tokens, width)
        self.wpe = nn.Embedding(6, width)
        self.blocks = nn.ModuleList(Block(width, 2) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        if not head_first:
            self.lm_head = nn.Linear(width, tokens, bias=False)
        if tied:
            self.lm_head.weight = self.wte.weight

    def forward(self, x):
        x = self.wte(x) + self.wpe.weight[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.norm(x))

    @staticmethod
    def batch():
        tokens = torch.randint(30, (4, 7), generator=torch.Generator().manual_seed(0))
        return tokens[:, :-1], tokens[:, 1:].flatten()


class VisionTransformer(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, 4, stride=4)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 5, width) * 0.02)
        self.blocks = nn.Sequential(Block(width, 2), Block(width, 2))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        return self.head(self.blocks(x)[:, 0])

    @staticmethod
    def batch():
        generator = torch.Generator().manual_seed(0)
        return torch.randn(6, 3, 8, 8, generator=generator), torch.arange(6)


class ResidualNetwork(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=2)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = x + torch.relu(self.depthwise(self.conv2(x)))
        return self.fc(self.up(x).mean((2, 3)))

    @staticmethod
    def batch():
        return VisionTransformer.batch()
