"""How many floating-point operations a training step needs: matrix products alone, of real tokens alone."""

from __future__ import annotations

import numpy as np

from nmt.config.model import ModelConfig


def training_flops(config: ModelConfig, vocabulary: int, sources: np.ndarray, targets: np.ndarray) -> float:
    """For sentences of so many pieces, `sources` [batch] and `targets` [batch]; docs/speed.md has the formula.

    Two operations for each multiplication, forward and twice that backward; nothing else is counted.
    """
    w, f = config.width, config.feed_forward
    s, t = sources.astype(np.float64), targets.astype(np.float64)
    encoder = 2 * s * (4 * w**2 + 2 * w * f) + 4 * s**2 * w
    decoder = 2 * t * (6 * w**2 + 2 * w * f) + 4 * s * w**2 + 2 * t * (t + 1) * w + 4 * t * s * w
    forward = config.encoder_layers * encoder + config.decoder_layers * decoder + 2 * t * w * vocabulary
    return float(3 * forward.sum())
