"""Batches of a token budget, bucketed by length, in an order that can be resumed at any batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

POOL_BATCHES = 100
"""Sentences are shuffled, then sorted by length within pools of about this many batches."""


@dataclass(frozen=True)
class BatchSampler:
    """The order of a corpus: for every epoch a list of batches, a pure function of (seed, epoch).

    Nothing is remembered between calls, so training resumes at (epoch, batch) by asking for it, and all ranks of a
    run know the same batches without talking to each other.
    """

    source_lengths: np.ndarray
    """[pairs], pieces of each source sentence with its `</s>`."""
    target_lengths: np.ndarray
    """[pairs], pieces of each target sentence with its `<s>` or `</s>`."""
    batch_tokens: int
    """Padded positions of the longer side in a batch, at most (a single longer pair is a batch of its own)."""
    seed: int = 1

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Every pair once, as arrays of pair numbers [batch]: parts of one array, four bytes a pair."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(np.arange(len(self.source_lengths), dtype=np.int32))
        longest = np.maximum(self.source_lengths, self.target_lengths)
        pool = max(1, int(POOL_BATCHES * self.batch_tokens / max(1.0, longest.mean())))
        batches: list[np.ndarray] = []
        for first in range(0, len(order), pool):
            part = order[first : first + pool]
            part[:] = part[np.lexsort((self.source_lengths[part], self.target_lengths[part], longest[part]))]
            batches += split_by_tokens(part, longest[part], self.batch_tokens)
        return [batches[number] for number in random.permutation(len(batches))]


def split_by_tokens(order: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Cut `order` [pairs], whose `lengths` [pairs] ascend, so that sentences x longest fits the budget."""
    batches = []
    first = 0
    while first < len(order):
        # As lengths ascend, the last sentence that is taken sets the padded length; no more fit than there are tokens.
        possible = lengths[first : first + batch_tokens + 1].astype(np.int64)
        sizes = np.arange(1, len(possible) + 1) * possible
        count = max(1, int(np.searchsorted(sizes, batch_tokens, side="right")))
        batches.append(order[first : first + count])
        first += count
    return batches


def pad(sequences: Sequence[Sequence[int] | np.ndarray], padding: int) -> np.ndarray:
    """Ragged lists to one [batch, longest] int64 array, `padding` on the right."""
    result = np.full((len(sequences), max(map(len, sequences))), padding, dtype=np.int64)
    for row, sequence in zip(result, sequences, strict=True):
        row[: len(sequence)] = sequence
    return result


def batches_for_decoding(lengths: Sequence[int], batch_tokens: int, max_sentences: int) -> Iterator[np.ndarray]:
    """Sentences sorted by length, longest first, in batches of at most `batch_tokens` padded pieces."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    first = 0
    while first < len(order):
        count = max(1, min(max_sentences, batch_tokens // max(1, lengths[order[first]])))
        yield order[first : first + count]
        first += count
