"""Contestant: a plain loop of torch.nn.Transformer, nn.Dropout and F.cross_entropy over our batches.

Arguments: the model's sizes as JSON, and `same` or `all`: dropout where this project has it (sublayer outputs and
embeddings), or also where nn.Transformer adds it (attention weights, inside the feed-forward layers).
"""

from __future__ import annotations

import json
import math
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.batching import BatchSampler
from nmt.config.model import ModelConfig
from nmt.positions import sinusoidal_positions
from nmt.text.subwords import PADDING
from nmt.training.pairs import Batch
from scripts import captions
from scripts.report import THREADS
from scripts.speed.workers.pace import Pace

WARM_UP = 15


class PlainTransformer(nn.Module):
    """The same architecture from torch's own parts."""

    def __init__(self, config: ModelConfig, vocabulary: int, dropout_everywhere: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.width)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = nn.Transformer(
            config.width,
            config.heads,
            config.encoder_layers,
            config.decoder_layers,
            config.feed_forward,
            config.dropout,
            batch_first=True,
            norm_first=config.norm == "pre",
        )
        if not dropout_everywhere:
            for layer in (*self.transformer.encoder.layers, *self.transformer.decoder.layers):
                layer.dropout.p = 0.0  # inside the feed-forward
            for module in self.transformer.modules():
                if isinstance(module, nn.MultiheadAttention):
                    module.dropout = 0.0
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.register_buffer("positions", torch.from_numpy(sinusoidal_positions(config.max_length, config.width)))

    def embed(self, pieces: Tensor) -> Tensor:
        """[batch, length] to [batch, length, width]."""
        scaled = self.embedding(pieces) * math.sqrt(self.embedding.embedding_dim)
        return self.dropout(scaled + self.positions[: pieces.size(1)])

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Piece ids to logits [batch, target, vocabulary]."""
        absent = source == PADDING
        causal = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        states = self.transformer(
            self.embed(source),
            self.embed(target),
            tgt_mask=causal,
            src_key_padding_mask=absent,
            memory_key_padding_mask=absent,
            tgt_is_causal=True,
        )
        return functional.linear(states, self.embedding.weight, self.bias)


def plain_optimizer(model: PlainTransformer) -> torch.optim.Optimizer:
    """AdamW as torch makes it when nothing else is said."""
    return torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)


def step(model: PlainTransformer, optimizer: torch.optim.Optimizer, batch: Batch, clip_norm: float) -> None:
    """One step as tutorials write it."""
    logits = model(batch.source, batch.target_input)
    loss = functional.cross_entropy(
        logits.flatten(0, 1), batch.labels.flatten(), ignore_index=PADDING, label_smoothing=0.1
    )
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    loss.item()


def main() -> None:
    config = captions.config(**json.loads(sys.argv[1]))
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    pairs, vocabulary = captions.encoded(config)
    sampler = BatchSampler(pairs.source_lengths, pairs.target_lengths, config.training.batch_tokens, seed=1)
    model = PlainTransformer(config.model, vocabulary, dropout_everywhere=sys.argv[2] == "all")
    optimizer = plain_optimizer(model)
    pace = Pace(WARM_UP)
    for epoch in range(10**6):
        for rows in sampler.batches(epoch):
            pace.step(tokens=int(pairs.target_lengths[rows].sum()))
            step(model, optimizer, pairs.batch(rows), config.training.clip_norm)


if __name__ == "__main__":
    main()
