"""What the page's engine needs of a SentencePiece model."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from nmt.errors import UserError

MODEL_TYPES = {1: "unigram", 2: "bpe"}
"""`TrainerSpec.ModelType` by number."""


def subwords_data(proto: Any) -> dict:
    """Of a `ModelProto`: pieces with their scores and types, and the normalization, for `Subwords` in subwords.mjs.

    Raises UserError for a model whose pieces, type or spaces the engine does not know.
    """
    kinds = proto.SentencePiece
    known = {kinds.NORMAL, kinds.UNKNOWN, kinds.CONTROL, kinds.USER_DEFINED, kinds.BYTE}
    types = [piece.type for piece in proto.pieces]
    model_type = MODEL_TYPES.get(proto.trainer_spec.model_type)
    normal = proto.normalizer_spec.add_dummy_prefix and proto.normalizer_spec.remove_extra_whitespaces
    if model_type is None or not set(types) <= known or types.count(kinds.BYTE) != 256 or not normal:
        raise UserError("the page takes unigram and BPE models with byte fallback and single spaces; not this")
    return {
        "type": model_type,
        "pieces": [piece.piece for piece in proto.pieces],
        "scores": _base64(np.array([piece.score for piece in proto.pieces], "<f4").tobytes()),
        "types": _base64(bytes(types)),
        "charsmap": _base64(proto.normalizer_spec.precompiled_charsmap),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
