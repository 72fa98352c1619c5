"""Sentence pairs, and the interface of every place that they come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SentencePair:
    """A sentence and its translation, with their ids if the corpus has any."""

    source: str
    target: str
    source_id: int | None = None
    target_id: int | None = None


@dataclass(frozen=True)
class PairSource:
    """Where pairs come from: what identifies them, and how to read them if they are not cached.

    Attributes:
        description: one line for messages.
        identity: the cache key; changes whenever the pairs do.
        sha256: of the files; None for the Hub, which has none.
        numbered: whether the pairs have `source_id` and `target_id`.
        read: returns the pairs of each split ("train", "dev", perhaps "test"), which can be iterated repeatedly.
    """

    description: str
    identity: str
    sha256: str | None
    numbered: bool
    read: Callable[[], dict[str, Iterable[SentencePair]]]
