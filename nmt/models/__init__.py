"""The networks. `build_model` makes one from its configuration."""

from nmt.config import ModelConfig
from nmt.models.transformer import Transformer

__all__ = ["Transformer", "build_model"]


def build_model(config: ModelConfig, vocabulary_size: int) -> Transformer:
    """The network that `config` describes, with fresh weights drawn from torch's global generator."""
    return Transformer(config, vocabulary_size)
