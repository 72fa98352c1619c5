"""Words as labels: made visible, made to fit, and with a reading direction."""

import unicodedata
from collections.abc import Iterable, Sequence

import wcwidth

from nmt.text.slots import SLOTS
from nmt.text.words import normalize, split_words

ELLIPSIS = "…"
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """Replace every character that acts instead of printing: control, format, line separator, lone surrogate.

    A sentence may contain terminal escape sequences, or marks that reverse the direction of a whole line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in ACTING else one for one in text)


def width_of(text: str) -> int:
    """Columns that visible text takes in a terminal: two for a wide East Asian character, none for an accent."""
    return max(wcwidth.wcswidth(text), 0)


def shorten(text: str, width: int) -> str:
    """Visible text of at most `width` columns; what does not fit is cut between characters as people see them."""
    text = visible(text)
    if width_of(text) <= width:
        return text
    kept = ""
    for grapheme in wcwidth.iter_graphemes(text):
        if width_of(kept + grapheme) > width - 1:
            break
        kept += grapheme
    return (kept + ELLIPSIS)[: max(width, 0)] if width < 2 else kept + ELLIPSIS


def piece_labels(pieces: Sequence[str], text: str, words_of_piece: Sequence[Sequence[int]]) -> list[str]:
    """The pieces of a text, placeholders (`nmt.text.slots`) as the words that they stand for."""
    text = normalize(text)
    words = split_words(text)
    return [
        text[words[numbers[0]].start : words[numbers[-1]].end] if piece in SLOTS else piece
        for piece, numbers in zip(pieces, words_of_piece, strict=True)
    ]


def reads_right_to_left(words: Iterable[str]) -> bool:
    """Whether the first strong character is right-to-left (Unicode Standard Annex 9, rules P2 and P3)."""
    for word in words:
        for character in word:
            direction = unicodedata.bidirectional(character)
            if direction in {"L", "R", "AL"}:
                return direction != "L"
    return False
