"""Language codes: which ones exist, and which a file's name or header implies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import UserError
from nmt.lines import read_lines

if TYPE_CHECKING:
    from nmt.config import DataConfig

_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn
so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
CODES = frozenset(_CODES.split())
"""The ISO 639-1 language codes."""
COUNTRIES = dict(cn="zh", cz="cs", dk="da", gb="en", gr="el", il="he", ir="fa", jp="ja", ua="uk", us="en", vn="vi")
"""Country codes that are mistaken for language codes, and the languages meant."""
_NAMES = """
arabic=ar catalan=ca chinese=zh czech=cs danish=da dutch=nl english=en finnish=fi french=fr german=de greek=el hebrew=he
hindi=hi hungarian=hu italian=it japanese=ja korean=ko norwegian=no polish=pl portuguese=pt romanian=ro russian=ru
spanish=es swedish=sv turkish=tr ukrainian=uk vietnamese=vi
"""
NAMES = dict(name.split("=") for name in _NAMES.split())
"""English names of languages, and their codes."""
ASSUMED = ("en", "es")


def check_languages(data: DataConfig) -> None:
    """Raise UserError as `check_language` for the source and the target."""
    check_language("data.source", data.source)
    check_language("data.target", data.target)


def check_language(key: str, code: str) -> None:
    """Raise UserError, naming `key`, for a code of two letters that is not in ISO 639-1.

    Longer codes pass: ISO 639-3 has some 8,000, and columns of your own data may have any name.
    """
    language = re.split("[-_]", code)[0].lower()
    if len(language) == 2 and language not in CODES:
        near = COUNTRIES.get(language)
        hint = f"did you mean {near}?" if near else "use its ISO 639-1 code, such as en, es or de"
        raise UserError(f"{key}: there is no language {code!r}; {hint}")


def guess_languages(files: Sequence[str]) -> tuple[str, str]:
    """The languages that the header or the file names imply, else `ASSUMED`."""
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
