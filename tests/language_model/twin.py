"""The transformer of `surfaces.transformer` in plain PyTorch, eager: what it is held against."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, model):
        super().__init__()
        width, wide, self.heads = model.width, model.feed_forward, model.heads
        self.attention_norm, self.network_norm = (nn.LayerNorm(width, bias=False) for _ in range(2))
        self.mix, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, wide, bias=False), nn.Linear(wide, width, bias=False)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.mix(self.attention_norm(x)).chunk(3, dim=-1)
        queries, keys, values = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in parts)
        seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.network_norm(x)), approximate="tanh"))


class Twin(nn.Module):
    """A model with learned positions, without dropout, with the given weights."""

    def __init__(self, model, weights):
        super().__init__()
        self.tokens = nn.Embedding(model.vocabulary_size, model.width)
        self.positions = nn.Embedding(model.context, model.width)
        self.blocks = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.norm = nn.LayerNorm(model.width, bias=False)
        pairs = [(self.tokens, weights["tokens"]), (self.positions, weights["positions"]), (self.norm, weights["norm"])]
        for block, given in zip(self.blocks, weights["blocks"], strict=True):
            attention, network = given["attention"], given["feed_forward"]
            pairs += [(block.attention_norm, attention["norm"]), (block.network_norm, network["norm"])]
            # PyTorch keeps the matrix of a layer as (out, in).
            pairs += [(block.mix, attention["in"].T), (block.out, attention["out"].T)]
            pairs += [(block.up, network["up"].T), (block.down, network["down"].T)]
        with torch.no_grad():
            for layer, value in pairs:
                layer.weight.copy_(torch.tensor(np.asarray(value)))

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T

    def loss(self, tokens):
        """Mean cross-entropy of each next token of (B, T + 1), in nats."""
        logits = self(tokens[:, :-1])
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))
