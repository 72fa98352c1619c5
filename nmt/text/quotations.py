"""Quoted words, such as `hello` in `She said "hello" to me.`

The network seldom saw a word straight after a quotation mark, where it has other pieces than after a space. Such words
get a placeholder, and are translated by themselves.
"""

from __future__ import annotations

import regex

from nmt.text.names import KnownWords
from nmt.text.typography import CODE, PLAIN
from nmt.text.words import Span

_QUOTED = regex.compile(
    r'(?<![\p{L}\p{M}\p{N}"])"(?=\p{L})([^".!?;:]{2,80})(?<=[\p{L}\p{M}\p{N}])(?=[.,]?"(?![\p{L}\p{M}\p{N}]))'
)
_SINGLE = regex.compile(
    r"(?<![^\s(])'(?=[\p{L}¿¡])((?:[^']|(?<=\p{L})'(?=\p{L})){2,200})(?<=[\p{L}\p{M}\p{N}.,!?])'(?![\p{L}\p{M}\p{N}])"
)
_CLOSED = regex.compile(r"""[.,]?["']""")


def quoted_spans(text: str, known: KnownWords) -> set[Span]:
    """Words between two quotation marks of `plain_text`, outside code, that are no name and at most a statement."""
    found = {match.span(1) for match in _QUOTED.finditer(text)} if '"' in text else set()
    if found and "`" in text:
        code = {place for match in regex.finditer(CODE, text) for place in range(*match.span())}
        found = {span for span in found if span[0] not in code}
    return found - known.names(text) if found else found


def doubled(text: str) -> str:
    """Replace single quotation marks, which the network hardly knows, by double ones."""
    return _SINGLE.sub(r'"\1"', text) if "'" in text else text


def is_quoted(text: str, span: Span) -> bool:
    """Whether the span stands between two quotation marks, a point or comma aside."""
    start, end = span
    before, after = text[start - 1 : start].translate(PLAIN), _CLOSED.match(text[end : end + 2].translate(PLAIN))
    return after is not None and after[0][-1] == before


def with_marks(words: str, text: str, place: int) -> str:
    """The words that fill the placeholder at `place` of a translation, with the quotation mark that it lacks there."""
    before = "" if text[:place].endswith('"') else '"'
    return before + words + ("" if _CLOSED.match(text, place + 1) else '"')
