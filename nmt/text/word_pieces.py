"""The pieces of single words, which the alignment head reads: a word has the same pieces wherever it stands."""

from __future__ import annotations

from collections.abc import Sequence

from nmt.text.subwords import UNKNOWN, Subwords

MAXIMUM_PIECES = 16
"""Later pieces of a longer word are left out; only strings that are no words have as many."""


def word_pieces(subwords: Subwords, words: Sequence[str]) -> list[list[int]]:
    """For each word the piece ids of its lower-cased form encoded on its own; never empty.

    The bare space that SentencePiece puts before a word whose first piece has none of its own is left out, so
    that `?` has the same pieces after a space as after a word.
    """
    result = []
    for ids in subwords.encode_ids([word.lower() for word in words]):
        if len(ids) > 1 and subwords.pieces(ids[:1]) == ["▁"]:
            ids = ids[1:]
        result.append(ids[:MAXIMUM_PIECES] or [UNKNOWN])
    return result
