"""Final marks of a translation: those of its source."""

from __future__ import annotations

import regex

_FINAL = ".!?…:,"
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]$")
_ABBREVIATION = regex.compile(r"(?:(?<![\p{L}\p{M}\p{N}])\p{L}|UU|etc)$")
"""What keeps its point: `p. m.`, `EE. UU.`"""


def with_final_marks(source: str, text: str) -> str:
    """`text`, a translation of `source`, with the final marks that the source ends in.

    The network, which knows sentences, adds a full stop to `good night`, and writes one for `:`, `...` and `!!!`. Other
    marks of its own stay, such as those of a question without any: `where are you` becomes `¿Dónde estás?`.
    """
    source = source.rstrip()
    words = text.rstrip(_FINAL)
    own, written = source[len(source.rstrip(_FINAL)) :], text[len(words) :]
    if not _WORD.search(words):
        return text
    if not own:
        added = written == "." and _WORD.search(source) and not _ABBREVIATION.search(words)
        return words if added else text
    replaced = {".": {""}, ":": {"", ".", ","}, "...": {"", "."}, "…": {"", "."}}
    several = written in ("!", "?") and set(own) == {written}
    return words + own if several or written in replaced.get(own, ()) else text
