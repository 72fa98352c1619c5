"""What every architecture offers to training, search and inspection, none of which asks which one it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn

from nmt.model_config import ModelConfig
from nmt.models.state import DecoderState

Weights = list[Tensor]
"""Attention weights, one tensor [batch, heads, target, source] a layer; empty where there is no such attention."""


class Model(Protocol):
    """An encoder-decoder over piece ids; a torch module.

    Training calls `forward`, search `start` and `step`, inspection `encode` and `decode`. `step` after
    `start` gives the same log-probabilities as `logits` of the states of `decode`.
    """

    @property
    def config(self) -> ModelConfig:
        """What it was built from."""

    @property
    def output_weight(self) -> Tensor:
        """[vocabulary, width]: the output projection, which the training objective applies itself."""

    @property
    def output_bias(self) -> Tensor:
        """[vocabulary]."""

    def encode(self, source: Tensor, lengths: Tensor, with_weights: bool = False) -> tuple[Tensor, Tensor, Weights]:
        """source [batch, source] piece ids, lengths [batch].

        Returns the memory, of the architecture's own shape [batch, ...], the mask [batch, 1, 1, source], True on
        positions that are not padding, and, when asked for, each layer's self-attention weights.
        """

    def decode(
        self, target: Tensor, memory: Tensor, mask: Tensor, with_weights: bool = False
    ) -> tuple[Tensor, Weights, Weights]:
        """Teacher forcing: target [batch, target] piece ids beginning with `<s>`, all positions.

        Returns states [batch, target, width] and, when asked for, each layer's self-attention weights and its
        weights over the source.
        """

    def forward(self, source: Tensor, source_lengths: Tensor, target: Tensor) -> Tensor:
        """States [batch, target, width] that predict the piece after each of `target`."""

    def logits(self, states: Tensor) -> Tensor:
        """States [..., width] to unnormalised log-probabilities [..., vocabulary]."""

    def start(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first step, one hypothesis a sentence."""

    def step(self, pieces: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Pieces [batch, beam] to log-probabilities [batch, beam, vocabulary] of the next, and the next state."""

    # What every torch module has.

    def __call__(self, source: Tensor, source_lengths: Tensor, target: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, device: Any) -> Any: ...
