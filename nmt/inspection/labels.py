"""Words as labels: made visible, made to fit, and with a reading direction."""

import unicodedata
from collections.abc import Iterable

import wcwidth

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


def reads_right_to_left(words: Iterable[str]) -> bool:
    """Whether the first strong character is right-to-left (Unicode Standard Annex 9, rules P2 and P3)."""
    for word in words:
        for character in word:
            direction = unicodedata.bidirectional(character)
            if direction in {"L", "R", "AL"}:
                return direction != "L"
    return False
