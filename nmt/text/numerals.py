"""Numbers, and number words, such as `fourteen`, and their translations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache

import regex

from nmt.text.copied import PHONE, UNIT
from nmt.text.words import Span

# Not within a word, nor after a point or comma, unless that follows a letter.
_BEFORE = r"(?<!\w|(?<!\p{L})[.,])"
# Digits with what groups them: -$1,250.99  10:30  2024-05-17  +34 91 123 45 67  +1 (555) 123-4567  5pm  A320  F-16
# 20 °C  120 km/h; of 21st and 21.º the digits. Text, compiled when it is first used: compiling takes milliseconds.
_NUMBER = (
    rf"{PHONE}|{_BEFORE}(?:2[2-9]|[3-9]\d|\d{{3}})º(?!\w)|{_BEFORE}\d*[\u00bc-\u00be\u2150-\u215e]|%(?:\d\$)?d(?!\w)|"
    rf"{_BEFORE}\d[\d,]*(?=(?:st|nd|rd|th)(?!\w)|\.?[ºª](?!\w))|"
    rf"{_BEFORE}[+-]?(?:(?:US)?\p{{Sc}} ?)?[+-]?(?:\p{{L}}++-)?+\p{{L}}*+\d\w*+(?:[.,:/-]\d\w*+)*"
    rf"(?: \d[\d.,:/-]*\d(?!\w))*(?<!\d(?:st|nd|rd|th|[ºª]))"
    rf"(?: ?(?:\p{{Sc}}(?!\d)|[°º](?: ?[CF](?!\w))|°|{UNIT})|(?<=\d\p{{L}}+)/[hls](?!\w))?"
)
_DIGIT = regex.compile(r"[\d\u00bc-\u00be\u2150-\u215e]|%")
_WORD = regex.compile(r"[\p{L}\p{M}]+(?:-\p{L}+)*")
MOST_WORDS = 3
"""Words of a number below a hundred: `treinta y cinco`."""
_PHRASE = regex.compile(rf"{_WORD.pattern}(?: {_WORD.pattern}){{,{MOST_WORDS - 1}}}")

_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_DAYS = (
    "second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth "
    "twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
)
DAYS = {word: str(number) for number, word in enumerate(_DAYS.split(" "), 2)}
"""English ordinals, which are numbers in a date: `the third of May`."""
_DAY = regex.compile(
    rf"(?<![\w-])(?:{'|'.join(DAYS)})(?= of (?:January|February|March|April|May|June|July|August|September|October|"
    r"November|December)(?!\w))"
)


@cache
def numerals(language: str) -> Mapping[str, str]:
    """The words of a language for numbers from two to a thousand that are one word, and their digits; none where
    num2words does not know the language."""
    words = _spelled([*range(2, 101), *range(200, 1001, 100)], language)
    return {word: str(number) for number, word in words.items() if _WORD.fullmatch(word)}


def number_words(source: str, target: str) -> dict[str, str]:
    """The words for numbers below a hundred in the language `source`, and those of `target`.

    Numbers that end in one follow a noun's gender, so the target has their digits.
    """
    own, other = (_spelled(range(2, 100), language) for language in (source, target))
    return {
        form: str(number) if number % 10 == 1 and number != 11 else other[number]
        for number, words in own.items()
        for form in _forms(words, source)
        if number in other and _PHRASE.fullmatch(form)
    }


def _forms(words: str, language: str) -> list[str]:
    """`thirty-five` and `thirty five`; `treinta y uno`, `treinta y una` and `treinta y un`."""
    forms = [words, words.replace("-", " ")]
    if language == "es" and words.endswith("uno"):
        forms += [f"{words[:-1]}a", words[:-1] if " " in words else "veintiún"]
    return forms


def ordinal_ending(digits: str) -> str:
    """The ending of an English ordinal: `st` for 21, `th` for 12."""
    return "th" if digits[-2:-1] == "1" else {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1:], "th")


def ordinal_word(word: str) -> str:
    """The English ordinal of a number word below a hundred: `twelfth` for `twelve`."""
    tens, dash, last = word.rpartition("-")
    return tens + dash + _IRREGULAR.get(last, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def number_spans(text: str) -> list[Span]:
    """Every number, with its currency, degree or unit."""
    return [match.span() for match in regex.finditer(_NUMBER, text)] if _DIGIT.search(text) else []


def number_word_spans(text: str, words: Collection[str]) -> list[Span]:
    """The place of each of the number `words` in `text`, in whatever casing, as long as can be, and of each English day
    of a month."""
    if not words:
        return []
    tokens = [match.span() for match in _WORD.finditer(text)]
    found = [match.span() for match in _DAY.finditer(text)]
    done = 0
    for number, (start, end) in enumerate(tokens):
        if start >= done and text[start:end].lower() in words:
            longer = (last for _, last in tokens[number + 1 : number + MOST_WORDS])
            done = max((last for last in longer if text[start:last].lower() in words), default=end)
            found.append((start, done))
    return found


def _spelled(numbers: Iterable[int], language: str) -> dict[int, str]:
    from num2words import num2words  # type: ignore[import-untyped]

    try:
        return {number: num2words(number, lang=language) for number in numbers}
    except NotImplementedError:
        return {}
