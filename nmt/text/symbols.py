"""What is read as words, or not at all: `Salt & pepper`, `Sir/Madam`, `señor/a`, `2.º`."""

from __future__ import annotations

from collections.abc import Mapping

import regex

from nmt.text.copied import SYMBOL_NAME
from nmt.text.slots import Slot

_BETWEEN = r"(?<=\p{{L}}{{2}}) ?{} ?(?=\p{{L}}{{2}})"
_ORDINALS = ("primer", "segund", "tercer", "cuart", "quint", "sext", "séptim", "octav", "noven", "décim")
_HINT = regex.compile(r"[&/(@ºª]|\der|\.er")
READINGS: dict[str, dict[str, str]] = {
    "en": {r"(?<!\p{L})and/(?=or(?!\p{L}))": "", _BETWEEN.format("&"): " and ", _BETWEEN.format("/"): " or "},
    "es": {
        r"(?<!\p{L})y/(?=o(?!\p{L}))": "",
        r"(?<=(?<!\p{L})(?:[Ee]l|[Ll]os|[Uu]n|[Uu]nos|[Aa]l|[Dd]el))(?:/| \()(?:la|las|una|unas)\)?(?!\p{L})": "",
        r"(?<=\p{L}(?:o|os|or|ores))(?:/as?(?!\p{L})|\(as?\))": "",
        r"(?<=\p{L}{2})@(?=s?(?!\p{L}))": "o",
        r"(?<=(?<!\p{L})[SD]r(?:e?s)?\.)/[SD]ra?s?\.": "",
        **{
            rf"(?<![\p{{L}}\p{{N}}.,]){number}\.?{ending}(?!\p{{L}})": stem + {"º": "o", "ª": "a", "er": ""}[ending]
            for number, stem in enumerate(_ORDINALS, 1)
            for ending in (("º", "ª", "er") if stem.endswith("er") else ("º", "ª"))
        },
        r"(?<=\p{N})\.?[ºª](?!\p{L})": "",
        _BETWEEN.format("&"): " y ",
        _BETWEEN.format("/"): " o ",
    },
}
"""What is read for what matches, by language; the first match at a place counts."""


OR = frozenset({"or", "o", "u"})


def symbol_slots(text: str, readings: Mapping[str, str]) -> list[Slot]:
    """The places in `text` outside names where `readings` match, each with its reading."""
    if not _HINT.search(text):
        return []
    taken = [match.span() for match in regex.finditer(SYMBOL_NAME, text)]
    found: list[Slot] = []
    for pattern, reading in readings.items():
        for start, end in (match.span() for match in regex.finditer(pattern, text)):
            if not any(start < last and first < end for first, last in taken):
                taken.append((start, end))
                found.append(Slot(start, end, reading))
    return sorted(found)
