"""Sentence pairs as memory-mapped piece ids, batches of them as tensors, and the order in which training takes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.batching import BatchSampler, pad, split_by_tokens
from nmt.files import built_once, sha256_of
from nmt.text.subwords import END, PADDING, START, Subwords

if TYPE_CHECKING:
    import datasets

    from nmt.training.state import Progress

CHECKSUMS = "checksums.json"
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

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device."""
        return Batch(*(tensor.to(device) for tensor in self))

    def part(self, number: int, count: int) -> Batch:
        """Every `count`-th pair from pair `number` on: `count` parts of similar lengths that make up the batch."""
        return Batch(*(tensor[number::count] for tensor in self))


def make_batch(sources: list[list[int]], targets: list[list[int]]) -> Batch:
    """Build a batch from piece ids without special pieces."""
    return Batch(
        torch.from_numpy(pad([[*source, END] for source in sources], PADDING)),
        torch.tensor([len(source) + 1 for source in sources]),
        torch.from_numpy(pad([[START, *target] for target in targets], PADDING)),
        torch.from_numpy(pad([[*target, END] for target in targets], PADDING)),
    )


class EncodedPairs:
    """A split's pairs as piece ids; pairs that are too long for the model are dropped and counted.

    Ids are memory-mapped from one flat file per side. Memory grows by twelve bytes a pair: its number and its two
    lengths. With subword sampling, each batch is segmented anew from the text.
    """

    def __init__(
        self,
        pairs: datasets.Dataset,
        identity: str,
        subwords: Subwords,
        max_length: int,
        cache: Path,
        sampling: float = 0.0,
    ) -> None:
        """`identity`, a hash of the pairs, names the files under `cache` together with the vocabulary's hash."""
        self.pairs, self.subwords, self.max_length, self.sampling = pairs, subwords, max_length, sampling
        key = hashlib.sha256(f"2 {identity} {subwords.sha256}".encode()).hexdigest()[:32]
        place = cache / "encoded" / key
        built_once(place, lambda: _is_whole(place) or None, self._encode)
        self._sides = {
            side: (_mapped(place / f"{side}.ids", np.uint16), _mapped(place / f"{side}.ends", np.int64))
            for side in ("source", "target")
        }
        source_lengths, target_lengths = (_lengths(ends) for _, ends in self._sides.values())
        fits = (source_lengths <= max_length) & (target_lengths <= max_length)
        self.numbers = np.arange(len(pairs), dtype=np.int32)[fits]
        """Indices into `pairs` of the pairs that fit."""
        self.source_lengths, self.target_lengths = source_lengths[fits], target_lengths[fits]
        self.left_out = len(pairs) - len(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, rows: np.ndarray, sampling_seed: int | None = None) -> Batch:
        """The batch of `rows` [batch]; given a seed, sampled segmentations if sampling is configured."""
        numbers = self.numbers[rows]
        if self.sampling and sampling_seed is not None:
            texts = self.pairs[numbers.tolist()]
            sources, targets = (
                [ids[: self.max_length - 1] for ids in self.subwords.sample_ids(texts[side], self.sampling, seed)]
                for side, seed in (("source", 2 * sampling_seed), ("target", 2 * sampling_seed + 1))
            )
            return make_batch(sources, targets)
        return make_batch(self._ids("source", numbers), self._ids("target", numbers))

    def in_order(self, batch_tokens: int) -> list[np.ndarray]:
        """All rows, shortest pairs first, in batches of at most `batch_tokens`."""
        longest = np.maximum(self.source_lengths, self.target_lengths)
        order = np.argsort(longest, kind="stable")
        return split_by_tokens(order, longest[order], batch_tokens)

    def _ids(self, side: str, numbers: np.ndarray) -> list[list[int]]:
        ids, ends = self._sides[side]
        return [ids[(ends[number - 1] if number else 0) : ends[number]].tolist() for number in numbers]

    def _encode(self, directory: Path) -> None:
        for side in ("source", "target"):
            sentences, end = self.pairs.select_columns([side]), 0
            with open(directory / f"{side}.ids", "wb") as pieces, open(directory / f"{side}.ends", "wb") as ends:
                for first in range(0, len(self.pairs), ROWS):
                    encoded = self.subwords.encode_ids(sentences[first : first + ROWS][side])
                    np.concatenate([np.asarray(ids, np.uint16) for ids in encoded]).tofile(pieces)
                    places = end + np.cumsum([len(ids) for ids in encoded], dtype=np.int64)
                    places.tofile(ends)
                    end = int(places[-1])
        hashes = {path.name: sha256_of(path) for path in directory.iterdir()}
        (directory / CHECKSUMS).write_text(json.dumps(hashes))


class Feed:
    """The sequence of training batches, starting at `progress`, which it advances."""

    def __init__(self, sampler: BatchSampler, progress: Progress) -> None:
        self.sampler, self.progress = sampler, progress
        self.batches = sampler.batches(progress.epoch)

    def next(self) -> tuple[np.ndarray, int]:
        """The rows [batch] of the next batch and the seed of its subword sampling."""
        progress = self.progress
        if progress.batch == len(self.batches):
            progress.epoch, progress.batch = progress.epoch + 1, 0
            self.batches = self.sampler.batches(progress.epoch)
        rows = self.batches[progress.batch]
        seed = (self.sampler.seed * 1_000_003 + progress.epoch * 10_007 + progress.batch) % 2**31
        progress.batch += 1
        return rows, seed

    @property
    def epochs(self) -> float:
        """Passes over the corpus so far."""
        return self.progress.epoch + self.progress.batch / len(self.batches)


def _is_whole(place: Path) -> bool:
    """Whether the encoded pairs exist and match their checksums."""
    try:
        hashes = json.loads((place / CHECKSUMS).read_text())
        return bool(hashes) and all(sha256_of(place / name) == value for name, value in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _mapped(path: Path, kind: type) -> np.ndarray:
    """The file as a memory-mapped array; an empty file cannot be mapped."""
    return np.memmap(path, kind, "r") if path.stat().st_size else np.empty(0, kind)


def _lengths(ends: np.ndarray) -> np.ndarray:
    """[pairs], int32: pieces of each sentence plus one special piece, from the sentences' end offsets."""
    lengths = np.empty(len(ends), np.int32)
    lengths[:1] = ends[:1]
    np.subtract(ends[1:], ends[:-1], out=lengths[1:], casting="unsafe")
    lengths += 1
    return lengths
