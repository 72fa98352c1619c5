"""The networks. `build_model` makes one from its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.errors import UserError
from nmt.models.transformer import Transformer

__all__ = ["Transformer", "build_model", "load_weights", "own_weights"]


def build_model(config: ModelConfig, vocabulary_size: int) -> Transformer:
    """The network that `config` describes, with fresh weights drawn from torch's global generator."""
    return Transformer(config, vocabulary_size)


def own_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """The model's weights by name, each tied matrix once."""
    return {name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()}


def load_weights(model: nn.Module, weights: dict[str, Any], origin: Path | str) -> None:
    """Copy weights into the model. Raises UserError when names or shapes differ."""
    parameters = dict(model.named_parameters())
    wrong = sorted(set(parameters) ^ set(weights))
    wrong += [name for name in parameters if name in weights and parameters[name].shape != weights[name].shape]
    if wrong:
        raise UserError(f"the weights in {origin} are of another network or vocabulary (see {wrong[0]})")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.as_tensor(weights[name]))
