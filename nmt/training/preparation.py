"""What training reads: the subword model, the encoded pairs, and links that the alignment head learns."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmt.alignment.pharaoh import read_pharaoh
from nmt.checkpoint import KNOWN_WORDS, SUBWORDS
from nmt.config import RunConfig
from nmt.corpus import Corpus, pairs_of
from nmt.errors import UserError
from nmt.files import cache_directory, expanded
from nmt.text.names import KnownWords
from nmt.text.subwords import Subwords
from nmt.text.words import split_words
from nmt.training.augment import Augmenter, plain
from nmt.training.initial import Initial
from nmt.training.pairs import EncodedPairs, Variation

if TYPE_CHECKING:
    import datasets


def new_subwords(config: RunConfig, corpus: Corpus, initial: Initial | None = None) -> Subwords:
    """The subword model of a new run: its initial checkpoint's, or one trained on both sides of the training pairs.

    With placeholders it knows the words of the training pairs. Raises UserError.
    """
    subwords = initial.subwords if initial else train_subwords(config, corpus)
    if config.subwords.slots:
        pairs = map(plain, pairs_of(corpus.train))
        subwords = subwords.with_slots(KnownWords.of(pair for pair, _ in groupby(pairs)))  # copies of a pair count once
    return subwords if initial else subwords.for_targets(target for _, target in pairs_of(chosen_pairs(config, corpus)))


def train_subwords(config: RunConfig, corpus: Corpus) -> Subwords:
    """Train the SentencePiece model on both sides of the training pairs. Raises UserError."""
    print("training the subword model ...", file=sys.stderr)
    settings = config.subwords
    return Subwords.train(
        chain.from_iterable(pairs_of(chosen_pairs(config, corpus))),
        settings.vocabulary_size,
        settings.model_type,
        settings.character_coverage,
        settings.normalization,
        truecase=True,
    )


def chosen_pairs(config: RunConfig, corpus: Corpus) -> datasets.Dataset:
    """The training pairs that subwords are learned from, at most `subwords.training_pairs`, evenly spread."""
    return corpus.train.select(spread(len(corpus.train), config.subwords.training_pairs))


def load_subwords(directory: Path) -> Subwords:
    """The subword model of a run, with its known words."""
    known = directory / KNOWN_WORDS
    return Subwords.load(directory / SUBWORDS, known if known.exists() else None)


def encode_splits(
    config: RunConfig, corpus: Corpus, subwords: Subwords, tell: Callable[[str], None]
) -> tuple[EncodedPairs, EncodedPairs]:
    """Encode the train and dev splits; `tell` reports dropped pairs. Raises UserError if none are left."""
    cache = cache_directory(config.data.cache)
    hashes = {name: counts["sha256"] for name, counts in corpus.report["splits"].items()}
    longest = config.model.max_length
    augment, augmenter = config.data.augment, None
    if config.subwords.slots or any(augment.model_dump().values()):
        augmenter = Augmenter(augment, (config.data.source, config.data.target), subwords.known_words)
    guided = bool(config.alignment.guide_weight)
    variation = Variation(config.subwords.sampling, augmenter, config.data.short_copies, guided)
    train = EncodedPairs(corpus.train, hashes["train"], subwords, longest, cache, variation)
    dev = EncodedPairs(corpus.dev, hashes["dev"], subwords, longest, cache)
    for name, pairs in (("train", train), ("dev", dev)):
        if pairs.left_out:
            tell(f"{name}: {pairs.left_out:,} pairs longer than {longest} pieces are left out")
        if not len(pairs):
            raise UserError(f"no {name} pair is at most model.max_length={longest} pieces long; raise it")
    return train, dev


def spread(pairs: int, most: int) -> range:
    """Evenly spaced indices of at most `most` of `pairs` pairs."""
    return range(0, pairs, -(-pairs // most))


def guiding_links(config: RunConfig, corpus: Corpus) -> np.ndarray:
    """The links of `alignment.links` for the pairs that the alignment head learns from.

    [links, 3], int32: the pair's place among these, source word, target word. Raises UserError when the file has not a
    line for every training pair, or a link leads out of its pair.
    """
    path, pairs = expanded(str(config.alignment.links)), len(corpus.train)
    places = {number: place for place, number in enumerate(spread(pairs, config.alignment.training_pairs))}
    links, lines = array("i"), 0
    for number, found in enumerate(read_pharaoh(path)):
        lines += 1
        if number not in places:
            continue
        row = corpus.train[number]
        words = [len(split_words(row[side])) for side in ("source", "target")]
        for source, target in found:
            if source >= words[0] or target >= words[1]:
                where = f"{path}, line {lines}: {source}-{target}"
                raise UserError(f"{where} leads out of a pair of {words[0]} and {words[1]} words; mend the line")
            links.extend((places[number], source, target))
    if lines != pairs:
        raise UserError(f"{path} has {lines:,} lines, and there are {pairs:,} training pairs; they must match")
    return np.array(links, np.int32).reshape(-1, 3)
