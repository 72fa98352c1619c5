"""Numbers, and number words, such as `fourteen`, and their translations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

import regex

from nmt.text.copied import PHONE
from nmt.text.words import Span

# Digits with what groups them: $1,250.99  10:30  2024-05-17  +34 91 123 45 67  +1 (555) 123-4567  5pm  A320  F-16
# 20 °C; of 21st the digits.
_NUMBER = regex.compile(
    rf"{PHONE}|(?<![\w.,])\d+(?=(?:st|nd|rd|th)(?!\w))|"
    rf"(?<![\w.,])(?:\p{{Sc}} ?)?\+?(?:\p{{L}}++-)?+\p{{L}}*+\d\w*+(?:[.,:/-]\d\w*+)*(?: \d[\d.,:/-]*\d(?!\w))*"
    r"(?<!\d(?:st|nd|rd|th))(?: ?(?:\p{Sc}(?!\d)|°(?: ?[CF](?!\w))?))?"
)
_DIGIT = regex.compile(r"\d")
_WORD = regex.compile(r"[\p{L}\p{M}]+(?:-\p{L}+)*")


@cache
def numerals(language: str) -> Mapping[str, str]:
    """The words of a language for numbers from two to a thousand that are one word, and their digits; none where
    num2words does not know the language."""
    words = _spelled([*range(2, 101), *range(200, 1001, 100)], language)
    return {word: str(number) for number, word in words.items() if _WORD.fullmatch(word)}


def number_words(source: str, target: str) -> dict[str, str]:
    """The words for numbers below a hundred that are one word of the language `source`, and the words of `target`.

    Those that end in one are left out: they follow a noun's gender.
    """
    numbers = [number for number in range(2, 100) if number == 11 or number % 10 != 1]
    own, other = _spelled(numbers, source), _spelled(numbers, target)
    return {word: other[number] for number, word in own.items() if number in other and _WORD.fullmatch(word)}


def number_spans(text: str) -> list[Span]:
    """Every number, with its currency or degree."""
    return [match.span() for match in _NUMBER.finditer(text)] if _DIGIT.search(text) else []


def number_word_spans(text: str, words: Collection[str]) -> list[Span]:
    """The place of each of the number `words` in `text`, in whatever casing."""
    return [match.span() for match in _WORD.finditer(text) if match.group().lower() in words] if words else []


def _spelled(numbers: list[int], language: str) -> dict[int, str]:
    from num2words import num2words  # type: ignore[import-untyped]

    try:
        return {number: num2words(number, lang=language) for number in numbers}
    except NotImplementedError:
        return {}
