"""Positions of the transformer (Vaswani et al. 2017), with NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nmt.config.model import ModelConfig


def fixed_positions(config: ModelConfig) -> np.ndarray:
    """What is added to the embeddings [max_length, width], float32: sines and cosines, or nothing."""
    table = sinusoidal_positions(config.max_length, config.width)
    return table if config.positions == "sinusoidal" else np.zeros_like(table)


def sinusoidal_positions(length: int, width: int) -> np.ndarray:
    """Section 3.5: PE(p, 2i) = sin(p / 10000^(2i / width)), PE(p, 2i + 1) = cos(the same); [length, width]."""
    angle = np.arange(length)[:, None] / 10000 ** (np.arange(0, width, 2) / width)  # [length, width / 2]
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, width).astype(np.float32)
