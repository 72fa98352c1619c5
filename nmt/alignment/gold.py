"""Looking up the sentences of gold pairs in the corpus, by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nmt.alignment.error_rate import GoldPair
from nmt.errors import UserError
from nmt.text.words import split_words

if TYPE_CHECKING:
    from nmt.corpus import Corpus


def english_spanish_corpus() -> Corpus:
    """The corpus that numbers the gold pairs: Tatoeba, English to Spanish. Raises UserError if it cannot be fetched."""
    from nmt.config import DataConfig
    from nmt.corpus import load_corpus

    return load_corpus(DataConfig(corpus="tatoeba", source="en", target="es"))


def find_sentences(gold: Sequence[GoldPair], corpus: Corpus) -> list[tuple[str, str]]:
    """The (English, Spanish) sentences of each gold pair in an English-Spanish corpus.

    Raises UserError for a pair that is not in the corpus, and for a link outside its pair.
    """
    wanted = {(pair.english_id, pair.spanish_id): None for pair in gold}
    sentences: dict[tuple[int, int], tuple[str, str]] = {}
    for split in (corpus.test, corpus.dev, corpus.train):
        if split is None or len(sentences) == len(wanted):
            continue
        numbers = zip(split["source_id"], split["target_id"], strict=True)
        for row, pair in enumerate(numbers):
            if pair in wanted:
                sentences[pair] = (split[row]["source"], split[row]["target"])
    for pair in wanted:
        if pair not in sentences:
            raise UserError(
                f"the corpus has no pair of the sentences {pair[0]} (English) and {pair[1]} (Spanish): "
                "correct the numbers in the gold file"
            )
    found = [sentences[pair.english_id, pair.spanish_id] for pair in gold]
    for given, sides in zip(gold, found, strict=True):
        words = [len(split_words(text)) for text in sides]
        for english, spanish in sorted(given.sure | given.possible):
            if english >= words[0] or spanish >= words[1]:
                raise UserError(
                    f"gold link {english}-{spanish} of the sentences {given.english_id} and {given.spanish_id} leads "
                    f"out of a pair of {words[0]} and {words[1]} words: correct it (words are counted from 0)"
                )
    return found
