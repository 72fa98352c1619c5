"""The transformer (Vaswani et al. 2017) on a page: `encode`, `decode`, and `step` for one cached position."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.models.attention import MultiHeadAttention, causal_mask, padding_mask
from nmt.models.decoder_state import DecoderState, append_to_cache
from nmt.models.dropout import Dropout
from nmt.models.efficient_attention import self_attention
from nmt.models.interface import Model, Weights
from nmt.positions import fixed_positions


class SublayerConnection(nn.Module):
    """Residual connection and layer normalization around a sublayer (section 3.1), with dropout (section 5.4).

    Post-norm, as in the paper: LayerNorm(x + Dropout(Sublayer(x))). Pre-norm (Xiong et al. 2020), which
    trains without care: x + Dropout(Sublayer(LayerNorm(x))).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.dropout = Dropout(config.dropout)
        self.pre = config.norm == "pre"

    def input(self, x: Tensor) -> Tensor:
        """The sublayer's input: x, normalized in pre-norm."""
        return self.norm(x) if self.pre else x

    def output(self, x: Tensor, output: Tensor) -> Tensor:
        """Add the sublayer's output to x; normalize the sum in post-norm."""
        x = x + self.dropout(output)
        return x if self.pre else self.norm(x)


class FeedForward(nn.Module):
    """Equation 2: max(0, x W_1 + b_1) W_2 + b_2, at every position alike."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, config.feed_forward)
        self.outer = nn.Linear(config.feed_forward, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, length, width] to the same shape."""
        return self.outer(self.inner(x).relu())


class EncoderLayer(nn.Module):
    """Self-attention over the source, then feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = self_attention(config)
        self.feed_forward = FeedForward(config)
        self.around_self = SublayerConnection(config)
        self.around_feed_forward = SublayerConnection(config)

    def forward(self, x: Tensor, mask: Tensor, with_weights: bool = False) -> tuple[Tensor, Tensor | None]:
        """x [batch, source, width], mask [batch, 1, 1, source]; returns the same shape, and the weights."""
        y = self.around_self.input(x)
        output, weights = self.self_attention(y, self.self_attention.project(y), mask, with_weights)
        x = self.around_self.output(x, output)
        x = self.around_feed_forward.output(x, self.feed_forward(self.around_feed_forward.input(x)))
        return x, weights


class DecoderLayer(nn.Module):
    """Self-attention over the target so far, cross-attention to the source, feed-forward."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attention = self_attention(config, causal=True)
        self.cross_attention = MultiHeadAttention(config.width, config.heads, config.key_width)
        self.feed_forward = FeedForward(config)
        self.around_self = SublayerConnection(config)
        self.around_cross = SublayerConnection(config)
        self.around_feed_forward = SublayerConnection(config)

    def forward(
        self,
        x: Tensor,
        self_mask: Tensor | None,
        memory: tuple[Tensor, Tensor],
        mask: Tensor,
        with_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """All target positions at once.

        x [batch, target, width]; self_mask [target, target]; `memory`, the cross-attention's keys and values, each
        [batch, heads, source, d_k]; mask [batch, 1, 1, source]. Returns the same shape as x, and the weights of
        self-attention and cross-attention when asked for.
        """
        y = self.around_self.input(x)
        output, self_weights = self.self_attention(y, self.self_attention.project(y), self_mask, with_weights)
        x = self.around_self.output(x, output)
        x, cross_weights = self._look_at_source(x, memory, mask, with_weights)
        return x, self_weights, cross_weights

    def step(
        self, x: Tensor, cache: Tensor, beam_indices: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One new position of every hypothesis, x [batch, beam, width].

        `cache` [steps, before, heads * (d_k + d_v)] holds the self-attention's keys and values, those of each
        hypothesis at its `beam_indices`. Returns x and the cache in the hypotheses' order with this step appended.
        All hypotheses of a sentence share its `memory`: for cross-attention the beam is a row of queries.
        """
        y = self.around_self.input(x)
        cache = append_to_cache(cache, beam_indices, self.self_attention.key_value(y))  # [steps + 1, batch * beam, ...]
        keys_values = self.self_attention.separate(
            cache.transpose(0, 1)
        )  # [batch * beam, heads, steps + 1, d_k or d_v]
        output, _ = self.self_attention(y.flatten(0, 1)[:, None], keys_values)  # [batch * beam, 1, width]
        x = self.around_self.output(x, output.view_as(x))
        return self._look_at_source(x, memory, mask)[0], cache

    def _look_at_source(
        self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor, with_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        output, weights = self.cross_attention(self.around_cross.input(x), memory, mask, with_weights)
        x = self.around_cross.output(x, output)
        x = self.around_feed_forward.output(x, self.feed_forward(self.around_feed_forward.input(x)))
        return x, weights


class Transformer(Model):
    """Encoder and decoder with tied embeddings (section 3.4) and positions (section 3.5), one table for both sides."""

    encoder_layers: Iterable[EncoderLayer]
    decoder_layers: Sequence[DecoderLayer]
    positions: Tensor

    def __init__(self, config: ModelConfig, vocabulary_size: int, target_size: int | None = None) -> None:
        super().__init__(config, vocabulary_size, target_size)
        encoder = [EncoderLayer(config) for _ in range(config.encoder_layers)]
        decoder = [DecoderLayer(config) for _ in range(config.decoder_layers)]
        self.encoder_layers = nn.ModuleList(encoder)  # type: ignore[assignment]
        self.decoder_layers = nn.ModuleList(decoder)  # type: ignore[assignment]
        # Pre-norm leaves the stream unnormalized, so each stack ends in a normalization of its own.
        final = nn.LayerNorm if config.norm == "pre" else nn.Identity
        self.encoder_norm, self.decoder_norm = final(config.width), final(config.width)
        self._initialize()
        if config.positions == "learned":
            table = torch.empty(config.max_length, config.width)
            self.positions = nn.Parameter(table.normal_(std=config.width**-0.5))
        else:
            self.register_buffer("positions", torch.from_numpy(fixed_positions(config)), persistent=False)

    def encode(self, source: Tensor, lengths: Tensor, with_weights: bool = False) -> tuple[Tensor, Tensor, Weights]:
        """source [batch, source] piece ids, lengths [batch].

        Returns the memory [batch, source, width], its mask [batch, 1, 1, source], and each layer's weights when asked
        for.
        """
        mask = padding_mask(lengths, source.size(1))
        x = self._embed(self.source_embedding, source)  # [batch, source, width]
        weights: Weights = []
        for layer in self.encoder_layers:
            x, layer_weights = layer(x, mask, with_weights)
            if with_weights:
                weights.append(layer_weights)
        return self.encoder_norm(x), mask, weights

    def decode(
        self, target: Tensor, memory: Tensor, mask: Tensor, with_weights: bool = False, layer: int | None = None
    ) -> tuple[Tensor, Weights, Weights]:
        """Teacher forcing: target [batch, target] piece ids beginning with `<s>`, all positions at once.

        Returns states [batch, target, width] (`logits` turns them into scores of the next piece), and
        self-attention and cross-attention weights when asked for: each layer's, or those of one `layer`.
        """
        # Local and linear attention mask by themselves.
        self_mask = causal_mask(target.size(1), target.device) if self.config.attention == "full" else None
        x = self._embed(self.target_embedding, target)  # [batch, target, width]
        self_weights: Weights = []
        cross_weights: Weights = []
        for number, block in enumerate(self.decoder_layers):
            wanted = with_weights and layer in (None, number)
            x, own, cross = block(x, self_mask, block.cross_attention.project(memory), mask, wanted)
            if wanted:
                self_weights.append(own)
                cross_weights.append(cross)
        return self.decoder_norm(x), self_weights, cross_weights

    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first step: the source encoded, its keys and values projected once, an empty cache."""
        memory, mask, _ = self.encode(source, lengths)
        projected = [part for layer in self.decoder_layers for part in layer.cross_attention.project(memory)]
        empty = [
            memory.new_empty(0, len(source), layer.self_attention.key_value.out_features)
            for layer in self.decoder_layers
        ]
        return DecoderState([mask, *projected], [], empty, torch.arange(len(source), device=source.device)[:, None])

    def step(self, pieces: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One position: pieces [batch, beam] to log-probabilities [batch, beam, targets] and the next state."""
        mask, *projected = state.per_sentence
        assert state.beam_indices is not None
        x = self._embed(self.target_embedding, pieces, first=len(state.cache[0]))  # [batch, beam, width]
        cache: list[Tensor] = []
        for number, layer in enumerate(self.decoder_layers):
            memory = projected[2 * number], projected[2 * number + 1]
            x, layer_cache = layer.step(x, state.cache[number], state.beam_indices, memory, mask)
            cache.append(layer_cache)
        beam_indices = torch.arange(pieces.numel(), device=pieces.device).view_as(pieces)
        next_state = DecoderState(state.per_sentence, [], cache, beam_indices)
        return self.logits(self.decoder_norm(x)).log_softmax(dim=-1), next_state

    def _embed(self, embedding: nn.Embedding, pieces: Tensor, first: int | None = None) -> Tensor:
        # Section 3.4: embeddings are scaled by sqrt(width). `first` is the one position of a decoding step.
        positions = self.positions[: pieces.size(1)] if first is None else self.positions[first]
        return self.dropout(embedding(pieces) * math.sqrt(self.config.width) + positions)
