"""Sentence pairs, and the interface of every place that they come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SentencePair:
    """A sentence and its translation, with their numbers where the corpus numbers its sentences."""

    source: str
    target: str
    source_id: int | None = None
    target_id: int | None = None


@dataclass(frozen=True)
class PairSource:
    """Where pairs come from: what identifies them, and how to read them when they are not in the cache.

    Attributes:
        description: one line for people.
        identity: changes whenever the pairs do; the cache is keyed by it.
        sha256: of the files that the pairs stand in; None when there are no such files (Hub).
        numbered: whether the pairs carry `source_id` and `target_id`.
        read: gives the pairs of each split ("train", "dev", perhaps "test"); each can be iterated again.
    """

    description: str
    identity: str
    sha256: str | None
    numbered: bool
    read: Callable[[], dict[str, Iterable[SentencePair]]]
