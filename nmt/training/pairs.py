"""Sentence pairs as memory-mapped piece ids, batches of them as tensors, and the order in which training takes them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.batching import BatchSampler, pad, split_by_tokens
from nmt.corpus import pairs_of
from nmt.files import built_once, sha256_of
from nmt.text.encoding import Encoding
from nmt.text.subwords import END, PADDING, START, Subwords
from nmt.training.augment import SLOTTED, Augmenter, Example, plain
from nmt.training.guidance import Guide, over_pieces, pad_guides, word_ranges

if TYPE_CHECKING:
    import datasets

    from nmt.training.state import Progress

CHECKSUMS = "checksums.json"
SIDES = ("source", "target")
SHORT = 6
"""Most pieces of either side of a short pair, one special piece counted."""
ROWS = 10_000
"""Pairs encoded at a time."""


class Batch(NamedTuple):
    """A batch of sentence pairs as padded tensors."""

    source: Tensor
    """[batch, source] piece ids with `</s>`."""
    source_lengths: Tensor
    """[batch], `</s>` counted."""
    target_input: Tensor
    """[batch, target] piece ids beginning with `<s>`: the decoder's input (teacher forcing)."""
    labels: Tensor
    """[batch, target] piece ids ending with `</s>`: the decoder's targets."""
    guide: Tensor | None = None
    """[batch, target, source], float32: where the guided heads should look; rows of padding are zero."""

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device."""
        return Batch(*(None if tensor is None else tensor.to(device) for tensor in self))  # type: ignore[arg-type]


def make_batch(sources: list[list[int]], targets: list[list[int]], guides: Sequence[np.ndarray] = ()) -> Batch:
    """Build a batch from piece ids without special pieces."""
    return Batch(
        torch.from_numpy(pad([[*source, END] for source in sources], PADDING)),
        torch.tensor([len(source) + 1 for source in sources]),
        torch.from_numpy(pad([[START, *target] for target in targets], PADDING)),
        torch.from_numpy(pad([[*target, END] for target in targets], PADDING)),
        torch.from_numpy(pad_guides(guides)) if guides else None,
    )


@dataclass(frozen=True)
class Variation:
    """What training makes of its pairs, each time anew."""

    sampling: float = 0.0
    """Smoothing exponent of subword sampling; 0 is off."""
    augmenter: Augmenter | None = None
    short_copies: int = 1
    """How often a short pair comes up in an epoch."""
    guided: bool = False
    """Whether batches have the guide of `EncodedPairs.guide`."""


class EncodedPairs:
    """A split's pairs as piece ids; pairs that are too long for the model are dropped and counted.

    Ids are memory-mapped from one flat file per side. Memory grows by twelve bytes a pair: its number and its two
    lengths; in an epoch with augmentation also by its kinds and two lengths.
    """

    def __init__(
        self,
        pairs: datasets.Dataset,
        identity: str,
        subwords: Subwords,
        max_length: int,
        cache: Path,
        variation: Variation | None = None,
    ) -> None:
        """`identity`, a hash of the pairs, names the files under `cache` together with the vocabulary's hash."""
        self._made_of = pairs, identity, subwords, max_length, cache, variation
        self.pairs, self.max_length = pairs, max_length
        self._subwords = {"source": subwords, "target": subwords.target}
        self.variation = variation or Variation()
        key = hashlib.sha256(f"4 {identity} {subwords.sha256}".encode()).hexdigest()[:32]
        self.guide: Guide | None = None
        self._varies = self.variation.augmenter is not None or self.variation.guided
        kinds = {"ids": np.uint16, "ends": np.int64, **({"words": np.uint16} if self._varies else {})}
        place = cache / "encoded" / (f"{key}-words" if self._varies else key)
        self._sides = _stored(place, self._encode, kinds)
        self._slots = np.zeros((len(pairs), 3), np.int8)
        self._growth = np.zeros((len(pairs), 0, 2), np.int8)
        if augmenter := self.variation.augmenter:
            if words := subwords.known_words:
                own = _digest("".join(sorted(words.words)), *augmenter.languages)
                found = _stored(cache / "encoded" / f"{key}-{own}-counts", self._count_slots, {"slots": np.int8})
                self._slots = found["both"][0].reshape(-1, 3)
            if augmenter.rewriting:
                own = _digest(*augmenter.rewriting, *augmenter.languages)
                found = _stored(cache / "encoded" / f"{key}-{own}-growth", self._measure_growth, {"pieces": np.int8})
                self._growth = found["both"][0].reshape(len(pairs), -1, 2)
        source_lengths, target_lengths = (_lengths(self._sides[side][1]) for side in SIDES)
        longest = np.maximum(source_lengths, target_lengths)
        copies = np.where(longest <= SHORT, self.variation.short_copies, longest <= max_length)
        self.numbers = np.arange(len(pairs), dtype=np.int32).repeat(copies)
        """Indices into `pairs` of the pairs that fit."""
        self.source_lengths, self.target_lengths = source_lengths[self.numbers], target_lengths[self.numbers]
        self.left_out = int((longest > max_length).sum())

    def __len__(self) -> int:
        return len(self.numbers)

    def __reduce__(self) -> tuple:
        """Pickle what the pairs are made of: who unpickles them maps the same files."""
        return EncodedPairs, self._made_of, {"guide": self.guide}

    def draw(self, seed: int, epoch: int) -> np.ndarray | None:
        """The kinds of augmentation of every row in an epoch, [rows, kinds], bool; None without augmentation."""
        augmenter = self.variation.augmenter
        if augmenter is None:
            return None
        random = np.random.default_rng([seed, epoch, 1])
        parts = (self.numbers[first : first + ROWS] for first in range(0, len(self), ROWS))
        return np.concatenate([augmenter.draw(self._slots[numbers], random) for numbers in parts])

    def lengths(self, kinds: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The pieces of every row's source and target, [rows] each, when augmented as `draw` says.

        What each kind adds on its own is summed, which is nearly what they add together. A placeholder adds one piece.
        Phrases count as their whole pairs.
        """
        augmenter = self.variation.augmenter
        if augmenter is None or kinds is None:
            return self.source_lengths, self.target_lengths
        rewriting, slotted = augmenter.columns(augmenter.rewriting), augmenter.columns(SLOTTED)
        lengths = np.stack([self.source_lengths, self.target_lengths], axis=1)  # [rows, sides]
        for first in range(0, len(self), ROWS):
            part = slice(first, first + ROWS)
            numbers = self.numbers[part]
            lengths[part] += np.einsum("rk,rks->rs", kinds[part, rewriting], self._growth[numbers], dtype=np.int32)
            lengths[part] += (kinds[part, slotted] * self._slots[numbers, 1:]).sum(axis=1, keepdims=True)
        lengths = lengths.clip(1, self.max_length)
        return lengths[:, 0], lengths[:, 1]

    def batch(self, rows: np.ndarray, seed: int | None = None, kinds: np.ndarray | None = None) -> Batch:
        """The batch of `rows` [batch]; given a seed, varied as `Variation` says, with these `kinds` of augmentation
        [batch, kinds]."""
        numbers = self.numbers[rows]
        variation = self.variation
        if seed is None:
            return make_batch(self._ids("source", numbers), self._ids("target", numbers))
        if variation.sampling:
            texts = self.pairs[numbers.tolist()]
            drawn = (
                self._subwords[side].sample_ids(texts[side], variation.sampling, 2 * seed + number)
                for number, side in enumerate(SIDES)
            )
            sources, targets = ([ids[: self.max_length - 1] for ids in side] for side in drawn)
        else:
            sources, targets = (self._ids(side, numbers) for side in SIDES)
        examples = {} if kinds is None else self._examples(numbers, seed, kinds)
        for row, encodings in examples.items():
            sources[row], targets[row] = (encoding.ids[: self.max_length - 1] for encoding in encodings[1:])
        if self.guide is None:
            return make_batch(sources, targets)
        guides = []
        for row, number in enumerate(numbers):
            if row in examples:
                example, source, target = examples[row]
                matrix, ranges = example.links, (word_ranges(source), word_ranges(target))
            else:
                matrix = self.guide.matrix(number)
                ranges = self._ranges("source", number), self._ranges("target", number)
            assert matrix is not None
            guides.append(over_pieces(matrix, *(own[: self.max_length - 1] for own in ranges)))
        return make_batch(sources, targets, guides)

    def _examples(
        self, numbers: np.ndarray, seed: int, kinds: np.ndarray
    ) -> dict[int, tuple[Example, Encoding, Encoding]]:
        """The pairs of a batch that are augmented, by their place in it."""
        augmenter = self.variation.augmenter
        assert augmenter is not None
        random = np.random.default_rng(seed)
        examples = {}
        rows = np.flatnonzero(kinds.any(axis=1) | (self._slots[numbers, 0] > 0)).tolist()
        texts = self.pairs[numbers[rows].tolist()]
        for row, *pair in zip(rows, texts["source"], texts["target"], strict=True):
            links = None if self.guide is None else self.guide.matrix(numbers[row])
            drawn = set(itertools.compress(augmenter.shares, kinds[row]))
            example = augmenter.example((pair[0], pair[1]), drawn, random, links)
            examples[row] = (
                example,
                self._subwords["source"].encode(example.source, example.source_slots),
                self._subwords["target"].encode(example.target, example.target_slots),
            )
        return examples

    def in_order(self, batch_tokens: int) -> list[np.ndarray]:
        """All rows, shortest pairs first, in batches of at most `batch_tokens`."""
        longest = np.maximum(self.source_lengths, self.target_lengths)
        order = np.argsort(longest, kind="stable")
        return split_by_tokens(order, longest[order], batch_tokens)

    def _ids(self, side: str, numbers: np.ndarray) -> list[list[int]]:
        ids, ends = self._sides[side][:2]
        return [ids[_extent(ends, number)].tolist() for number in numbers]

    def _ranges(self, side: str, number: int) -> np.ndarray:
        _, ends, words = self._sides[side]
        return words.reshape(-1, 2)[_extent(ends, number)]

    def _encode(self, directory: Path) -> None:
        for side in SIDES:
            end = 0
            for rows in self.pairs.select_columns([side]).iter(ROWS):
                if self._varies:
                    encodings = [self._subwords[side].encode(text, ()) for text in rows[side]]
                    found = [encoding.ids for encoding in encodings]
                    _append(directory / f"{side}.words", [word_ranges(encoding) for encoding in encodings])
                else:
                    found = self._subwords[side].encode_ids(rows[side])
                _append(directory / f"{side}.ids", [np.asarray(ids, np.uint16) for ids in found])
                ends = end + np.cumsum([len(ids) for ids in found], dtype=np.int64)
                _append(directory / f"{side}.ends", [ends])
                end = int(ends[-1])

    def _count_slots(self, directory: Path) -> None:
        assert self.variation.augmenter is not None
        self.variation.augmenter.count_slots(pairs_of(self.pairs)).tofile(directory / "both.slots")

    def _measure_growth(self, directory: Path) -> None:
        """Write [pairs, rewriting, sides]: the pieces that each kind that rewrites a text adds to it."""
        augmenter = self.variation.augmenter
        assert augmenter is not None
        pieces = np.stack([_lengths(self._sides[side][1]) - 1 for side in SIDES], axis=1)  # [pairs, sides]
        random = np.random.default_rng(0)  # typos are others each time, of about this length
        for first, rows in zip(itertools.count(0, ROWS), self.pairs.iter(ROWS)):
            pairs = [plain(pair) for pair in zip(rows["source"], rows["target"], strict=True)]
            growth = np.zeros((len(pairs), len(augmenter.rewriting), 2), int)
            rewritten: tuple[dict[tuple[int, int], str], ...] = ({}, {})  # of each side
            for column, kind in enumerate(augmenter.rewriting):
                for row, pair in enumerate(pairs):
                    for side, text in enumerate(augmenter.rewritten(Example(*pair), {kind}, random)[:2]):
                        if text != pair[side]:
                            rewritten[side][row, column] = text
            for side, texts in enumerate(rewritten):
                encoded = self._subwords[SIDES[side]].encode_ids(list(texts.values()))
                for (row, column), ids in zip(texts, encoded, strict=True):
                    growth[row, column, side] = len(ids) - pieces[first + row, side]
            _append(directory / "both.pieces", [growth.clip(-128, 127).astype(np.int8)])


class BatchPlan(NamedTuple):
    """What a training batch is made of: the arguments of `EncodedPairs.batch`."""

    rows: np.ndarray
    """[batch]"""
    seed: int
    """Of its subword sampling, and of what its augmentation draws."""
    kinds: np.ndarray | None
    """[batch, kinds]: the kinds of augmentation of each row."""

    def part(self, number: int, count: int) -> BatchPlan:
        """Every `count`-th row from row `number` on: `count` parts of similar lengths that make up the batch."""
        kinds = None if self.kinds is None else self.kinds[number::count]
        return BatchPlan(self.rows[number::count], self.seed * count + number, kinds)


class Feed:
    """The sequence of training batches, starting at `progress`, which it advances."""

    def __init__(self, pairs: EncodedPairs, batch_tokens: int, seed: int, progress: Progress) -> None:
        self.pairs, self.batch_tokens, self.seed, self.progress = pairs, batch_tokens, seed, progress
        self.augmented: Counter[str] = Counter()
        """Pairs that each kind of augmentation was drawn for."""
        self._begin_epoch()

    def next(self) -> BatchPlan:
        """The next batch."""
        progress = self.progress
        if progress.batch >= len(self.batches):
            progress.epoch, progress.batch = progress.epoch + 1, 0
            self._begin_epoch()
        rows = self.batches[progress.batch]
        seed = (self.seed * 1_000_003 + progress.epoch * 10_007 + progress.batch) % 2**31
        progress.batch += 1
        kinds = None if self.kinds is None else self.kinds[rows]
        if kinds is not None and (augmenter := self.pairs.variation.augmenter):
            self.augmented.update(dict(zip(augmenter.shares, kinds.sum(axis=0).tolist(), strict=True)))
        return BatchPlan(rows, seed, kinds)

    def _begin_epoch(self) -> None:
        # Kinds are drawn before batches are made: a text with every word capitalized has half as many pieces again,
        # and one of these would pad a whole batch.
        self.kinds = self.pairs.draw(self.seed, self.progress.epoch)
        lengths = self.pairs.lengths(self.kinds)
        self.batches = BatchSampler(*lengths, self.batch_tokens, self.seed).batches(self.progress.epoch)

    @property
    def epochs(self) -> float:
        """Passes over the corpus so far."""
        return self.progress.epoch + self.progress.batch / len(self.batches)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def _stored(
    place: Path, build: Callable[[Path], object], kinds: Mapping[str, type]
) -> dict[str, tuple[np.ndarray, ...]]:
    """Memory-mapped arrays by the names of their files, `name.kind`; `build(directory)` writes these, once."""

    def build_whole(directory: Path) -> None:
        build(directory)
        hashes = {path.name: sha256_of(path) for path in directory.iterdir()}
        (directory / CHECKSUMS).write_text(json.dumps(hashes))

    built_once(place, lambda: _is_whole(place) or None, build_whole)
    names = sorted({path.stem for path in place.iterdir()} - {Path(CHECKSUMS).stem})
    return {name: tuple(_mapped(place / f"{name}.{kind}", dtype) for kind, dtype in kinds.items()) for name in names}


def _is_whole(place: Path) -> bool:
    """Whether the encoded pairs exist and match their checksums."""
    try:
        hashes = json.loads((place / CHECKSUMS).read_text())
        return bool(hashes) and all(sha256_of(place / name) == value for name, value in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _mapped(path: Path, kind: type) -> np.ndarray:
    """The file as a memory-mapped array; an empty file cannot be mapped."""
    return np.asarray(np.memmap(path, kind, "r")) if path.stat().st_size else np.empty(0, kind)


def _append(path: Path, arrays: Sequence[np.ndarray]) -> None:
    with open(path, "ab") as file:
        np.concatenate(arrays).tofile(file)


def _extent(ends: np.ndarray, number: int) -> slice:
    return slice(ends[number - 1] if number else 0, ends[number])


def _lengths(ends: np.ndarray) -> np.ndarray:
    """[pairs], int32: pieces of each sentence plus one special piece, from the sentences' end offsets."""
    lengths = np.empty(len(ends), np.int32)
    lengths[:1] = ends[:1]
    np.subtract(ends[1:], ends[:-1], out=lengths[1:], casting="unsafe")
    lengths += 1
    return lengths
