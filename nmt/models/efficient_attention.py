"""Self-attention of linear cost: in a local window, and by a kernel's feature map.

Both take query and key [..., length, d_k] and value [..., length, d_v] of one sequence, and a mask of padding
[batch, 1, 1, length], True on real positions. `causal` hides later positions.
Decoding is no cheaper: each step reads the whole cache.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from nmt.config.model import ModelConfig
from nmt.models.attention import MultiHeadAttention, attention, fused_attention

SMALLEST_BLOCK = 32
"""Fewest queries of local attention computed together; smaller matrices waste the processor."""
CHUNK = 64
"""Positions per chunk of causal linear attention; one running sum is kept per chunk."""


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, window: int, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """Equation 1 of Vaswani et al. (2017) over the positions at most `window` away ("restricted", their section 4).

    Queries are taken in blocks, each with the keys that any of them sees, so that time and memory are linear in the
    length. Returns [..., length, d_v]. A padded position sees itself at least.
    """
    length, block = query.size(-2), max(window, SMALLEST_BLOCK)
    if length <= 2 * block:  # blocks would be mostly padding
        return fused_attention(query, key, value, local_mask(length, window, mask, causal, query.device))
    blocks = -(-length // block)
    after = 0 if causal else window
    span = window + block + after
    missing = blocks * block - length

    def near(x: Tensor) -> Tensor:  # [..., length, d] -> [..., blocks, d, span], overlapping
        return functional.pad(x, (0, 0, window, missing + after)).unfold(-2, span, block)

    queries = functional.pad(query, (0, 0, 0, missing)).unflatten(-2, (blocks, block))  # [..., blocks, block, d_k]
    real = query.new_ones(length, dtype=torch.bool) if mask is None else mask[..., 0, :]
    real = near(real[..., None])  # [batch, 1, blocks, 1, span]
    offset = torch.arange(span, device=query.device) - torch.arange(block, device=query.device)[:, None] - window
    seen = (offset >= -window) & (offset <= after) & real | (offset == 0)  # [batch, 1, blocks, block, span]
    scores = (queries @ near(key) / math.sqrt(query.size(-1))).masked_fill(~seen, -torch.inf)
    means = scores.softmax(dim=-1) @ near(value).transpose(-2, -1)  # [..., blocks, block, d_v]
    return means.flatten(-3, -2)[..., :length, :]


def explicit_local_attention(
    query: Tensor, key: Tensor, value: Tensor, window: int, mask: Tensor | None = None, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Local attention by a mask over all pairs of positions; also returns the weights [..., length, length]."""
    return attention(query, key, value, local_mask(query.size(-2), window, mask, causal, query.device))


def local_mask(length: int, window: int, mask: Tensor | None, causal: bool, device: torch.device) -> Tensor:
    """[length, length], or with a mask of padding [batch, 1, length, length]: True where the row's query may look."""
    places = torch.arange(length, device=device)
    offset = places - places[:, None]  # [length, length]: how far the column's key lies after the row's query
    seen = (offset >= -window) & (offset <= (0 if causal else window))
    return (seen if mask is None else seen & mask) | (offset == 0)


def feature_map(x: Tensor) -> Tensor:
    """phi(x) = elu(x) + 1, which is positive (Katharopoulos et al. 2020, equation 7)."""
    return functional.elu(x) + 1


def linear_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """V'_i = phi(Q_i)^T sum_j phi(K_j) V_j^T / phi(Q_i)^T sum_j phi(K_j) (Katharopoulos et al. 2020, equation 5).

    The sums are the same for all queries; if causal they run to j = i (equations 8 to 11), kept once a chunk, so
    that memory is linear in the length. Returns [..., length, d_v].
    """
    query, key = feature_map(query), feature_map(key)
    if mask is not None:
        key = key * mask.transpose(-2, -1)  # [batch, 1, length, 1]
    value = torch.cat([value, torch.ones_like(value[..., :1])], dim=-1)  # the last column gives the denominator
    sums = _causal_sums(query, key, value) if causal else query @ (key.transpose(-2, -1) @ value)
    return sums[..., :-1] / sums[..., -1:]  # [..., length, d_v]


def explicit_linear_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Linear attention in the order of equation 4, which forms the weights: sim(Q_i, K_j) = phi(Q_i)^T phi(K_j),
    normalized."""
    similarity = feature_map(query) @ feature_map(key).transpose(-2, -1)  # [..., length, length]
    if mask is not None:
        similarity = similarity * mask
    if causal:
        similarity = similarity.tril()
    weights = similarity / similarity.sum(dim=-1, keepdim=True)
    return weights @ value, weights


def _causal_sums(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """sum_{j <= i} (query_i . key_j) value_j; [..., length, values]."""
    length = query.size(-2)
    chunk = min(CHUNK, length)
    chunks = -(-length // chunk)
    query, key, value = (
        functional.pad(x, (0, 0, 0, chunks * chunk - length)).unflatten(-2, (chunks, chunk))  # [..., chunks, chunk, d]
        for x in (query, key, value)
    )
    sums = key.transpose(-2, -1) @ value  # [..., chunks, d_k, values]
    before = functional.pad(sums, (0, 0, 0, 0, 1, -1)).cumsum(dim=-3)  # of all chunks before each
    within = (query @ key.transpose(-2, -1)).tril() @ value
    return (query @ before + within).flatten(-3, -2)[..., :length, :]


class EfficientSelfAttention(MultiHeadAttention):
    """Heads of local or linear self-attention. One query alone is the last position of a sequence being decoded."""

    def __init__(self, config: ModelConfig, causal: bool) -> None:
        super().__init__(config.width, config.heads, config.key_width)
        self.window = config.window
        self.causal = causal

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, with_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """See `MultiHeadAttention.attend`; `mask` covers padding only."""
        causal = self.causal
        if causal and query.size(-2) == 1:  # the cache holds everything before it
            past = 0 if self.window is None else max(0, key.size(-2) - self.window - 1)
            key, value, causal = key[..., past:, :], value[..., past:, :], False
            if self.window is not None:
                return super().attend(query, key, value, mask, with_weights)
        if self.window is None:
            if with_weights:
                return explicit_linear_attention(query, key, value, mask, causal)
            return linear_attention(query, key, value, mask, causal), None
        if with_weights:
            return explicit_local_attention(query, key, value, self.window, mask, causal)
        return local_attention(query, key, value, self.window, mask, causal), None


def self_attention(config: ModelConfig, causal: bool = False) -> MultiHeadAttention:
    """The self-attention that a transformer's configuration asks for."""
    if config.attention == "full":
        return MultiHeadAttention(config.width, config.heads, config.key_width)
    return EfficientSelfAttention(config, causal)
