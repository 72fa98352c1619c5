"""Number words, such as `fourteen`, and their translations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

import regex

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


def number_word_spans(text: str, words: Collection[str]) -> list[tuple[int, int]]:
    """First and one-past-last character of each of the number `words` in `text`, in whatever casing."""
    return [match.span() for match in _WORD.finditer(text) if match.group().lower() in words] if words else []


def _spelled(numbers: list[int], language: str) -> dict[int, str]:
    from num2words import num2words  # type: ignore[import-untyped]

    try:
        return {number: num2words(number, lang=language) for number in numbers}
    except NotImplementedError:
        return {}
