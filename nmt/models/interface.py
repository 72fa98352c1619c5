"""The architecture-agnostic interface between models and training, search and inspection."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config.model import ModelConfig
from nmt.models.decoder_state import DecoderState
from nmt.models.dropout import Dropout

Weights = list[Tensor]
"""Attention weights, one tensor [batch, heads, target, source] per layer; empty if not requested."""


class Model(nn.Module, ABC):
    """An encoder-decoder over piece ids, between embeddings and an output projection.

    Training and inspection call `encode` and `decode`, search `start` and `step`, scoring `forward`. Stepping from
    `start` gives the same log-probabilities as `logits` of `decode`'s states.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int, target_size: int | None = None) -> None:
        """The first `target_size` pieces, by default all, are those that a translation can have."""
        super().__init__()
        target_size = target_size or vocabulary_size
        self.config = config
        self.target_embedding = nn.Embedding(vocabulary_size, config.width)
        self.source_embedding = self.target_embedding
        self.output_weight = self.target_embedding.weight
        """[vocabulary, width] if tied, else [targets, width]: the output projection."""
        if not config.tied_embeddings:
            self.source_embedding = nn.Embedding(vocabulary_size, config.width)
            self.output_weight = nn.Parameter(torch.empty(target_size, config.width))
        self.output_bias = nn.Parameter(torch.zeros(target_size))
        self.dropout = Dropout(config.dropout)

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.width**-0.5)
            elif isinstance(module, nn.GRU):
                for name, parameter in module.named_parameters():
                    if parameter.dim() == 1:
                        nn.init.zeros_(parameter)
                    elif "_ih_" in name:
                        nn.init.xavier_uniform_(parameter)
                    else:  # Bahdanau et al. 2015, B.1: recurrent matrices are orthogonal, each gate's by itself
                        for gate in parameter.chunk(3):
                            nn.init.orthogonal_(gate)
        if not self.config.tied_embeddings:
            nn.init.normal_(self.output_weight, std=self.config.width**-0.5)

    @abstractmethod
    def encode(self, source: Tensor, lengths: Tensor, with_weights: bool = False) -> tuple[Tensor, Tensor, Weights]:
        """source [batch, source] piece ids, lengths [batch].

        Returns the memory [batch, ...], whose shape depends on the architecture; the mask [batch, 1, 1, source], True
        on real positions; and, with `with_weights`, each layer's self-attention weights.
        """

    @abstractmethod
    def decode(
        self, target: Tensor, memory: Tensor, mask: Tensor, with_weights: bool = False, layer: int | None = None
    ) -> tuple[Tensor, Weights, Weights]:
        """Teacher forcing: target [batch, target] piece ids beginning with `<s>`, all positions.

        Returns states [batch, target, width] and, with `with_weights`, each layer's self-attention and cross-attention
        weights, or those of one `layer`.
        """

    def forward(self, source: Tensor, source_lengths: Tensor, target: Tensor) -> Tensor:
        """States [batch, target, width] that predict the piece after each of `target`."""
        memory, mask, _ = self.encode(source, source_lengths)
        return self.decode(target, memory, mask)[0]

    @property
    def projection(self) -> Tensor:
        """[targets, width]: the rows of `output_weight` of the pieces that a translation can have."""
        targets = len(self.output_bias)
        return self.output_weight if targets == len(self.output_weight) else self.output_weight[:targets]

    def logits(self, states: Tensor) -> Tensor:
        """States [..., width] to unnormalized log-probabilities [..., targets]."""
        return linear(states, self.projection, self.output_bias)

    @abstractmethod
    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first step, with one hypothesis per sentence."""

    @abstractmethod
    def step(self, pieces: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Pieces [batch, beam] to log-probabilities [batch, beam, targets] of the next, and the next state."""
