"""Words in their usual casing, whatever was typed: sentences in capitals, and first words.

`score` is the log-probability of a word's pieces in a vocabulary; no function moves a letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence

import regex

from nmt.text.typography import MARKS
from nmt.text.words import split_words

_FIRST_WORD = regex.compile(r"[^\p{L}\p{N}]*(\p{L}[\p{Ll}\p{M}]*(?:'\p{Ll}+)*)(?![\p{L}\p{M}\p{N}]|'\p{Ll})")
"""The first word of a text, unless it has capitals inside."""
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:'\p{L}+)*")
_LOWER = regex.compile(r"\p{Ll}")
_WORDLESS = regex.compile(r"[^\p{L}\p{N}]*")

Score = Callable[[str], float]
Spans = Iterable[tuple[int, int]]


def is_capitals(text: str) -> bool:
    """Whether a text of four letters or more is all in capitals."""
    return text.upper() == text and sum(letter.upper() != letter.lower() for letter in text) >= 4


def capitals(text: str) -> str:
    """The text in capitals, letter for letter, so that positions stay; `ß`, which has no single capital, is kept."""
    return "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in text)


def capitalized(word: str) -> str:
    """The word with a capital first letter."""
    return word[:1].upper() + word[1:]


def from_capitals(text: str, score: Score, is_name: Callable[[str], bool], kept: Spans = ()) -> str:
    """The usual form of a sentence in capitals: each word outside the spans `kept` in its likeliest casing, the first
    one and names capitalized."""
    usual, first = text, True
    for word in split_words(text):
        if _within(word.start, kept):
            continue
        capital = word.text.capitalize()
        forms = [capital] if is_name(capital) else [capital, word.text] + ([] if first else [word.text.lower()])
        best = max((form for form in forms if len(form) == len(word.text)), key=score, default=word.text)
        usual = usual[: word.start] + best + usual[word.end :]
        first = first and not any(letter.isalpha() for letter in word.text)
    return usual


def truecased_corpus(texts: Sequence[str]) -> list[str] | None:
    """The texts with first words in lower case, unless they are capitalized more often elsewhere, as the truecaser of
    Moses has them (Koehn et al. 2007); None if most do not begin with a capital."""
    capital = lower = 0
    seen: Counter[str] = Counter()
    for text in texts:
        first = _FIRST_WORD.match(text)
        if first and first[1].lower() != first[1].upper():
            lower += first[1].islower()
            capital += not first[1].islower()
        seen.update(_WORD.findall(text, first.end() if first else 0))
    if capital <= lower:
        return None
    result = []
    for text in texts:
        first = _FIRST_WORD.match(text)
        usual = first and seen[first[1].lower()] >= seen[capitalized(first[1].lower())]
        result.append(_begun(text, first, first[1].lower()) if first and usual else text)
    return result


def truecased_beginning(text: str, kept: Spans, score: Score) -> str:
    """The text with its first word in its likelier casing, unless it is within the spans `kept`."""
    first = _FIRST_WORD.match(text)
    if not first or _within(first.start(1), kept):
        return text
    lower = first[1].lower()
    return _begun(text, first, max(lower, capitalized(lower), key=score))


def as_fragment(words: str, translation: str, score: Score, before: str = "") -> str:
    """The translation of `words` without the full stop that it has as a sentence, and without the capital unless the
    words have one that is not their own, or stand as speech after a comma or colon: `I think` becomes `creo`, `Thank
    you` becomes `Gracias`. `before` is the text before them."""
    text, speech = translation.rstrip("."), words[0].isupper() and before.rstrip(" \"'")[-1:] in (",", ":")
    return text if speech or truecased_beginning(words, (), score) != words else truecased_beginning(text, (), score)


def recased_beginning(source: str, text: str, kept: Spans, known: Container[str] | None) -> str:
    """Capitalize the first word of `text`, the truecased translation of `source`, unless it is within the spans `kept`.

    Without a final mark it stays as it is if the source does not begin with a capital, or is a single word whose
    capital is its own: in lower case it is not among the `known` words.
    """
    first, typed = _FIRST_WORD.match(text), _FIRST_WORD.match(source)
    if not first or _within(first.start(1), kept):
        return text
    own = typed and known is not None and typed[1].lower() not in known and _WORDLESS.fullmatch(source, typed.end())
    stays = text[-1] not in MARKS and (not typed or own or _LOWER.match(typed[1]))
    return text if stays else _begun(text, first, capitalized(first[1]))


def _within(place: int, spans: Spans) -> bool:
    return any(start <= place < end for start, end in spans)


def _begun(text: str, first: regex.Match, word: str) -> str:
    """The text with another first word of the same length; the text itself where the length is another."""
    start, end = first.span(1)
    return text[:start] + word + text[end:] if len(word) == end - start else text
