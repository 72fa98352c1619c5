"""Words in the casing that the training corpus has: `PARIS` and `paris` as `Paris`, `White House` as `white house`.

`known` are the words of `nmt.text.names.KnownWords`; no function moves a letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import pairwise

import regex

from nmt.text.casing import Score
from nmt.text.name_lists import COMMON, FIRST_PARTS, GIVEN, PEOPLE, SMALL, TITLES, TOGETHER, is_listed
from nmt.text.names import WHOLE_WORD, begins
from nmt.text.typography import MARKS
from nmt.text.words import Span

MARGIN = 2
"""How much likelier a word must be in lower case to be read so, in nats."""
_TOGETHER = frozenset(TOGETHER.split("|"))
_PLACE = regex.compile(rf"(?:{FIRST_PARTS}) \w+")
_CAPITALIZED = regex.compile(r"(?<![\w'-])\p{Lu}[\p{Ll}\p{M}]+(?![\w-]|'\p{L}{2})")
_ONE_CASE = regex.compile(r"(?<![\w'-])(?:(?<!\.)\p{Lu}{3,}(?![\w'-])|\p{Ll}{2,}(?![\w-]|'(?!s(?![\w'-]))))")
_CALLED = regex.compile(r"(?i)(?<!\w)(?:my name is|i'm called|me llamo|se llama) ")
_FIRST_PART = regex.compile(r"(?<![\w'-])(?:new|nueva|san|santa|los|las) (?=\p{Lu})")
"""The first word of a place's name, as people type it: `new york`."""
_TITLE = regex.compile(r"\p{Lu}[\p{Ll}\p{M}]*(?:['-]\p{L}[\p{Ll}\p{M}]*)*")
_BEGINNING = regex.compile(r"^[^\p{L}\p{N}]*$")


def usual_case(text: str, known: AbstractSet[str]) -> str:
    """Rewrite words in capitals (three letters or more) that are known in lower case alone, and words in lower case
    that are known with a capital alone, are `COMMON` names, or one of `GIVEN` after `my name is`."""
    called = {match.end() for match in _CALLED.finditer(text)}
    if not called and known >= set(_ONE_CASE.findall(text)):
        return text

    def usual(match: regex.Match) -> str:
        word = match.group()
        lower, capital = word.lower(), word.capitalize()
        if word == lower and capital in GIVEN and match.start() in called:
            return capital
        if word in known or len(lower) != len(word) or len(capital) != len(word):
            return word
        if word == lower:
            return capital if capital in known else COMMON.get(word, word)
        if lower not in known:
            return capital if capital in known or is_listed(PEOPLE, capital) else word
        return capital if _BEGINNING.search(text[: match.start()]) else lower

    result = _ONE_CASE.sub(usual, text)
    for match in _FIRST_PART.finditer(result):  # new york
        if text[match.end()] != result[match.end()]:
            result = result[: match.start()] + match.group().capitalize() + result[match.end() :]
    return result


def sentence_case(text: str, known: AbstractSet[str]) -> str:
    """Rewrite a title or heading whose words are all capitalized, small ones aside: in lower case after the first
    what is known in lower case alone and no person's surname, `Terms Of Service` as `Terms of service`."""
    if text.rstrip()[-1:] in tuple(MARKS):
        return text
    words = list(WHOLE_WORD.finditer(text))
    great = [match.group() for match in words if match.group() not in SMALL]
    if len(great) < 2 or not all(map(_TITLE.fullmatch, great)):
        return text
    before = ""
    for match in words:
        word, lower = match.group(), match.group().lower()
        person = is_listed(PEOPLE, before) or len(words) == 2 and not _is_common(before, known)
        own = person or word in known or is_listed(COMMON, word)
        if before and not own and lower in known:
            text = text[: match.start()] + lower + text[match.end() :]
        before = word
    return text


def rarely_capitalized(text: str, known: AbstractSet[str], kept: Iterable[Span], score: Score) -> list[Span]:
    """The capitalized words within a sentence, outside the spans `kept`, that are known in lower case and far likelier
    so (`MARGIN`): as `White House` the network reads letters, as `white house` words. Two that are known together
    stay."""
    spans = [match.span() for match in _CAPITALIZED.finditer(text)]
    taken = {place for span in kept for place in range(*span)}
    for one, other in pairwise(spans):
        both = text[one[0] : other[1]]
        if both in known or both in _TOGETHER or _PLACE.fullmatch(both):
            taken.update((one[0], other[0]))

    def is_rare(start: int, end: int) -> bool:
        word, lower = text[start:end], text[start:end].lower()
        free = start not in taken and lower in known and len(lower) == len(word)
        return free and not begins(text, start) and score(lower) > score(word) + MARGIN

    return [span for span in spans if is_rare(*span)]


def in_lower_case(text: str, spans: Iterable[Span]) -> str:
    """Rewrite the text in `spans` in lower case."""
    letters = list(text)
    for start, end in spans:
        letters[start:end] = text[start:end].lower()
    return "".join(letters)


def _is_common(word: str, known: AbstractSet[str]) -> bool:
    return word.lower() in known and word not in GIVEN and word not in TITLES.split("|")
