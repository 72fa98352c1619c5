"""Splits that share no sentence, so that training data does not leak the test set."""

import hashlib
import heapq
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import regex

from nmt.corpus.origin import SentencePair

HELD_OUT_ONE_IN = 100
MOST_HELD_OUT = 1000


def normalize(sentence: str) -> str:
    """A key for equal sentences: NFKC, casefolded, runs of letters, marks and digits joined by a space; a sentence
    without letters and digits, such as an emoji, keeps all but its spaces."""
    text = unicodedata.normalize("NFKC", sentence).casefold()
    return " ".join(regex.findall(r"[\p{L}\p{N}_][\p{L}\p{N}\p{M}_]*", text)) or "".join(text.split())


def components(pairs: Iterable[tuple[str, str]]) -> list[int]:
    """For each pair, the first pair of its connected component.

    Two pairs are connected when they share a normalized sentence on the same side, transitively
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
            other = root(seen.setdefault(normalize(sentence), number))
            mine = root(number)
            parent[max(other, mine)] = min(other, mine)
    return [root(pair) for pair in range(len(parent))]


def tatoeba_splits(pairs: Sequence[tuple[str, str]], numbers: Sequence[int]) -> list[str]:
    """The split ("train", "dev" or "test") of each pair; components are never divided.

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


def hold_out(pairs: Iterable[SentencePair]) -> tuple[list[SentencePair], Callable[[SentencePair], bool]]:
    """A dev set for a corpus without one, and a test of which pairs must therefore stay out of train.

    Dev is one pair in a hundred, at most 1,000. Source sentences are ranked by SHA-256 and the lowest are taken, each
    with its first pair, so the sentences chosen do not depend on the order of the corpus. Train keeps the pairs that
    share no normalized sentence with dev.
    """
    sample: dict[int, SentencePair] = {}
    largest_first: list[int] = []
    count = 0
    for pair in pairs:
        if not pair.source.strip() or not pair.target.strip():
            continue
        count += 1
        key = _hash(pair.source)
        if key in sample or (len(sample) == MOST_HELD_OUT and key > -largest_first[0]):
            continue
        sample[key] = pair
        heapq.heappush(largest_first, -key)
        if len(sample) > MOST_HELD_OUT:
            del sample[-heapq.heappop(largest_first)]
    dev = [sample[key] for key in sorted(sample)[: max(1, count // HELD_OUT_ONE_IN)]]
    return dev, shares_sentence(dev)


def shares_sentence(pairs: Iterable[SentencePair]) -> Callable[[SentencePair], bool]:
    """A test of whether a pair has a normalized sentence of `pairs` on the same side."""
    hashes = [(_hash(pair.source), _hash(pair.target)) for pair in pairs]
    sources, targets = {source for source, _ in hashes}, {target for _, target in hashes}
    return lambda pair: _hash(pair.source) in sources or _hash(pair.target) in targets


def _hash(sentence: str) -> int:
    """64 bits of the SHA-256 of the normalized sentence."""
    return int.from_bytes(hashlib.sha256(normalize(sentence).encode()).digest()[:8])
