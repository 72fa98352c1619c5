"""What the page's engine needs of a SentencePiece model, read from its serialised protocol buffer."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from nmt.errors import UserError

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""The types of pieces that models of this project have (`ModelProto.SentencePiece.Type`)."""
MODEL_TYPES = {1: "unigram", 2: "bpe"}
"""`TrainerSpec.ModelType` by number."""


def subwords_data(model: bytes) -> dict:
    """Pieces with their scores and types, and the normalisation, for `Subwords` in subwords.mjs.

    Field numbers are those of sentencepiece_model.proto. Raises UserError for a model whose pieces or type the engine
    does not know.
    """
    pieces: list[str] = []
    scores: list[float] = []
    types: list[int] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(model):
        if number == 1:
            piece = dict(_fields(value))
            pieces.append(bytes(piece[1]).decode("utf-8"))
            scores.append(struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0])
            types.append(piece.get(3, NORMAL))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normalizer = dict(_fields(value))
    model_type = MODEL_TYPES.get(trainer.get(3, 1))
    if model_type is None or not set(types) <= {NORMAL, UNKNOWN, CONTROL, BYTE} or types.count(BYTE) != 256:
        raise UserError(
            "the page takes unigram and BPE models with byte fallback and no pieces of the user's; not this"
        )
    return {
        "type": model_type,
        "pieces": pieces,
        "scores": _base64(np.array(scores, "<f4").tobytes()),
        "types": _base64(bytes(types)),
        "charsmap": _base64(normalizer.get(2, b"")),
        "addDummyPrefix": bool(normalizer.get(3, 1)),
        "removeExtraWhitespaces": bool(normalizer.get(4, 1)),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message in the wire format: numbers as they are, everything else as its bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire_type = tag & 7
        if wire_type == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if wire_type == 2:
            size, place = _varint(message, place)
        else:
            size = {1: 8, 5: 4}[wire_type]
        yield tag >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
