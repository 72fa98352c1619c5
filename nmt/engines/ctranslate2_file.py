"""Whether a CTranslate2 model file is what `nmt.engines.export` writes, checked before CTranslate2 reads it.

CTranslate2 trusts its files: sizes and shapes that do not fit would be allocated, or read beyond the end of an array.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from nmt.errors import UserError

BYTES = {0: 4, 1: 1, 2: 2, 3: 4, 4: 2, 5: 2}
"""Bytes of a number of each of CTranslate2's types: float32, int8, int16, int32, float16, bfloat16."""
_POSITIONS = "position_encodings/encodings"
_SCALARS = {
    *("activation", "alibi", "alibi_use_positive_positions", "alignment_heads", "alignment_layer", "embeddings_merge"),
    *("multi_query_attention", "num_heads", "pre_norm", "scale_alibi", "scale_embeddings", "start_from_zero_embedding"),
}


class Array(NamedTuple):
    """An array's place in the file."""

    shape: tuple[int, ...]
    kind: int
    content: np.ndarray
    """Its bytes."""
    alias: bool = False


def check_model_file(path: Path, vocabulary: int, max_length: int) -> None:
    """Raises UserError unless all arrays are there, of shapes that fit together, and nothing else is."""
    try:
        _check(_read(path), vocabulary, max_length)
    except (ValueError, KeyError, IndexError, struct.error, OSError) as error:
        raise UserError(f"{path} is not a whole CTranslate2 model ({error}); make it anew with nmt-export") from error


def _read(path: Path) -> dict[str, Array]:
    size = path.stat().st_size
    content = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
    arrays: dict[str, Array] = {}
    with open(path, "rb") as file:
        version, name = _number(file, "<I"), _text(file)
        if (version, name) != (6, "TransformerSpec"):
            raise ValueError(f"version {version} of {name[:40]!r}")
        _number(file, "<I")  # the specification's revision
        for _ in range(_number(file, "<I")):
            name = _text(file)
            shape = tuple(_number(file, "<I") for _ in range(_number(file, "<B")))
            kind, length = _number(file, "<B"), _number(file, "<I")
            start = file.tell()
            if length != math.prod(shape) * BYTES[kind] or start + length > size or name in arrays:
                raise ValueError(f"{name[:100]!r} claims {shape} numbers in {length} bytes")
            arrays[name] = Array(shape, kind, content[start : start + length])
            file.seek(length, 1)
        for _ in range(_number(file, "<I")):
            alias, name = _text(file), _text(file)
            if alias in arrays:
                raise ValueError(f"{alias[:100]!r} is there twice")
            arrays[alias] = arrays[name]._replace(alias=True)
        if file.tell() != size:
            raise ValueError("more bytes than arrays")
    return arrays


def _number(file: BinaryIO, form: str) -> int:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "<H")).rstrip(b"\0").decode("ascii")


def _check(arrays: dict[str, Array], vocabulary: int, max_length: int) -> None:
    encoder, decoder = (_layers(arrays, side) for side in ("encoder", "decoder"))
    width = arrays["decoder/embeddings/weight"].shape[1]
    expected = _expected(arrays, encoder, decoder, width, vocabulary, max_length)
    for name, array in arrays.items():
        place, _, last = name.rpartition("/")
        if last == "weight_scale":  # one scale for each row, or for the whole matrix
            fits = array.shape in ((), (1,), expected.get(f"{place}/weight", (0,))[:1]) and f"{place}/weight" in arrays
        elif last in _SCALARS and place in ("encoder", "decoder"):
            fits = array.shape in ((), (1,))
        else:
            fits = array.shape == expected.get(name)
        if not fits:
            raise ValueError(f"{name[:100]!r} of shape {array.shape}")
        if array.kind == 0 and not np.isfinite(array.content.view("<f4")).all():
            raise ValueError(f"{name[:100]!r} holds numbers that are not finite")
    if missing := expected.keys() - arrays.keys():
        raise ValueError(f"no {min(missing)!r}")
    for name, array in arrays.items():
        if array.kind in (1, 2) and len(array.shape) > 1 and not array.alias and f"{name}_scale" not in arrays:
            raise ValueError(f"no {f'{name}_scale'!r}")
    heads = {_value(arrays[f"{side}/num_heads"]) for side in ("encoder", "decoder")}
    if len(heads) != 1 or min(heads) < 1 or width % min(heads):
        raise ValueError(f"{heads} heads of width {width}")
    layer, first = (_value(arrays[f"decoder/{name}"]) for name in ("alignment_layer", "alignment_heads"))
    if not 0 <= layer < decoder or not 0 <= first <= min(heads):
        raise ValueError(f"alignment layer {layer}, heads {first}")
    for name in ("activation", "embeddings_merge", "multi_query_attention", "alibi", "start_from_zero_embedding"):
        for side in ("encoder", "decoder"):
            if f"{side}/{name}" in arrays and _value(arrays[f"{side}/{name}"]) != 0:
                raise ValueError(f"{side}/{name} is not 0")


def _layers(arrays: dict[str, Array], side: str) -> int:
    count = 0
    while f"{side}/layer_{count}/ffn/linear_0/weight" in arrays:
        count += 1
    return count


def _value(array: Array) -> int:
    return int(array.content.view({1: "<i1", 2: "<i2", 3: "<i4"}[array.kind])[0])


def _expected(
    arrays: dict[str, Array], encoder: int, decoder: int, width: int, vocabulary: int, max_length: int
) -> dict[str, tuple[int, ...]]:
    """The shape of every array but scalars and scales, given the sizes that are free to be chosen."""
    shapes: dict[str, tuple[int, ...]] = {}

    def linear(place: str, rows: int, columns: int) -> None:
        shapes[f"{place}/weight"], shapes[f"{place}/bias"] = (rows, columns), (rows,)

    def norm(place: str) -> None:
        shapes[f"{place}/gamma"] = shapes[f"{place}/beta"] = (width,)

    for side, layers in (("encoder", encoder), ("decoder", decoder)):
        shapes[f"{side}/{_POSITIONS}"] = (max_length, width)
        if f"{side}/layer_norm/gamma" in arrays:  # pre-norm
            norm(f"{side}/layer_norm")
        for number in range(layers):
            layer = f"{side}/layer_{number}"
            inner = arrays[f"{layer}/ffn/linear_0/weight"].shape[0]
            linear(f"{layer}/self_attention/linear_0", 3 * width, width)
            linear(f"{layer}/self_attention/linear_1", width, width)
            linear(f"{layer}/ffn/linear_0", inner, width)
            linear(f"{layer}/ffn/linear_1", width, inner)
            parts = ["self_attention", "ffn"]
            if side == "decoder":
                parts.append("attention")
                for position, rows in enumerate((width, 2 * width, width)):
                    linear(f"{layer}/attention/linear_{position}", rows, width)
            for part in parts:
                norm(f"{layer}/{part}/layer_norm")
    shapes["encoder/embeddings_0/weight"] = shapes["decoder/embeddings/weight"] = (vocabulary, width)
    linear("decoder/projection", vocabulary, width)
    return shapes
