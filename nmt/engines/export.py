"""A checkpoint's network as a CTranslate2 model, through CTranslate2's own specification and converter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ctranslate2.converters import Converter
from ctranslate2.specs import TransformerSpec

from nmt.checkpoint import CONFIG, CTRANSLATE2, SUBWORDS, Checkpoint, add_files
from nmt.config import load_config
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.files import atomic_path
from nmt.model_config import ModelConfig
from nmt.models import own_weights
from nmt.models.transformer import fixed_positions
from nmt.text.subwords import Subwords

Arrays = dict[str, np.ndarray]


def export_to_ctranslate2(
    directory: str | Path, quantization: str = "float32", alignment_heads: list[int] | None = None
) -> Path:
    """Write `ctranslate2/` into the checkpoint and list it there; returns the new directory.

    `alignment_heads` are the cross-attention heads of the alignment layer whose mean CTranslate2 returns
    (default: all). It returns the first ones, so they are moved to the front.

    Raises UserError for a network that CTranslate2 has no specification for, and for heads that are not there.
    """
    checkpoint = Checkpoint(directory)
    config = load_config(checkpoint.path(CONFIG), warn=False).model
    if obstacle := not_for_ctranslate2(config):
        raise UserError(f"CTranslate2 has no specification for {obstacle}; translate {directory} with PyTorch")
    subwords = Subwords.load(checkpoint.path(SUBWORDS))
    model = TorchEngine.load(checkpoint, len(subwords)).model  # whose loading checks that the weights are its own
    weights = {name: tensor.numpy() for name, tensor in own_weights(model).items()}
    layer = checkpoint.metadata["alignment_layer"]
    if layer >= config.decoder_layers:
        raise UserError(f"{directory}: alignment layer {layer} of {config.decoder_layers}; use another copy of it")
    chosen = alignment_heads or list(range(config.heads))
    if not set(chosen) <= set(range(config.heads)):
        raise UserError(f"alignment heads {chosen}: the model has heads 0 to {config.heads - 1}")
    order = chosen + [head for head in range(config.heads) if head not in chosen]
    permute_heads(weights, f"decoder_layers.{layer}.cross_attention", order)
    converter = _Converter(config, weights, subwords.pieces(range(len(subwords))), layer, len(chosen))
    place = Path(directory) / CTRANSLATE2
    with atomic_path(place) as temporary:
        converter.convert(str(temporary), quantization=None if quantization == "float32" else quantization)
    add_files(directory)
    return place


def not_for_ctranslate2(config: ModelConfig) -> str | None:
    """What in the network CTranslate2 cannot compute, as key and value, or None."""
    if config.type != "transformer":
        return f"model.type {config.type}"
    if config.attention != "full":
        return f"model.attention {config.attention}"
    if config.key_width not in (None, config.width // config.heads):
        return f"model.key_width {config.key_width}, which is not width / heads"
    return None


def permute_heads(weights: Arrays, attention: str, order: list[int]) -> None:
    """Put an attention's heads in another order, in place: nothing but that order changes.

    A head is a block of rows of the query, key and value matrices, and of columns of the output matrix.
    """
    width = weights[f"{attention}.output.weight"].shape[0]
    blocks = np.arange(width).reshape(len(order), -1)[order].ravel()  # [width]
    both = np.concatenate([blocks, width + blocks])  # keys, then values
    for name, rows in (("query", blocks), ("key_value", both)):
        for part in ("weight", "bias"):
            weights[f"{attention}.{name}.{part}"] = weights[f"{attention}.{name}.{part}"][rows]
    weights[f"{attention}.output.weight"] = weights[f"{attention}.output.weight"][:, blocks]


class _Converter(Converter):
    def __init__(self, config: ModelConfig, weights: Arrays, pieces: list[str], layer: int, heads: int) -> None:
        self.config, self.weights, self.pieces, self.layer, self.alignment_heads = config, weights, pieces, layer, heads

    def _load(self) -> TransformerSpec:
        config, weights = self.config, self.weights
        spec = TransformerSpec.from_config(
            (config.encoder_layers, config.decoder_layers),
            config.heads,
            pre_norm=config.norm == "pre",
            alignment_layer=self.layer,
            alignment_heads=self.alignment_heads,
        )
        tied = weights["output_weight"]
        spec.encoder.embeddings[0].weight = weights.get("source_embedding.weight", tied)
        spec.decoder.embeddings.weight = weights.get("target_embedding.weight", tied)
        spec.decoder.projection.weight = tied
        spec.decoder.projection.bias = weights["output_bias"]
        positions = weights.get("positions", fixed_positions(config).numpy())
        for name, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
            part.position_encodings.encodings = positions
            if config.norm == "pre":
                self._norm(part.layer_norm, f"{name}_norm")
            for number, layer in enumerate(part.layer):
                self._layer(layer, f"{name}_layers.{number}", cross=name == "decoder")
        spec.register_source_vocabulary(self.pieces)
        spec.register_target_vocabulary(self.pieces)
        return spec

    def _layer(self, layer, name: str, cross: bool) -> None:
        inner = f"{name}.self_attention"
        self._linear(layer.self_attention.linear[0], f"{inner}.query", f"{inner}.key_value")
        self._linear(layer.self_attention.linear[1], f"{inner}.output")
        self._norm(layer.self_attention.layer_norm, f"{name}.around_self.norm")
        if cross:
            outer = f"{name}.cross_attention"
            for place, part in zip(layer.attention.linear, ("query", "key_value", "output"), strict=True):
                self._linear(place, f"{outer}.{part}")
            self._norm(layer.attention.layer_norm, f"{name}.around_cross.norm")
        self._linear(layer.ffn.linear_0, f"{name}.feed_forward.inner")
        self._linear(layer.ffn.linear_1, f"{name}.feed_forward.outer")
        self._norm(layer.ffn.layer_norm, f"{name}.around_feed_forward.norm")

    def _linear(self, place, *names: str) -> None:
        # Several matrices over one input become one.
        place.weight = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        place.bias = np.concatenate([self.weights[f"{name}.bias"] for name in names])

    def _norm(self, place, name: str) -> None:
        place.gamma, place.beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
