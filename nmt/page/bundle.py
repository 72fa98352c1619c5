"""Checkpoints as one HTML file that translates in the browser: weights, engine and page inside, no request ever."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Mapping, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmt.alignment.head import Aligner
from nmt.checkpoint import ALIGNER, KNOWN_WORDS, SUBWORDS, Checkpoint, find_checkpoint
from nmt.confidence import Calibration
from nmt.errors import UserError
from nmt.inspection.explorer import EXPLORER, STYLES, bundle, colour_tables, document, filled
from nmt.text.name_lists import LISTS
from nmt.text.subwords import Subwords
from nmt.text.symbols import READINGS

PAGE = Path(__file__).parent
Precision = Literal["int8", "float16", "float32"]
MODEL_TYPES = {1: "unigram", 2: "bpe"}
"""`TrainerSpec.ModelType` by number."""
LEVELS = 63
"""Positive values of a weight in int8: seven bits, which gzip makes a seventh smaller than eight."""


def translator_page(checkpoints: Sequence[str | Path], precision: Precision = "int8") -> str:
    """The page as text. A content security policy allows its own script and style by their hashes, WebAssembly, and no
    request.

    Args:
        checkpoints: directories, or names of shipped checkpoints; the first is chosen when the page opens.
        precision: of the weight matrices: `int8` with one scale a row, `float16` or `float32`.

    Raises:
        UserError: for a checkpoint that is damaged, or whose network the engine does not have.
    """
    models = [model_data(name, precision) for name in checkpoints]
    subwords: list[dict] = []  # of all models, each once
    aligners: list[dict] = []  # likewise
    charsmaps: list[str] = []
    for model in models:
        model["subwords"]["charsmap"] = _number_among(charsmaps, model["subwords"]["charsmap"])
        model["subwords"] = _number_among(subwords, model["subwords"])
        if model["aligner"]:
            model["aligner"]["weights"] = _number_among(aligners, model["aligner"]["weights"])
    shared = {"subwords": subwords, "charsmaps": charsmaps, "aligners": aligners, "colours": colour_tables()}
    data = {"models": models, **shared, "worker": bundle(PAGE / "worker.mjs")}
    pairs = ", ".join(f"{model['source']}–{model['target']}" for model in models)
    panel = filled(EXPLORER / "panel.html", heads=filled(PAGE / "heads.html"), tools=filled(PAGE / "tools.html"))
    return document(
        title=f"Translator {pairs}",
        body=filled(PAGE / "page.html", panel=panel),
        data=data,
        style="".join(map(filled, (*STYLES, PAGE / "page.css"))),
        script=bundle(PAGE / "translator_page.mjs"),
        engine=True,
    )


def _number_among(all_of_a_kind: list, one: dict | str) -> int:
    if one not in all_of_a_kind:
        all_of_a_kind.append(one)
    return all_of_a_kind.index(one)


def model_data(checkpoint: str | Path, precision: Precision = "int8") -> dict:
    """One checkpoint for `Translator` in translator.mjs.

    Raises UserError for a network that the engine does not know, and for weights that do not fit the configuration.
    """
    from nmt.engines.torch_engine import TorchEngine
    from nmt.models import own_weights

    opened = Checkpoint(find_checkpoint(checkpoint))
    config = opened.model_config
    if config.attention in ("local", "linear"):
        raise UserError(
            f"{opened.directory}: the page has no engine for {config.type} with {config.attention} attention; give a "
            "transformer with full attention, or a recurrent network"
        )
    subwords = Subwords.load(opened.path(SUBWORDS), opened.path(KNOWN_WORDS) if KNOWN_WORDS in opened.files else None)
    weights = own_weights(TorchEngine.load(opened, subwords).model)
    return {
        "name": opened.directory.resolve().name,
        "source": opened.metadata.source,
        "target": opened.metadata.target,
        "alignmentLayer": opened.metadata.alignment_layer,
        "alignmentHead": opened.shown_heads[0] if len(opened.shown_heads) == 1 else None,
        "guided": [[opened.metadata.alignment_layer, head] for head in opened.metadata.alignment_heads or []],
        "confidence": opened.metadata.confidence if Calibration.of(opened.metadata.confidence) else None,
        "aligner": _aligner_data(opened, subwords, precision),
        "knownWords": front_coded(subwords.known_words.words) if subwords.known_words else None,
        "numberWords": opened.metadata.number_words or {},
        "titles": opened.metadata.titles or {},
        "readings": READINGS.get(opened.metadata.source, {}),
        "nameLists": LISTS,
        "decoding": opened.metadata.decoding,
        "config": config.model_dump(),
        "subwords": subwords_data(subwords.proto),
        "weights": packed_arrays({name: weight.numpy() for name, weight in weights.items()}, precision),
    }


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
        "scores": _base85(np.array([piece.score for piece in proto.pieces], "<f4").tobytes()),
        "types": _base85(bytes(types)),
        "charsmap": _base85(proto.normalizer_spec.precompiled_charsmap),
    }


def _aligner_data(opened: Checkpoint, subwords: Subwords, precision: Precision) -> dict | None:
    """Its alignment head, where it has one and its network has attention."""
    if ALIGNER not in opened.files or opened.metadata.alignment_layer is None:
        return None
    head = Aligner.read(opened.path(ALIGNER), subwords)
    weights = packed_arrays(head.parameters, precision)
    return {"threshold": head.threshold, "swapped": head.swapped, "weights": weights}


def _base85(content: bytes) -> str:
    # A sixteenth shorter than base64. The characters that HTML would escape are replaced by others.
    return base64.b85encode(content).decode("ascii").translate(str.maketrans("<>&", ",.:"))


def front_coded(words: Iterable[str]) -> str:
    """The words sorted, between bars, each as a digit, how many of its first letters are those of the word before, and
    the rest."""
    coded, before = [], ""
    for word in sorted(words):
        shared = len(commonprefix([before, word])[:9])
        coded.append(f"{shared}{word[shared:]}")
        before = word
    return "|".join(coded)


def packed_arrays(arrays: Mapping[str, np.ndarray], precision: Precision) -> dict:
    """Named arrays as one text, base85 of gzip, little-endian, each beginning at a multiple of four bytes.

    Only matrices are of the given precision; vectors stay float32, which is little and keeps normalization exact.
    """
    tensors, parts, start = [], [], 0
    for name, array in arrays.items():
        kind = precision if array.ndim == 2 else "float32"
        content = _rows_of_int8(array) if kind == "int8" else array.astype(np.dtype(kind).newbyteorder("<")).tobytes()
        content += bytes(-len(content) % 4)
        tensors.append({"name": name, "shape": list(array.shape), "type": kind, "start": start})
        parts.append(content)
        start += len(content)
    return {"tensors": tensors, "bytes": _base85(gzip.compress(b"".join(parts), compresslevel=6, mtime=0))}


def _rows_of_int8(matrix: np.ndarray) -> bytes:
    """Each row's scale, then each row's numbers as whole multiples of it from -`LEVELS` to `LEVELS`."""
    scales = np.abs(matrix).max(axis=1, keepdims=True) / LEVELS  # [rows, 1]
    numbers = np.round(matrix / np.where(scales > 0, scales, 1)).astype(np.int8)
    return scales.astype("<f4").tobytes() + numbers.tobytes()
