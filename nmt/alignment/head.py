"""The alignment head at work, in numpy: which word of a sentence pair translates which.

Its equations, and the same network in PyTorch, stand in `nmt.alignment.network`, which `nmt.training.alignment` trains.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import overload

import numpy as np
from safetensors import SafetensorError, safe_open
from threadpoolctl import ThreadpoolController

from nmt.alignment import Link
from nmt.alignment.groups import full_links
from nmt.alignment.links import threshold_links
from nmt.alignment.pharaoh import format_links
from nmt.checkpoint import ALIGNER, SUBWORDS, Checkpoint, find_checkpoint, save_arrays
from nmt.errors import UserError
from nmt.text.subwords import Subwords
from nmt.text.words import split_words
from nmt.untrusted import tensor_shapes

LONGEST = 512
"""Most words of a sentence; a pair with a longer one gets a zero matrix and no links."""
THRESHOLD = 0.45
"""Cells above it are links: just below 0.5, the teachers' mean if only one direction is certain."""
CELLS_PER_BATCH = 2**13
"""Padded cells [target, source] that are computed at once; more would leave the processor's caches."""
CLIP = 20
"""Relative positions further apart than this many words share one bias."""
LARGEST = 1000
"""Parameters up to this size cannot make any sum infinite."""
WORDS_KEPT = 100_000
"""Words whose pieces are remembered."""


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """Two sentences and the links between their words."""

    source_words: list[str]
    target_words: list[str]
    probabilities: np.ndarray
    """[target words, source words], float32: the probability of each link. The two directions are one here."""
    links: list[Link]
    """(source word, target word), sorted: the links above the head's threshold."""

    def __repr__(self) -> str:
        return f"AlignedPair({len(self.source_words)} and {len(self.target_words)} words, {len(self.links)} links)"

    @cached_property
    def full_links(self) -> list[Link]:
        """Links with those of articles and prepositions to the word that they belong to (`nmt.alignment.groups`)."""
        return full_links(self.probabilities, self.source_words, self.target_words)

    @property
    def pharaoh(self) -> str:
        """The links in Pharaoh form, source-target: `0-0 1-2`."""
        return format_links(self.links)

    @cached_property
    def matrix(self) -> np.ndarray:
        """[target words, source words + 1], float32, rows sum to 1: last the probability of no link at all, all of them
        divided by their sum."""
        return _with_null(self.probabilities)

    @cached_property
    def reverse_matrix(self) -> np.ndarray:
        """[source words, target words + 1], float32: the same from the source words' side."""
        return _with_null(self.probabilities.T)


class Aligner:
    """Aligns sentence pairs of the two languages that it was trained on."""

    def __init__(
        self,
        parameters: Mapping[str, np.ndarray],
        subwords: Subwords,
        threshold: float = THRESHOLD,
        swapped: bool = False,
    ) -> None:
        """`parameters` as `nmt.training.alignment.train_aligner` returns them, of any float type.

        `swapped` turns the head around: its pairs are then (second, first language).
        """
        self.parameters = {name: np.asarray(value, np.float32) for name, value in parameters.items()}
        self.subwords = subwords
        self.threshold = threshold
        self.swapped = swapped
        embedding = self.parameters["embedding"]
        if len(embedding) != len(subwords):
            raise UserError(
                f"the alignment head knows {len(embedding)} pieces and the subword model {len(subwords)}; "
                "they come from different checkpoints"
            )
        self._reach = (self.parameters["source_context.0.weight"].shape[1] // embedding.shape[1] - 1) // 2
        self._pieces: dict[str, list[int]] = {}

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that `AlignerConfig` names: width, hidden, context and channels."""
        hidden, _ = self.parameters["source_context.0.weight"].shape
        width, channels = self.parameters["embedding"].shape[1], len(self.parameters["cells.bias"])
        return {"width": width, "hidden": hidden, "context": self._reach, "channels": channels}

    @classmethod
    def load(cls, checkpoint: str | Path | None = None) -> Aligner:
        """The alignment head of a checkpoint: a directory, or a shipped checkpoint's name (as `Translator.load`).

        Raises UserError when the checkpoint is not whole or has no head.
        """
        opened = Checkpoint(find_checkpoint(checkpoint))
        return cls.read(opened.path(ALIGNER), Subwords.load(opened.path(SUBWORDS)))

    @classmethod
    def read(cls, path: str | Path, subwords: Subwords) -> Aligner:
        """Read what `save` wrote. Raises UserError for a file that is missing, damaged or of another vocabulary."""
        try:
            check_head(tensor_shapes(Path(path)))
            with safe_open(str(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                parameters = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if not all((np.abs(value) <= LARGEST).all() for value in parameters.values()):
                raise ValueError(f"it holds numbers that are not finite, or beyond {LARGEST:,}")
            settings = json.loads(metadata["aligner"])
            if not isinstance(settings["threshold"], float) or not isinstance(settings["swapped"], bool):
                raise ValueError("its settings are damaged")
            if settings["subwords"] != subwords.sha256:
                raise UserError(f"the alignment head {path} belongs to another subword model; use its own checkpoint's")
            return cls(parameters, subwords, settings["threshold"], settings["swapped"])
        except OSError as error:
            raise UserError(f"cannot read the alignment head {path}: {error}; is the checkpoint whole?") from error
        except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{path} is not an alignment head ({error}); is the checkpoint whole?") from error

    def save(self, path: str | Path, turned: bool = False, subwords: Subwords | None = None) -> None:
        """Write it as safetensors in half precision, with its threshold and its vocabulary's hash.

        `turned` is for the other direction's translator, `subwords` for a vocabulary that has this one's pieces first.
        """
        subwords = subwords or self.subwords
        embedding = self.parameters["embedding"]
        more = np.zeros((len(subwords) - len(embedding), embedding.shape[1]), np.float32)
        parameters = {**self.parameters, "embedding": np.concatenate([embedding, more])}
        settings = {"threshold": self.threshold, "subwords": subwords.sha256, "swapped": self.swapped != turned}
        halves = {name: np.ascontiguousarray(value, np.float16) for name, value in parameters.items()}
        save_arrays(path, halves, {"aligner": json.dumps(settings)})

    @overload
    def align(self, source: str, target: str) -> AlignedPair: ...
    @overload
    def align(self, source: Sequence[tuple[str, str]], target: None = None) -> list[AlignedPair]: ...
    def align(self, source, target=None):
        """Align two sentences, or a list of pairs, in order; words are those of `nmt.text.words.split_words`.

        A pair is (first language, second language) as in training, or the other way round where `swapped`; source
        and target of the result are the pair's. With an empty side, or one above `LONGEST` words, all is null.
        """
        if isinstance(source, str) != isinstance(target, str):
            raise UserError("align takes two sentences, or one list of (source, target) pairs")
        pairs = [(source, target)] if isinstance(source, str) else list(source)
        for number, pair in enumerate(pairs, 1):
            if not isinstance(pair, Sequence) or [isinstance(text, str) for text in pair] != [True, True]:
                raise UserError(f"pair {number} is {reprlib.repr(pair)}; it must be (source, target)")
        words = [[[word.text for word in split_words(text)] for text in pair] for pair in pairs]
        aligned = self.align_words([(first, second) for first, second in words])
        return aligned[0] if isinstance(source, str) else aligned

    def __repr__(self) -> str:
        return f"Aligner({len(self.subwords):,} pieces, threshold {self.threshold})"

    def align_words(self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[AlignedPair]:
        """As `align`, for pairs of words that are split already."""
        sides = [(target, source) if self.swapped else (source, target) for source, target in pairs]
        matrices = [np.zeros((len(target), len(source)), np.float32) for source, target in pairs]
        for batch in _batches(sides):
            with _numpys_products().limit(limits=1):
                logits = self.logits([sides[number] for number in batch])
            # The clip keeps the exponential finite.
            probabilities = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
            for row, number in enumerate(batch):
                first, second = sides[number]
                cells = probabilities[row, : len(second), : len(first)]
                matrices[number] = np.ascontiguousarray(cells.T if self.swapped else cells, np.float32)
        return [
            AlignedPair(list(source), list(target), matrix, threshold_links(matrix, self.threshold))
            for (source, target), matrix in zip(pairs, matrices, strict=True)
        ]

    def logits(self, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> np.ndarray:
        """Link logits [batch, target, source] of word pairs (first language, second language), padded."""
        parameters = self.parameters
        x, x_index, x_lengths = self._embed([source for source, _ in pairs])  # [types, width], [batch, source], [batch]
        y, y_index, y_lengths = self._embed([target for _, target in pairs])  # [types, width], [batch, target], [batch]
        x_words = (x @ parameters["source_word.weight"].T)[x_index]  # [batch, source, width]
        y_words = (y @ parameters["target_word.weight"].T)[y_index]  # [batch, target, width]
        scores = y_words @ x_words.transpose(0, 2, 1)  # [batch, target, source]
        x_context, y_context = self._context(x, x_index, "source_context"), self._context(y, y_index, "target_context")
        scores += y_context @ x_context.transpose(0, 2, 1)
        scores *= np.float32(x.shape[1] ** -0.5)
        plain, scaled = relative_positions(x_index.shape[1], y_index.shape[1], x_lengths, y_lengths)
        scores += parameters["positions.plain"][plain] + parameters["positions.scaled"][scaled] + parameters["offset"]
        x_absent = np.arange(x_index.shape[1])[None, None, :] >= x_lengths[:, None, None]
        y_absent = np.arange(y_index.shape[1])[None, :, None] >= y_lengths[:, None, None]
        kept = np.where(x_absent | y_absent, np.float32(-1e9), scores)
        return scores + self._convolve(_softmax_with_null(kept, 2), _softmax_with_null(kept, 1))

    def _embed(self, sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors of the different words [types, width], the last zero for padding; their positions in the sentences
        [batch, length]; and lengths [batch]."""
        lengths = np.array([len(sentence) for sentence in sentences])
        types: dict[str, int] = {}
        rows = [types.setdefault(word, len(types)) for sentence in sentences for word in sentence]
        pieces = self._pieces_of(list(types))
        starts = np.cumsum([0, *(len(word) for word in pieces)])[:-1]
        embedding = self.parameters["embedding"]
        vectors = np.add.reduceat(embedding[np.concatenate(pieces)], starts, axis=0)  # [types, width]
        vectors = np.concatenate([vectors, np.zeros_like(vectors[:1])])
        index = np.full((len(sentences), lengths.max()), len(types))
        index[np.arange(lengths.max()) < lengths[:, None]] = rows
        return vectors, index, lengths

    def _pieces_of(self, words: list[str]) -> list[list[int]]:
        if len(self._pieces) > WORDS_KEPT:
            self._pieces = {}
        known = self._pieces  # this one, though another thread may begin anew meanwhile
        if unknown := [word for word in words if word not in known]:
            known.update(zip(unknown, self.subwords.word_pieces(unknown), strict=True))
        return [known[word] for word in words]

    def _context(self, vectors: np.ndarray, index: np.ndarray, name: str) -> np.ndarray:
        """Words in context [batch, length, width]; each different word is multiplied by the first layer once."""
        length, width, parameters = index.shape[1], vectors.shape[1], self.parameters
        padded = np.pad(index, ((0, 0), (self._reach, self._reach)), constant_values=len(vectors) - 1)
        hidden = parameters[f"{name}.0.bias"]
        for shift in range(2 * self._reach + 1):
            layer = parameters[f"{name}.0.weight"][:, shift * width : (shift + 1) * width]
            hidden = hidden + np.take(vectors @ layer.T, padded[:, shift : shift + length], axis=0)
        return np.maximum(hidden, 0) @ parameters[f"{name}.2.weight"].T + parameters[f"{name}.2.bias"]

    def _convolve(self, over_source: np.ndarray, over_target: np.ndarray) -> np.ndarray:
        """Two maps [batch, target, source] -> [batch, target, source]."""
        kernel = self.parameters["cells.weight"]  # [channels, 2, rows, columns]
        channels, _, rows, columns = kernel.shape
        maps = np.stack([over_source, over_target], axis=1)
        padded = np.pad(maps, ((0, 0), (0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), axis=(2, 3))
        batch, _, target, source = maps.shape
        patches = patches.transpose(0, 2, 3, 1, 4, 5).reshape(batch * target * source, -1)
        hidden = np.maximum(patches @ kernel.reshape(channels, -1).T + self.parameters["cells.bias"], 0)
        result = hidden @ self.parameters["cells_out.weight"].reshape(channels) + self.parameters["cells_out.bias"]
        return result.reshape(batch, target, source)


@cache
def _numpys_products() -> ThreadpoolController:
    # Its threads wait by spinning, on cores that are wanted for translating the next sentences.
    return ThreadpoolController().select(internal_api="openblas")


def check_head(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ValueError unless arrays of these shapes fit together as an alignment head, of no absurd reach."""
    pieces, width = shapes["embedding"]
    inner, context = shapes["source_context.0.weight"]
    channels, _, rows, columns = shapes["cells.weight"]
    expected: dict[str, tuple[int, ...]] = {
        "embedding": (pieces, width),
        "cells.weight": (channels, 2, rows, columns),
        "cells.bias": (channels,),
        "cells_out.weight": (1, channels, 1, 1),
        "cells_out.bias": (1,),
        "offset": (1,),
    }
    for side in ("source", "target"):
        expected[f"{side}_word.weight"] = (width, width)
        expected[f"{side}_context.0.weight"], expected[f"{side}_context.0.bias"] = (inner, context), (inner,)
        expected[f"{side}_context.2.weight"], expected[f"{side}_context.2.bias"] = (width, inner), (width,)
    expected["positions.plain"] = expected["positions.scaled"] = (2 * CLIP + 1,)
    if wrong := sorted(name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name)):
        raise ValueError(f"{wrong[0][:100]!r} has another shape")
    reach, rest = divmod(context, width)
    if rest or reach % 2 == 0 or reach > 65 or rows % 2 == 0 or columns % 2 == 0 or max(rows, columns) > 31:
        raise ValueError(f"contexts of {context} numbers, cells of {rows} by {columns}")


def relative_positions(
    source: int, target: int, source_lengths: np.ndarray, target_lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far a cell lies from the diagonal, 0 to 2 `CLIP`: in words [1, target, source], and with the source
    stretched to the target's length [batch, target, source]."""
    i = np.arange(source, dtype=np.float32)[None, None, :]
    j = np.arange(target, dtype=np.float32)[None, :, None]
    ratio = (target_lengths / np.maximum(source_lengths, 1)).astype(np.float32)[:, None, None]
    plain = np.clip(i - j, -CLIP, CLIP).astype(np.int64) + CLIP
    scaled = np.rint((i + np.float32(0.5)) * ratio - (j + np.float32(0.5)))
    return plain, np.clip(scaled, -CLIP, CLIP).astype(np.int64) + CLIP


def _softmax_with_null(scores: np.ndarray, axis: int) -> np.ndarray:
    """Softmax along `axis` with one more score of 0, which is left out of the result."""
    highest = np.maximum(scores.max(axis=axis, keepdims=True), 0)
    powers = np.exp(scores - highest)
    return powers / (powers.sum(axis=axis, keepdims=True) + np.exp(-highest))


def _with_null(probabilities: np.ndarray) -> np.ndarray:
    """[rows, columns] -> [rows, columns + 1], float32, rows sum to 1: last that no link of the row holds."""
    null = np.prod(1 - probabilities.astype(np.float64), axis=1, keepdims=True)
    matrix = np.concatenate([probabilities, null], axis=1)
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def _batches(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> Iterator[list[int]]:
    """Numbers of the pairs that can be aligned, those of like lengths together."""
    sizes = {number: (len(source), len(target)) for number, (source, target) in enumerate(pairs)}
    batch: list[int] = []
    rows = columns = 0
    for number in sorted(sizes, key=lambda number: (max(sizes[number]), sizes[number])):
        source, target = sizes[number]
        if not source or not target or max(source, target) > LONGEST:
            continue
        rows, columns = max(rows, target), max(columns, source)
        if batch and rows * columns * (len(batch) + 1) > CELLS_PER_BATCH:
            yield batch
            batch, rows, columns = [], target, source
        batch.append(number)
    if batch:
        yield batch
