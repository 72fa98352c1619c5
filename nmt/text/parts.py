"""Splitting a text into parts to translate one by one: sentences, asides in brackets, long sentences into clauses, then
words."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import NamedTuple

import regex
import sentencex

from nmt.text.copied import is_aside
from nmt.text.encoding import Encoding
from nmt.text.subwords import Subwords

_CUTS = (re.compile(r"(?<=[,;:—–،؛、，；：])\s+"), re.compile(r"\s+"), re.compile(r"\b(?=.)"))

_BAR = re.compile(r"\S\s+(?=\|\s)")
_ABBREVIATIONS = "sra?|sres|srta|dra?|dña|profa?|uds?|vds?|lic|ing|gral|cap|av|avda|págs?|núms?|art|vol|ej|etc|ee|uu"
_ENDED = regex.compile(rf"(?<!\w)(?!(?i:{_ABBREVIATIONS})\.)(\w{{2,}})\.\s+(?=[\p{{Lu}}¿¡])")
"""The last word of a Spanish sentence. sentencex takes many words for abbreviations, among them `no` and `bien`."""


class Part(NamedTuple):
    """A part and its first character in the whole text."""

    start: int
    encoding: Encoding
    aside: bool = False
    """Whether it is an aside of the part before it, which copies it."""


def sentences(subwords: Subwords, whole: Encoding, language: str) -> list[Part]:
    """Sentences of `whole` that have pieces, found by sentencex, which knows the language's abbreviations, and cells
    between bars, `Size: M | Color: red`. None ends within what has a placeholder, such as `Mr. Carter` in Spanish, is
    copied, or is read as something else."""
    found = set(accumulate(map(len, sentencex.segment(language, whole.text))))
    found |= {match.end() for match in _BAR.finditer(whole.text)}
    if language == "es" and (known := subwords.known_words):
        ended = ((match.end(), match[1].lower()) for match in _ENDED.finditer(whole.text))
        found |= {end for end, word in ended if word in known.words}
    held = set(whole.typed.values())
    kept = [match.span() for text in held for match in re.finditer(re.escape(text), whole.text)]
    kept += whole.copied
    kept += [(start, min(end + 2, len(whole.text))) for start, end, _ in whole.read]  # with the space after `Ud.`
    within = {place for start, end in kept for place in range(start + 1, end)}
    ends = [end for end in sorted(found) if end not in within and whole.text[end : end + 1] not in ("º", "ª")]  # 2.º
    if len(ends) == 1:
        return [Part(0, whole)] if whole.ids else []
    parts: list[Part] = []
    first = 0
    for end in ends:
        text = whole.text[first:end]
        start, encoding = first + len(text) - len(text.lstrip()), subwords.encode(text.strip(), apart=True)
        if not encoding.ids and encoding.copied:  # an emoji after the full stop joins the sentence before it
            if not parts:
                continue
            start = parts.pop().start
            encoding = subwords.encode(whole.text[start:end].strip(), apart=True)
        if encoding.ids:
            parts.append(Part(start, encoding))
        first = end
    return parts


def with_asides(subwords: Subwords, part: Part, longest: int) -> list[Part]:
    """A part and its asides of at most `longest` pieces."""
    start, encoding, _ = part
    parts = [part]
    for first, end in encoding.copied:
        if is_aside(encoding.text, (first, end)):
            own = subwords.encode(encoding.text[first + 1 : end - 1], apart=True)
            if 0 < len(own.ids) <= longest:
                parts.append(Part(start + first + 1, own, aside=True))
    return parts


def split_text(subwords: Subwords, whole: Encoding, longest: int, language: str) -> list[Part]:
    """Split `whole` into sentences, and sentences of more than `longest` pieces repeatedly near the middle.

    Cut parts have at most half of `longest` pieces, which leaves room for a translation of twice the length. The parts
    cover every character that has pieces; the smallest part is one character.
    """
    parts: list[Part] = []
    for sentence in sentences(subwords, whole, language):
        parts += [sentence] if len(sentence.encoding.ids) <= longest else _cut(subwords, sentence, longest)
    return parts


def _cut(subwords: Subwords, sentence: Part, longest: int) -> list[Part]:
    text = sentence.encoding.text
    starts = [start for start, _ in sentence.encoding.spans]
    cuts = [[match.end() for match in pattern.finditer(text)] for pattern in _CUTS]
    parts: list[Part] = []
    ranges = [(0, len(text), longest)]
    while ranges:
        start, end, most = ranges.pop()
        piece = text[start:end].strip()
        if not piece:
            continue
        start += text[start:end].index(piece[0])
        end = start + len(piece)
        if end - start == 1 or bisect_left(starts, end) - bisect_left(starts, start) <= most:
            encoding = subwords.encode(piece, apart=True)  # may have one piece more than within the sentence
            if end - start == 1 or len(encoding.ids) <= most:
                if encoding.ids:
                    parts.append(Part(sentence.start + start, encoding))
                continue
        middle = _middle(cuts, start, end)
        ranges += [(middle, end, longest // 2), (start, middle, longest // 2)]
    return parts


def _middle(cuts: list[list[int]], start: int, end: int) -> int:
    """The cut nearest to the middle of text[start:end], strictly inside, of the best available kind."""
    middle = (start + end) // 2
    for places in cuts:
        number = bisect_left(places, middle)
        near = [place for place in places[max(0, number - 1) : number + 1] if start < place < end]
        if near:
            return min(near, key=lambda place: abs(place - middle))
    return middle


def words_of_part(whole: Encoding, part: Part) -> list[int]:
    """For each word of a part, the word of the whole that contains it."""
    ends = [word.end for word in whole.words]
    return [bisect_right(ends, part.start + word.start) for word in part.encoding.words]
