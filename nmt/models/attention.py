"""Attention as in "Attention Is All You Need" (Vaswani et al. 2017, section 3.2)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, equation 1: softmax(Q K^T / sqrt(d_k)) V.

    query [..., target, d_k], key [..., source, d_k], value [..., source, d_v];
    mask, broadcast to [..., target, source], is True where the query may look.
    Returns the values' means [..., target, d_v] and the weights [..., target, source].
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))  # [..., target, source]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(dim=-1)  # [..., target, source]
    return weights @ value, weights


def fused_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same means in one kernel, which never forms the weights."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class MultiHeadAttention(nn.Module):
    """Section 3.2.2: `heads` attentions side by side, of keys of d_k and values of d_v = width / heads dimensions.

    MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W^O, head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V).
    The W_i of all heads are the rows of one matrix, keys and values share one product.
    """

    def __init__(self, width: int, heads: int, key_width: int | None = None) -> None:
        """`key_width` is d_k, by default d_v."""
        super().__init__()
        self.heads = heads
        keys = heads * (key_width or width // heads)
        self.query = nn.Linear(width, keys)
        self.key_value = nn.Linear(width, keys + width)
        self.output = nn.Linear(width, width)

    def forward(
        self, x: Tensor, keys_values: tuple[Tensor, Tensor], mask: Tensor | None = None, with_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Queries from `x` [batch, target, width] look at projected keys and values of `project`.

        mask, broadcast to [batch, heads, target, source], is True where a query may look.
        Returns [batch, target, width], and the weights [batch, heads, target, source] when asked for.
        """
        query = self._split(self.query(x))  # [batch, heads, target, d_k]
        mean, weights = self.attend(query, *keys_values, mask, with_weights)
        joined = mean.transpose(1, 2).flatten(2)  # [batch, target, width]
        return self.output(joined), weights

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, with_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The values' means [batch, heads, target, d_v], and the weights when asked for."""
        if with_weights:
            return attention(query, key, value, mask)
        return fused_attention(query, key, value, mask), None

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys [batch, heads, source, d_k] and values [batch, heads, source, d_v] of `memory` [batch, source, width].

        They can be kept: decoding projects the encoder's output once, and its own past never again.
        """
        return self.separate(self.key_value(memory))

    def separate(self, keys_values: Tensor) -> tuple[Tensor, Tensor]:
        """The product of `key_value` [batch, source, heads * (d_k + d_v)] as keys and values, views of it."""
        widths = [self.query.out_features, self.output.in_features]
        key, value = keys_values.split(widths, dim=-1)  # [batch, source, heads * d_k or d_v]
        return self._split(key), self._split(value)

    def _split(self, x: Tensor) -> Tensor:
        # [batch, length, heads * d] -> [batch, heads, length, d]
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def padding_mask(lengths: Tensor, longest: int) -> Tensor:
    """[batch] lengths -> [batch, 1, 1, longest], True on positions that are not padding."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None])[:, None, None, :]


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """[length, length], True where column <= row: no position sees a later one (section 3.2.3)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
