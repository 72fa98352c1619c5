"""Limits on untrusted checkpoints, checked before anything of the claimed size is allocated.

Checksums detect damage, not malice: whoever writes the files writes the checksums too.
"""

from __future__ import annotations

import math
import numbers
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt.errors import UserError

LARGEST_METADATA = 1_000_000
"""Bytes of `metadata.json`."""
LARGEST_SUBWORDS = 16_000_000
"""Bytes of a SentencePiece model: 65,536 pieces take about 3 MB."""
LARGEST_HEADER = 4_000_000
"""Bytes of a safetensors header."""
MOST_THREADS = 1024
"""CPU threads, at most: absurd numbers crash the process."""
MOST_MINUTES = 1_000_000
"""Of training, not reached: some two years, whose steps still are whole numbers of 32 bits."""
LARGEST_VOCABULARY = 65_536
LONGEST_SENTENCE = 16_384
"""Pieces of a sentence, at most, for any model."""
WIDEST_BEAM = 1_000
QUANTIZATIONS = ("float32", "int8", "int16", "float16", "bfloat16", "int8_float32")
"""Types of the weights that CTranslate2 computes with."""

_FILE = re.compile(
    r"config\.yaml|subwords\.model|known-words\.txt|(weights|aligner)\.safetensors|ctranslate2/\w[\w.-]{0,99}", re.ASCII
)
DECODING: dict[str, tuple[Any, float, float]] = {
    "beam": (numbers.Integral, 1, WIDEST_BEAM),
    "length_penalty": (numbers.Real, 0, 100),
    "min_length": (numbers.Integral, 0, LONGEST_SENTENCE),
    "max_length_factor": (numbers.Real, 0, 1000),
    "max_length_extra": (numbers.Integral, 0, LONGEST_SENTENCE),
}
"""Type and bounds of every search option, from a configuration, a checkpoint or a caller."""


def read_small(path: Path, most: int) -> bytes:
    """Read a plain file of at most `most` bytes.

    Raises UserError for a larger file, and for a pipe or device, which could block forever; OSError if it cannot be
    read.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a plain file; use another copy of the checkpoint")
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(f"{path} is implausibly large (over {most:,} bytes); use another copy of the checkpoint")
    return content


def check_inside(path: Path, directory: Path) -> None:
    """Raise UserError if the path leads out of the directory, for example by a symbolic link."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory)):
        raise UserError(f"{path} leads out of the checkpoint; refused")


def check_metadata(metadata: Any) -> str | None:
    """The first key of a checkpoint's metadata that is missing or invalid; None if there is none."""
    if not isinstance(metadata, dict):
        return "an object is wanted"
    for key in ("source", "target"):
        if not isinstance(metadata.get(key), str) or not metadata[key].isprintable():  # no surrogate is
            return key
    if not within(metadata.get("max_length"), int, 2, LONGEST_SENTENCE):
        return "max_length"
    layer = metadata.get("alignment_layer", False)
    if layer is not None and not within(layer, int, 0, 1000):  # None: a model without attention
        return "alignment_layer"
    heads = metadata.get("alignment_heads")
    numbers = heads if isinstance(heads, list) and heads else [None]
    if heads is not None and not all(within(head, int, 0, 1000) for head in numbers):
        return "alignment_heads"
    if metadata.get("quantization", "float32") not in QUANTIZATIONS:
        return "quantization"
    decoding = metadata.get("decoding")
    if not isinstance(decoding, dict):
        return "decoding"
    for key, value in decoding.items():
        if key not in DECODING or not within(value, *DECODING[key]):
            return f"decoding.{key}"
    confidence = metadata.get("confidence") or {}
    if not isinstance(confidence, dict) or not all(within(one, float, -1e9, 1e9) for one in confidence.values()):
        return "confidence"
    for key in ("number_words", "titles"):
        words = metadata.get(key) or {}
        if not isinstance(words, dict) or not all(isinstance(one, str) and one.isprintable() for one in words.values()):
            return key
    files = metadata.get("files")
    if not isinstance(files, dict):
        return "files"
    for name, value in files.items():
        if not _FILE.fullmatch(name) or not isinstance(value, str):
            return f"files: {name[:100]!r}"
    return None


def within(value: Any, kind: Any, least: float, most: float) -> bool:
    """Whether a value is a number of this type within bounds; booleans are not numbers here."""
    return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file, from its header.

    safetensors itself checks that the tensors fill the file exactly, so none is larger than the file. Raises UserError
    for a header that is too large or damaged, and for tensors that are neither float32 nor float16.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
        if length > min(LARGEST_HEADER, path.stat().st_size):
            raise UserError(f"{path} claims a header of {length:,} bytes; use another copy of it")
        with safe_open(str(path), framework="numpy") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            kinds = {part.get_dtype() for part in parts.values()}
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); use another copy of the checkpoint") from error
    except (SafetensorError, ValueError, struct.error) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); use another copy of it") from error
    if not kinds <= {"F16", "F32"}:
        raise UserError(f"{path} holds {', '.join(sorted(kinds))} numbers, not float32 or float16; refused")
    return shapes


def check_claim(claimed: int, shapes: Mapping[str, tuple[int, ...]], origin: Path | str) -> None:
    """Raise UserError if a configuration claims a network far larger than its weights file."""
    stored = sum(math.prod(shape) for shape in shapes.values())
    if claimed > 16 * stored + 16_000_000:
        raise UserError(f"{origin}: the configuration is of a far larger network than its {stored:,} weights; refused")
