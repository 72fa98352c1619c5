"""Language codes: ISO 639-1's, and what a file's name or header says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import UserError
from nmt.lines import read_lines

if TYPE_CHECKING:
    from nmt.config import DataConfig

CODES = frozenset(
    code
    for letter, seconds in {
        "a": "abefkmnrsvyz",
        "b": "aeghimnors",
        "c": "aehorsuvy",
        "d": "aevz",
        "e": "elnostu",
        "f": "afijory",
        "g": "adlnuv",
        "h": "aeiortuyz",
        "i": "adegikostu",
        "j": "av",
        "k": "agijklmnorsuvwy",
        "l": "abginotuv",
        "m": "ghiklnrsty",
        "n": "abdeglnorvy",
        "o": "cjmrs",
        "p": "ailst",
        "q": "u",
        "r": "mnouw",
        "s": "acdeghiklmnoqrstuvw",
        "t": "aeghiklnorstwy",
        "u": "gkrz",
        "v": "eio",
        "w": "ao",
        "x": "h",
        "y": "io",
        "z": "ahu",
    }.items()
    for code in map(letter.__add__, seconds)
)
"""ISO 639-1: every language code of two letters."""
COUNTRIES = {
    "cn": "zh",
    "cz": "cs",
    "dk": "da",
    "gb": "en",
    "gr": "el",
    "il": "he",
    "ir": "fa",
    "jp": "ja",
    "ua": "uk",
    "us": "en",
    "vn": "vi",
}
"""Codes of countries, and their languages."""
ASSUMED = ("en", "es")


def check_languages(data: DataConfig) -> None:
    """Raise UserError for a source or target code of two letters that is no language's.

    Longer ones pass: ISO 639-3 has some 8,000, and a column of one's own data may have any name.
    """
    for key, code in (("data.source", data.source), ("data.target", data.target)):
        language = re.split("[-_]", code)[0].lower()
        if len(language) == 2 and language not in CODES:
            near = COUNTRIES.get(language)
            hint = f"did you mean {near}?" if near else "use its ISO 639-1 code, such as en, es or de"
            raise UserError(f"{key}: there is no language {code!r}; {hint}")


def guess_languages(files: Sequence[str]) -> tuple[str, str]:
    """The languages that a header or the files' names tell, else `ASSUMED`."""
    names = [Path(file).name.lower().removesuffix(".gz") for file in files]
    if len(names) == 2:
        ends = [name.rsplit(".", 1)[-1] for name in names]
        return (ends[0], ends[1]) if set(ends) <= CODES else ASSUMED
    if Path(names[0]).suffix in (".tsv", ".tab"):
        header = next(iter(read_lines(files[0])), "").lower().split("\t") if Path(files[0]).is_file() else []
        found = [cell for cell in header if cell in CODES]
        if len(found) == 2:
            return found[0], found[1]
    pair = re.search(r"(?:^|[._-])([a-z]{2})[-_]([a-z]{2})(?=[._-])", names[0])
    return (pair[1], pair[2]) if pair and set(pair.groups()) <= CODES else ASSUMED
