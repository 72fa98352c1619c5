"""Conversion of a checkpoint's network to CTranslate2's format, with NumPy alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmt.checkpoint import SUBWORDS, WEIGHTS, Checkpoint, load_arrays, write_checkpoint_metadata
from nmt.errors import UserError
from nmt.files import atomic_path, is_empty
from nmt.positions import fixed_positions
from nmt.text.subwords import Subwords
from nmt.untrusted import tensor_shapes

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerSpec

    from nmt.config.model import ModelConfig

Arrays = dict[str, np.ndarray]
Shapes = dict[str, tuple[int, ...]]

ROW = 16
"""The vocabulary is filled up to a multiple of it, so that each row of scores starts on a cache line."""


def not_for_ctranslate2(config: ModelConfig) -> str | None:
    """The first setting of a network that CTranslate2 cannot compute, as key and value, or None."""
    if config.type != "transformer":
        return f"model.type {config.type}"
    if config.attention != "full":
        return f"model.attention {config.attention}"
    if config.key_width not in (None, config.width // config.heads):
        return f"model.key_width {config.key_width}, which is not width / heads"
    return None


def export_to_ctranslate2(directory: str | Path, output: str | Path, quantization: str | None = None) -> Path:
    """Convert a checkpoint to a directory that CTranslate2 loads, and return that directory.

    An existing CTranslate2 model in `output` is replaced. `quantization` is the type of the weights, by default the
    checkpoint's own.

    Raises UserError for a damaged checkpoint and for an `output` that is anything else.
    """
    checkpoint, output = Checkpoint(directory), Path(output)
    subwords = Subwords.load(checkpoint.path(SUBWORDS))
    if output.exists() and not is_empty(output) and not (output / "model.bin").is_file():
        raise UserError(f"{output} exists and is no CTranslate2 model; choose another directory")
    with atomic_path(output) as temporary:
        temporary.mkdir()
        convert(checkpoint, subwords, temporary, quantization)
    return output


def set_quantization(directory: str | Path, quantization: str) -> None:
    """Record the type of weights that CTranslate2 computes with. Raises UserError for what it cannot compute."""
    checkpoint = Checkpoint(directory)
    for name in checkpoint.files:  # signed anew below, so each must be whole
        checkpoint.path(name)
    if obstacle := not_for_ctranslate2(checkpoint.model_config):
        raise UserError(f"CTranslate2 cannot compute {obstacle}; {directory} is translated with PyTorch")
    write_checkpoint_metadata(checkpoint.directory, {**checkpoint.metadata.record, "quantization": quantization})


def convert(checkpoint: Checkpoint, subwords: Subwords, directory: Path, quantization: str | None = None) -> None:
    """Write a checkpoint's network to an empty directory, in CTranslate2's format.

    Raises UserError for a network that CTranslate2 cannot compute, and for weights that do not fit the configuration.
    """
    config = checkpoint.model_config
    if obstacle := not_for_ctranslate2(config):
        raise UserError(f"CTranslate2 cannot compute {obstacle}; translate {checkpoint.directory} with PyTorch")
    path = checkpoint.path(WEIGHTS)
    expected, found = expected_shapes(config, len(subwords), subwords.target_size), tensor_shapes(path)
    if wrong := sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)):
        raise UserError(f"the weights in {path} are of another network or vocabulary (see {wrong[0]})")
    layer = checkpoint.metadata.alignment_layer
    if layer is None:
        raise UserError(f"{checkpoint.directory}: a transformer without an alignment layer; use another copy of it")
    weights = load_arrays(path)
    # CTranslate2 returns the mean of the first heads.
    heads = checkpoint.shown_heads
    order = heads + [head for head in range(config.heads) if head not in heads]
    permute_heads(weights, f"decoder_layers.{layer}.cross_attention", order)
    pieces = subwords.pieces(range(len(subwords)))
    targets = fill_targets(weights, pieces[: subwords.target_size])
    quantization = quantization or checkpoint.metadata.quantization
    spec = _specification(quantization).from_config(
        (config.encoder_layers, config.decoder_layers),
        config.heads,
        pre_norm=config.norm == "pre",
        alignment_layer=layer,
        alignment_heads=len(heads),
    )
    _fill(spec, config, weights)
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(targets)
    spec.validate()
    spec.optimize(None if quantization == "float32" else quantization)
    spec.save(str(directory))


def _specification(quantization: str) -> type[TransformerSpec]:
    # ctranslate2.specs imports torch where it can, which takes seconds and which only bfloat16 needs.
    blocked = "torch" not in sys.modules
    if blocked:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        from ctranslate2.specs import TransformerSpec, model_spec
    finally:
        if blocked:
            del sys.modules["torch"]
    if quantization == "bfloat16" and not model_spec.torch_is_available:
        import torch

        model_spec.torch, model_spec.torch_is_available = torch, True
    return TransformerSpec


def expected_shapes(config: ModelConfig, vocabulary_size: int, target_size: int) -> Shapes:
    """Name and shape of every weight of a transformer, as `nmt.models.Transformer` names them."""
    width, inner = config.width, config.feed_forward
    shapes: Shapes = {"output_bias": (target_size,), "output_weight": (vocabulary_size, width)}
    if not config.tied_embeddings:
        shapes["source_embedding.weight"] = shapes["target_embedding.weight"] = (vocabulary_size, width)
        shapes["output_weight"] = (target_size, width)
    if config.positions == "learned":
        shapes["positions"] = (config.max_length, width)

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (rows, columns), (rows,)

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)

    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        if config.norm == "pre":
            norm(f"{side}_norm")
        for layer in (f"{side}_layers.{number}" for number in range(layers)):
            for kind in ("self", "cross")[: 1 + (side == "decoder")]:
                for part, rows in (("query", width), ("key_value", 2 * width), ("output", width)):
                    linear(f"{layer}.{kind}_attention.{part}", rows, width)
                norm(f"{layer}.around_{kind}.norm")
            linear(f"{layer}.feed_forward.inner", inner, width)
            linear(f"{layer}.feed_forward.outer", width, inner)
            norm(f"{layer}.around_feed_forward.norm")
    return shapes


def permute_heads(weights: Arrays, attention: str, order: list[int]) -> None:
    """Reorder the heads of an attention, in place; its output does not change.

    A head is a block of rows of the query, key and value matrices, and of columns of the output matrix.
    """
    width = weights[f"{attention}.output.weight"].shape[0]
    blocks = np.arange(width).reshape(len(order), -1)[order].ravel()  # [width]
    both = np.concatenate([blocks, width + blocks])  # keys, then values
    for name, rows in (("query", blocks), ("key_value", both)):
        for part in ("weight", "bias"):
            weights[f"{attention}.{name}.{part}"] = weights[f"{attention}.{name}.{part}"][rows]
    weights[f"{attention}.output.weight"] = weights[f"{attention}.output.weight"][:, blocks]


def fill_targets(weights: Arrays, pieces: list[str]) -> list[str]:
    """The pieces that a translation can have, and others of no probability that make their number a multiple of `ROW`.

    The weights get an embedding of each side, and an output projection, in place.
    """
    tied, added = weights["output_weight"], -len(pieces) % ROW
    weights.setdefault("source_embedding.weight", tied)
    target = weights.get("target_embedding.weight", tied)
    for name, matrix in (("output_weight", tied), ("target_embedding.weight", target)):
        weights[name] = np.pad(matrix[: len(pieces)], ((0, added), (0, 0)))
    if target is tied:
        weights["target_embedding.weight"] = weights["output_weight"]
    weights["output_bias"] = np.pad(weights["output_bias"], (0, added), constant_values=-1e4)  # finite in float16
    return pieces + [f"<unused {number}>" for number in range(added)]  # no piece has a space


def _fill(spec: TransformerSpec, config: ModelConfig, weights: Arrays) -> None:
    """Put the weights into their places in CTranslate2's specification."""

    def linear(place, *names: str) -> None:  # several matrices over one input become one
        place.weight = np.concatenate([weights[f"{name}.weight"] for name in names])
        place.bias = np.concatenate([weights[f"{name}.bias"] for name in names])

    def norm(place, name: str) -> None:
        place.gamma, place.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]

    spec.encoder.embeddings[0].weight = weights["source_embedding.weight"]
    spec.decoder.embeddings.weight = weights["target_embedding.weight"]
    spec.decoder.projection.weight = weights["output_weight"]
    spec.decoder.projection.bias = weights["output_bias"]
    positions = weights["positions"] if config.positions == "learned" else fixed_positions(config)
    for side, part in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        part.position_encodings.encodings = positions
        if config.norm == "pre":
            norm(part.layer_norm, f"{side}_norm")
        for number, layer in enumerate(part.layer):
            name = f"{side}_layers.{number}"
            linear(layer.self_attention.linear[0], f"{name}.self_attention.query", f"{name}.self_attention.key_value")
            linear(layer.self_attention.linear[1], f"{name}.self_attention.output")
            norm(layer.self_attention.layer_norm, f"{name}.around_self.norm")
            if side == "decoder":
                for place, kind in zip(layer.attention.linear, ("query", "key_value", "output"), strict=True):
                    linear(place, f"{name}.cross_attention.{kind}")
                norm(layer.attention.layer_norm, f"{name}.around_cross.norm")
            linear(layer.ffn.linear_0, f"{name}.feed_forward.inner")
            linear(layer.ffn.linear_1, f"{name}.feed_forward.outer")
            norm(layer.ffn.layer_norm, f"{name}.around_feed_forward.norm")
