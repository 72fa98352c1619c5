"""The networks; `build_model` makes one from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nmt.config.model import ModelConfig
from nmt.errors import UserError
from nmt.models.interface import Model
from nmt.models.recurrent import RNNEncoderDecoder, RNNSearch
from nmt.models.transformer import Transformer

__all__ = ["Model", "Transformer", "build_model", "claimed_weights", "load_weights", "own_weights"]

ARCHITECTURES: dict[str, Callable[[ModelConfig, int, int | None], Model]] = {
    "transformer": Transformer,
    "rnnsearch": RNNSearch,
    "rnnencdec": RNNEncoderDecoder,
}
"""The networks by `model.type`."""


def build_model(config: ModelConfig, vocabulary_size: int, target_size: int | None = None) -> Model:
    """The network of `config`, initialized from torch's global generator. The first `target_size` pieces, by default
    all, are those that a translation can have."""
    return ARCHITECTURES[config.type](config, vocabulary_size, target_size)


def claimed_weights(config: ModelConfig, vocabulary_size: int) -> int:
    """Estimate, within a small factor, how many numbers `build_model` would allocate."""
    width = config.width
    layer = 16 * width * width + 2 * width * (config.feed_forward + 2 * config.heads * (config.key_width or 1))
    return (config.encoder_layers + config.decoder_layers) * layer + (3 * vocabulary_size + config.max_length) * width


def own_weights(model: Model) -> dict[str, torch.Tensor]:
    """The model's weights by name; tied matrices appear once."""
    return {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}


def load_weights(model: Model, weights: dict[str, Any], origin: Path | str) -> None:
    """Copy weights into the model. Raises UserError when names or shapes differ."""
    parameters = dict(model.named_parameters())
    wrong = sorted(set(parameters) ^ set(weights))
    wrong += [name for name in parameters if name in weights and parameters[name].shape != weights[name].shape]
    if wrong:
        raise UserError(f"the weights in {origin} are of another network or vocabulary (see {wrong[0]})")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.as_tensor(weights[name]))
