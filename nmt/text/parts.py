"""Text that is too long for the model in parts that are not: cut between sentences, else clauses, else words."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from nmt.text.subwords import Encoding, Subwords

# Where the next part begins. Sentences are told apart by their marks alone, which is all that a cut needs.
_SENTENCES = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+|(?<=[。！？])(?=.)|[\n\u2028\u2029]+")
_CUTS = (re.compile(r"(?<=[,;:—–،؛、，；：])\s+"), re.compile(r"\s+"), re.compile(r"\b(?=.)"))


class Part(NamedTuple):
    """A part and the character of the whole text at which it begins."""

    start: int
    encoding: Encoding


def split_text(subwords: Subwords, whole: Encoding, longest: int) -> list[Part]:
    """Every sentence of `whole` as a part; those of more than `longest` pieces are cut again and again near the middle.

    What is cut ends up with half of `longest` at most, which leaves room for a translation of twice the length.
    Together the parts hold every character that has pieces. A part that no cut can shorten is one character.
    """
    text = whole.text
    starts = [start for start, _ in whole.spans]
    cuts = [[match.end() for match in pattern.finditer(text)] for pattern in _CUTS]
    parts: list[Part] = []
    edges = [0, *(match.end() for match in _SENTENCES.finditer(text)), len(text)]
    ranges = [(start, end, longest) for start, end in zip(edges, edges[1:], strict=False)][::-1]
    while ranges:
        start, end, most = ranges.pop()
        piece = text[start:end].strip()
        if not piece:
            continue
        start += text[start:end].index(piece[0])
        end = start + len(piece)
        if end - start == 1 or bisect_left(starts, end) - bisect_left(starts, start) <= most:
            encoding = subwords.encode(piece)  # may have a piece more than it had within the whole
            if end - start == 1 or len(encoding.ids) <= most:
                if encoding.ids:
                    parts.append(Part(start, encoding))
                continue
        middle = _middle(cuts, start, end)
        ranges += [(middle, end, longest // 2), (start, middle, longest // 2)]
    return parts


def _middle(cuts: list[list[int]], start: int, end: int) -> int:
    """The cut nearest to the middle of text[start:end], strictly inside, of the best kind that there is."""
    middle = (start + end) // 2
    for places in cuts:
        number = bisect_left(places, middle)
        near = [place for place in places[max(0, number - 1) : number + 1] if start < place < end]
        if near:
            return min(near, key=lambda place: abs(place - middle))
    return middle


def words_of_part(whole: Encoding, part: Part) -> list[int]:
    """For each word of a part the word of the whole that it is, or is a piece of."""
    ends = [word.end for word in whole.words]
    return [bisect_right(ends, part.start + word.start) for word in part.encoding.words]
