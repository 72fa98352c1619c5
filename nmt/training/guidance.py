"""What guided attention learns: for every training pair, which source words each target word should look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nmt.files import built_once
from nmt.text.encoding import Encoding

Ranges = np.ndarray
"""[pieces, 2]: the first and one-past-last word of each piece."""


class Guide:
    """Word matrices of a corpus, memory-mapped: [target words, source words], the probability of each link divided by
    its row's sum where that is above 1. The rest of a row, up to 1, is that of `</s>`."""

    def __init__(self, place: Path, matrices: Iterable[np.ndarray] | None = None) -> None:
        """`matrices`, one for each pair, are written to the directory `place` unless it holds them; without any, it
        must."""
        if matrices is not None:
            built_once(place, lambda: (place / "done").exists() or None, lambda directory: _write(directory, matrices))
        self.place = place
        # An array's parts are found three times as fast as a memmap's.
        self.cells = np.asarray(np.memmap(place / "cells", np.uint8, "r"))
        self.ends = np.asarray(np.memmap(place / "ends", np.int64, "r"))
        self.rows = np.asarray(np.memmap(place / "rows", np.uint16, "r"))

    def __reduce__(self) -> tuple:
        """Pickle the place: who unpickles the guide maps the same files."""
        return Guide, (self.place,)

    def matrix(self, number: int) -> np.ndarray:
        """[target words, source words], float32, of pair `number`."""
        first = self.ends[number - 1] if number else 0
        cells = self.cells[first : self.ends[number]].astype(np.float32) / 255
        return cells.reshape(self.rows[number], -1)


def _write(directory: Path, matrices: Iterable[np.ndarray]) -> None:
    ends, rows, end = [], [], 0
    with open(directory / "cells", "wb") as file:
        for matrix in matrices:
            shared = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
            file.write((shared * 255).astype(np.uint8).tobytes())
            end += matrix.size
            ends.append(end)
            rows.append(len(matrix))
        if not end:
            file.write(b"\0")  # an empty file cannot be mapped
    np.array(ends, np.int64).tofile(directory / "ends")
    np.array(rows, np.uint16).tofile(directory / "rows")
    (directory / "done").touch()


def word_ranges(encoding: Encoding) -> Ranges:
    """[pieces, 2]: the first and one-past-last word of each piece; zeros in a text without words."""
    ranges = [(words[0], words[-1] + 1) if words else (0, 0) for words in encoding.words_of_piece]
    return np.array(ranges, np.uint16).reshape(-1, 2)


def over_pieces(matrix: np.ndarray, source: Ranges, target: Ranges) -> np.ndarray:
    """Spread [target words, source words] over pieces: [target pieces + 1, source pieces + 1], rows summing to 1.

    The inverse of `nmt.alignment.pieces.word_attention`: a source word's share is split equally among its pieces, a
    piece of several target words has their mean. What is linked to nothing looks at `</s>`, as the row of `</s>` does.
    """
    over_source = _covers(source, matrix.shape[1])  # [source pieces, source words]
    over_target = _covers(target, matrix.shape[0])  # [target pieces, target words]
    over_source /= np.maximum(over_source.sum(axis=0), 1)
    over_target /= np.maximum(over_target.sum(axis=1, keepdims=True), 1)
    result = np.zeros((len(target) + 1, len(source) + 1), np.float32)
    result[:-1, :-1] = over_target @ matrix @ over_source.T
    result[:, -1] = 1 - result.sum(axis=1)
    return result


def _covers(ranges: Ranges, words: int) -> np.ndarray:
    """[pieces, words], float32: 1 where the piece covers the word."""
    numbers = np.arange(words)
    return ((ranges[:, :1] <= numbers) & (numbers < ranges[:, 1:])).astype(np.float32)


def pad_guides(guides: Sequence[np.ndarray]) -> np.ndarray:
    """[batch, target, source], float32, zero on padding."""
    rows, columns = (max(guide.shape[axis] for guide in guides) for axis in (0, 1))
    result = np.zeros((len(guides), rows, columns), np.float32)
    for own, guide in zip(result, guides, strict=True):
        own[: guide.shape[0], : guide.shape[1]] = guide
    return result
