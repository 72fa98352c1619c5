"""Splits that share no sentence: training data must not tell the answers of the test."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from nmt.corpus.pairs import SentencePair

HELD_OUT_ONE_IN = 100


def normalise(sentence: str) -> str:
    """What makes two sentences "the same": NFKC, casefolded, its `\\w+` runs joined by one space."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", sentence).casefold()))


def components(pairs: Iterable[tuple[str, str]]) -> list[int]:
    """For each pair the first pair of its connected component.

    Two pairs are connected when they share a normalised sentence on the same side, transitively
    (union-find with path halving: Tarjan and van Leeuwen 1984, https://doi.org/10.1145/62.2160).
    """
    parent: list[int] = []

    def root(pair: int) -> int:
        while parent[pair] != pair:
            parent[pair] = parent[parent[pair]]
            pair = parent[pair]
        return pair

    first_with: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for number, sentences in enumerate(pairs):
        parent.append(number)
        for seen, sentence in zip(first_with, sentences, strict=True):
            other = root(seen.setdefault(normalise(sentence), number))
            mine = root(number)
            parent[max(other, mine)] = min(other, mine)
    return [root(pair) for pair in range(len(parent))]


def tatoeba_splits(pairs: Sequence[tuple[str, str]], numbers: Sequence[int]) -> list[str]:
    """The split ("train", "dev" or "test") of each pair, whole components at a time.

    A component's key is the smallest of its sentence `numbers` (Tatoeba's, of the English side), so a
    split does not depend on the order of the file. SHA-256 of the key modulo 1000: below 10 is test,
    10 to 19 dev, the rest train.
    """
    component = components(pairs)
    key: dict[int, int] = {}
    for pair, number in zip(component, numbers, strict=True):
        key[pair] = min(key.get(pair, number), number)
    split = {pair: _tatoeba_split(number) for pair, number in key.items()}
    return [split[pair] for pair in component]


def _tatoeba_split(key: int) -> str:
    remainder = int(hashlib.sha256(str(key).encode()).hexdigest(), 16) % 1000
    return "test" if remainder < 10 else "dev" if remainder < 20 else "train"


class HeldOut:
    """One source sentence in a hundred, chosen by hash, as "dev" of a corpus that has none; the rest is "train".

    All pairs of one normalised source sentence stay together, and training pairs whose target
    sentence is also one of "dev" are left out of both, so no normalised sentence of either language
    stands in two splits. The choice needs no memory of the corpus but of the held-out target
    sentences; the pairs are read twice.
    """

    def __init__(self, pairs: Iterable[SentencePair]) -> None:
        self.pairs = pairs

    def splits(self) -> dict[str, Iterable[SentencePair]]:
        return {"dev": _Part(self._dev), "train": _Part(self._train)}

    def _dev(self) -> Iterator[SentencePair]:
        return (pair for pair in self.pairs if is_held_out(pair.source))

    def _train(self) -> Iterator[SentencePair]:
        targets = {hashed(pair.target) for pair in self._dev()}
        for pair in self.pairs:
            if not is_held_out(pair.source) and hashed(pair.target) not in targets:
                yield pair


def hashed(sentence: str) -> int:
    """64 bits of the SHA-256 of the normalised sentence."""
    return int.from_bytes(hashlib.sha256(normalise(sentence).encode()).digest()[:8])


def is_held_out(source: str) -> bool:
    return hashed(source) % HELD_OUT_ONE_IN == 0


class _Part:
    """An iterable that starts anew each time."""

    def __init__(self, start) -> None:  # type: ignore[no-untyped-def]
        self.start = start

    def __iter__(self) -> Iterator[SentencePair]:
        return self.start()
