"""Typographic normalization of quotes, apostrophes, dashes, spaces and invisible characters.

SentencePiece's NFKC rule already unifies ellipses and full-width forms.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʼ`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys(
            "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
        ),
        **dict.fromkeys((chr(code) for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))), " "),  # controls
    }
)
"""Variants and their plain character, one for one."""
MARKS = ".!?…"
"""What ends a sentence."""
AFTER_WORDS = f"{MARKS},;:"
"""Marks without a space before them."""
# Soft hyphens, zero-width spaces, marks of direction, variation selectors; not joiners, which emoji and scripts need.
# And the private-use characters that stand for names and numbers (`nmt.text.slots`).
INVISIBLE = regex.compile("[\ue000-\ue007\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe0e\ufeff]")


CODE = r"(?<![\w`])`[^`\n]+`(?![\w`])"
"""Code between grave accents, which stays as it is."""


def plain_text(text: str) -> str:
    """Replace quotes, apostrophes, dashes and spaces by plain ones, and remove invisible characters."""
    return INVISIBLE.sub("", _plain(text))


def _plain(text: str) -> str:
    if "`" not in text:
        return text.translate(PLAIN)
    parts = regex.split(f"({CODE})", text)
    return "".join(part if number % 2 else part.translate(PLAIN) for number, part in enumerate(parts))


def without(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, Sequence[int]]:
    """`plain_text` of the text outside `spans`, and the position in `text` of each of its characters and of its end.

    A removed span between letters or digits leaves a space, at the position of the character after it, so that names
    and numbers stay apart; one before a mark leaves none.
    """
    if not spans and not INVISIBLE.search(text):
        return _plain(text), range(len(text) + 1)
    kinds = bytearray(len(text))
    for match in INVISIBLE.finditer(text):
        kinds[match.start()] = 1
    for start, end in spans:
        kinds[start:end] = b"\2" * (end - start)
    plain, places, parted = "", [], False
    for place, character in enumerate(_plain(text)):
        if kinds[place]:
            parted |= kinds[place] == 2
            continue
        if parted and character.isalnum() and plain.rstrip(" ")[-1:].isalnum():
            plain += " "
            places.append(place)
        if parted and character in AFTER_WORDS and plain.endswith(" "):
            plain = plain[:-1]
            places.pop()
        plain += character
        places.append(place)
        parted = False
    return plain, [*places, len(text)]
