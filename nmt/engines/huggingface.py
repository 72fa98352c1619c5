"""A checkpoint as a directory that Hugging Face's `transformers` loads, tokenizer included.

A pre-norm network is exactly a Pegasus (Zhang et al. 2020), a post-norm one exactly a Marian (Junczys-Dowmunt et al.
2018): tied and scaled embeddings, an output bias, sinusoidal positions. Their sinusoids put all sines before all
cosines, so the dimensions of the residual stream are put in that order; no result depends on it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import regex
from safetensors.numpy import save

from nmt.checkpoint import SUBWORDS, Checkpoint
from nmt.config.model import ModelConfig
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.files import atomic_path, expanded, is_empty
from nmt.models import own_weights
from nmt.positions import fixed_positions
from nmt.search.options import SearchOptions
from nmt.text.casing import truecased_beginning
from nmt.text.subwords import END, PADDING, SPACE, START, UNKNOWN, Subwords
from nmt.text.typography import INVISIBLE, PLAIN

# Regular expressions as Oniguruma and JavaScript have them: what is before a place has a fixed length.
_BEGINNING = "(?:^|" + "|".join(rf"(?<=^[^\p{{L}}\p{{N}}]{{{length}}})" for length in (1, 2, 3)) + ")"
_WORD_ENDS = r"(?:'\p{Ll}+)*(?![\p{L}\p{M}\p{N}]|'\p{Ll})"
Arrays = dict[str, np.ndarray]
ARCHITECTURES = {"pre": ("pegasus", "PegasusForConditionalGeneration"), "post": ("marian", "MarianMTModel")}
"""Model type and class in `transformers` for each `model.norm`."""


def export_to_huggingface(checkpoint: Checkpoint, directory: str | Path) -> Path:
    """Write `config.json`, `generation_config.json`, `model.safetensors` and the tokenizer; returns the directory.

    Raises UserError for a network or vocabulary that `transformers` cannot represent exactly.
    """
    config = checkpoint.model_config
    subwords = Subwords.load(checkpoint.path(SUBWORDS))
    unigram = subwords.proto.trainer_spec.model_type == 1
    if obstacle := not_for_huggingface(config) or (None if unigram else "subwords.model_type bpe"):
        raise UserError(f"transformers has no architecture for {obstacle}; {checkpoint.directory} stays with nmt")
    model = TorchEngine.load(checkpoint, subwords).model
    arrays = converted(config, {name: tensor.numpy() for name, tensor in own_weights(model).items()})
    decoding = checkpoint.metadata.decoding
    files: dict[str, Any] = {
        "config.json": _config(config, len(subwords)),
        "generation_config.json": _special_ids()
        | {
            "num_beams": decoding.get("beam", SearchOptions().beam),
            "max_length": config.max_length,
            "bad_words_ids": [[PADDING], [UNKNOWN], [START]],
        },
        "tokenizer.json": tokenizer(subwords),
        "tokenizer_config.json": {
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.max_length,
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],
        },
    }
    place = expanded(directory)
    if place.exists() and not is_empty(place) and not (place / "tokenizer_config.json").exists():
        raise UserError(f"{place} exists and is no export; choose another directory")
    with atomic_path(place) as temporary:
        temporary.mkdir()
        for name, content in files.items():
            text = json.dumps(content, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
            (temporary / name).write_text(text + "\n", encoding="utf-8")
        (temporary / "model.safetensors").write_bytes(save(arrays, {"format": "pt"}))
    return place


def not_for_huggingface(config: ModelConfig) -> str | None:
    """The option of the network that neither Pegasus nor Marian has, as key and value, or None."""
    wanted: dict[str, tuple[Any, ...]] = {
        "type": ("transformer",),
        "attention": ("full",),
        "positions": ("sinusoidal",),
        "tied_embeddings": (True,),
        "key_width": (None, config.width // config.heads),
    }
    for key, values in wanted.items():
        if getattr(config, key) not in values:
            return f"model.{key} {getattr(config, key)}"
    return None


def converted(config: ModelConfig, weights: Arrays) -> Arrays:
    """The weights under the names of `transformers`, float32, with the residual stream in its order."""
    order = np.concatenate([np.arange(0, config.width, 2), np.arange(1, config.width, 2)])
    positions = fixed_positions(config)[:, order]
    missing = len(weights["output_weight"]) - len(weights["output_bias"])  # pieces that no translation has
    result: Arrays = {
        "model.shared.weight": weights["output_weight"][:, order],
        "final_logits_bias": np.pad(weights["output_bias"], (0, missing), constant_values=-1e4)[None],
    }
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        result[f"model.{side}.embed_tokens.weight"] = result["model.shared.weight"]
        result[f"model.{side}.embed_positions.weight"] = positions
        if config.norm == "pre":
            _norm(result, f"model.{side}.layer_norm", weights, f"{side}_norm", order)
        for number in range(layers):
            _layer(result, f"model.{side}.layers.{number}", weights, f"{side}_layers.{number}", order)
    return {name: np.ascontiguousarray(array, np.float32) for name, array in result.items()}


def _layer(result: Arrays, name: str, weights: Arrays, own: str, order: np.ndarray) -> None:
    attentions = [("self_attn", "self_attention", "around_self")]
    if f"{own}.cross_attention.query.weight" in weights:
        attentions.append(("encoder_attn", "cross_attention", "around_cross"))
    for theirs, ours, around in attentions:
        query = f"{own}.{ours}.query"
        result[f"{name}.{theirs}.q_proj.weight"] = weights[f"{query}.weight"][:, order]
        result[f"{name}.{theirs}.q_proj.bias"] = weights[f"{query}.bias"]
        keys, values = np.split(weights[f"{own}.{ours}.key_value.weight"][:, order], 2)
        key_bias, value_bias = np.split(weights[f"{own}.{ours}.key_value.bias"], 2)
        result[f"{name}.{theirs}.k_proj.weight"], result[f"{name}.{theirs}.k_proj.bias"] = keys, key_bias
        result[f"{name}.{theirs}.v_proj.weight"], result[f"{name}.{theirs}.v_proj.bias"] = values, value_bias
        _into_stream(result, f"{name}.{theirs}.out_proj", weights, f"{own}.{ours}.output", order)
        _norm(result, f"{name}.{theirs}_layer_norm", weights, f"{own}.{around}.norm", order)
    result[f"{name}.fc1.weight"] = weights[f"{own}.feed_forward.inner.weight"][:, order]
    result[f"{name}.fc1.bias"] = weights[f"{own}.feed_forward.inner.bias"]
    _into_stream(result, f"{name}.fc2", weights, f"{own}.feed_forward.outer", order)
    _norm(result, f"{name}.final_layer_norm", weights, f"{own}.around_feed_forward.norm", order)


def _into_stream(result: Arrays, name: str, weights: Arrays, own: str, order: np.ndarray) -> None:
    for part in ("weight", "bias"):
        result[f"{name}.{part}"] = weights[f"{own}.{part}"][order]


_norm = _into_stream
"""A normalization's scale and shift are per dimension of the stream too."""


def _config(config: ModelConfig, vocabulary: int) -> dict[str, Any]:
    kind, architecture = ARCHITECTURES[config.norm]
    both = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("attention_heads", config.heads), ("ffn_dim", config.feed_forward), ("layerdrop", 0.0))
    }
    return {
        "architectures": [architecture],
        "model_type": kind,
        "vocab_size": vocabulary,
        "decoder_vocab_size": vocabulary,
        "d_model": config.width,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "num_hidden_layers": config.encoder_layers,
        **both,
        "activation_function": "relu",
        "dropout": config.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "max_position_embeddings": config.max_length,
        "scale_embedding": True,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "forced_eos_token_id": None,
        **_special_ids(),
    }


def _special_ids() -> dict[str, int]:
    return {"pad_token_id": PADDING, "bos_token_id": START, "eos_token_id": END, "decoder_start_token_id": START}


def tokenizer(subwords: Subwords) -> dict[str, Any]:
    """The subword model as a `tokenizer.json` of Hugging Face's `tokenizers`.

    Quotes and dashes are unified and first words truecased as in `nmt` (a name is one by its piece alone); sentences in
    capitals, copied text and placeholders are not handled.
    """
    proto = subwords.proto
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode("ascii")
    variants: dict[str, str] = {}
    for code, plain in PLAIN.items():
        variants[plain] = variants.get(plain, "") + chr(code)
    replaced = [(f"[{letters}]", plain) for plain, letters in variants.items()] + [(INVISIBLE.pattern, "")]
    reading, writing = casing_rules(subwords) if subwords.truecased else ([], [])
    normalizers = [
        {"type": "NFC"},
        *map(_replacement, replaced),
        {"type": "Strip", "strip_left": True, "strip_right": True},
        *map(_replacement, reading),
        *([{"type": "Precompiled", "precompiled_charsmap": charsmap}] if charsmap else []),
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]
    space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": proto.pieces[number].piece, **flags} for number in range(END + 1)],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": space,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [END], "tokens": ["</s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "ByteFallback"}, space, {"type": "Fuse"}, *map(_replacement, writing)],
        },
        "model": {
            "type": "Unigram",
            "unk_id": UNKNOWN,
            "vocab": [[piece.piece, piece.score] for piece in proto.pieces],
            "byte_fallback": True,
        },
    }


def casing_rules(subwords: Subwords) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Patterns and what they become, before pieces are made of a text and after a text is made of them: first words in
    their likelier casing, opening marks apart, and back. A translation always begins with a capital."""
    names: dict[str, list[str]] = {}
    for piece in subwords.pieces(range(len(subwords))):
        name = piece.removeprefix(SPACE)
        if piece != name and name.istitle() and truecased_beginning(name, (), subwords.score) == name:
            names.setdefault(name[0], []).append(regex.escape(name[1:]))
    letters = {letter for piece in subwords.pieces(range(len(subwords))) for letter in piece if _is_paired(letter)}
    reading = []
    for lower in sorted(letters):
        upper = lower.upper()
        name = rf"(?:{'|'.join(names[upper])}){_WORD_ENDS}" if upper in names else "(?!)"
        reading += [(rf"{_BEGINNING}{upper}(?=[\p{{Ll}}\p{{M}}]*{_WORD_ENDS})(?!{name})", lower)]
        reading += [(rf"{_BEGINNING}{lower}(?={name})", upper)]
    writing = [(rf"{_BEGINNING}{letter}", letter.upper()) for letter in sorted(letters)]
    apart, joined = [(rf"{mark}(?=\S)", f"{mark} ") for mark in "¿¡"], [(f"{mark} ", mark) for mark in "¿¡"]
    return reading + apart, joined + writing


def _is_paired(letter: str) -> bool:
    return letter.islower() and letter.upper() != letter == letter.upper().lower()


def _replacement(rule: tuple[str, str]) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": rule[0]}, "content": rule[1]}
