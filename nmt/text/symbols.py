"""What is read as words, or not at all: `Salt & pepper`, `Sir/Madam`, `señor/a`, `2.º`, `thx`, `—Hola —dijo`."""

from __future__ import annotations

from collections.abc import Mapping

import regex

from nmt.text.copied import SYMBOL_NAME
from nmt.text.slots import Slot

_BETWEEN = r"(?<=\p{{L}}{{2}}) ?{} ?(?=\p{{L}}{{2}})"
_ALONE = r"(?<![\p{{L}}\p{{N}}'.&@#/_-])(?:{})(?![\p{{L}}\p{{N}}'.&@/_-]*[\p{{L}}\p{{N}}&@/_-])"
_LIST = _BETWEEN.format("/") + r"(?=\p{L}+ ?/ ?\p{L}{2})"
_ORDINALS = {"1": "primer", "2": "segund", "3": "tercer"}
_UNITS = {
    "lbs?": "pounds",
    "oz": "ounces",
    "ft": "feet",
    "tbsps?": "tablespoons",
    "tsps?": "teaspoons",
    "hrs?": "hours",
}
_MESSAGES = {
    "en": {
        **{"ur(?= (?:the|an?|so|not|my|too|very)(?!\\p{L}))": "you are"},
        **{"u": "you", "ur": "your", "thx": "thanks", "pl[sz]": "please", "ppl": "people", "btw": "by the way"},
        **{"r(?= (?:u|you)(?!\\p{L}))": "are", "(?<=(?:u|you|we|they) )r": "are", "tmrw?": "tomorrow"},
        **{"fyi": "for your information", "asap": "as soon as possible", "imh?o": "in my opinion", "omg": "oh my God"},
        **{"brb": "I'll be right back", "omw": "on my way", "nvm": "never mind"},
        **{
            "ttyl": "see you later",
            "idk": "I don't know",
            "idc": "I don't care",
            "(?<=(?:see|love|miss|thank) )ya": "you",
        },
    },
    "es": {
        **{"[xp]q|porq": "porque", "q": "que", "tm?b|tbn": "también", "bn": "bien", "xfa": "por favor"},
        **{"(?<=\\p{L} )x(?= \\p{L})": "por", "dnd": "donde"},
        **{"tq[mi]|tkm": "te quiero mucho", "ntp": "no te preocupes", "k(?= (?:tal|haces|hora|pas[aó]))": "qué"},
        **{"salu2": "saludos", "bss": "besos", "finde": "fin de semana"},
    },
}
"""What people write for words in messages."""
_SHORT = "|".join([*_UNITS, *_MESSAGES["en"], *_MESSAGES["es"]])
_SAYS = (
    "dij[eo]|preguntó|pregunté|respondió|respondí|contestó|contesté|exclamó|gritó|grité|murmuró|susurró|añadió|replicó|"
    "insistió|repitió|pensó|explicó|ordenó|suplicó|comentó|continuó|interrumpió|dice|pregunta|responde|contesta"
)
_SPEECH = rf"(?:{_SAYS})(?!\p{{L}})[^-]*"
"""What stands behind the dash after a speech: `dijo él`."""
_HINT = regex.compile(
    rf"[&/(@ºª]|^\s*-|\d\.?\p{{L}}|\p{{L}}\.(?=\s*\S)|(?i:uds?\.)|(?<![\p{{L}}'])(?i:{_SHORT})(?![\p{{L}}'])"
)
"""A cheap first test: every match of a reading contains one of this, most sentences none."""
READINGS: dict[str, dict[str, str]] = {
    "en": {
        r"(?<!\p{L})and/(?=or(?!\p{L}))": "",
        r"(?<!\p{L})w/o ": "without ",
        r"(?<!\p{L})w/ ": "with ",
        r"(?<!\p{L})s/(?=he(?!\p{L}))": "",
        r"(?<!\p{L})fig\. ?(?=\p{N})": "figure ",
        r"(?<!\p{L})p\. ?(?=\p{N})": "page ",
        r"(?<!\p{L})No\. ?(?=\p{N})": "number ",
        r"(?<!\p{L})vs\.(?= )": "versus",
        **{rf"(?<=\p{{N}} ?){unit}(?!\p{{L}})": reading for unit, reading in _UNITS.items()},
        **{_ALONE.format(word): reading for word, reading in _MESSAGES["en"].items()},
        r"(?<!\p{L})e\.g\.": "for example",
        r"(?<!\p{L})i\.e\.": "that is",
        r"(?<=\p{L}) & (?=\p{L})": " and ",
        _BETWEEN.format(r"&(?!\p{L}+;)"): " and ",
        _LIST: ", ",
        _BETWEEN.format("/"): " or ",
    },
    "es": {
        rf"(?<=^\s*)- ?(?=[^\s-][^-]{{1,200}} - ?{_SPEECH}-?\.?\s*$)": '"',
        rf"(?<=^\s*-[^-]{{1,200}}) - ?(?={_SPEECH}-?\.?\s*$)": '", ',
        rf"(?<=^\s*-[^-]{{1,200}} - ?{_SPEECH})-(?=\.?\s*$)": "",
        r"(?<!\p{L})y/(?=o(?!\p{L}))": "",
        r"(?<=(?<!\p{L})(?:el|los|un|unos|al|del))(?:/| ?\()(?:la|las|a|una|unas)\)?(?!\p{L})": "",
        r"(?<=\p{L}(?:o|os|or|ores))(?:/as?(?!\p{L})|\(as?\))": "",
        r"(?<=\p{L})@(?=s?(?!\p{L}))": "o",
        r"(?<=(?<!\p{L})[SD]r(?:e?s)?\.)/(?:[SD]r)?as?\.": "",
        **{
            rf"(?<![\p{{L}}\p{{N}}.,]){number}\.?{ending}(?!\p{{L}})": stem + {"º": "o", "ª": "a", "er": ""}[ending]
            for number, stem in _ORDINALS.items()
            for ending in (("º", "ª", "er") if stem.endswith("er") else ("º", "ª"))
        },
        r"(?<=\p{N})(?:\.[ºª]|ª|(?<=(?<!\p{N})(?:1?\p{N}|2[01]))º)(?!\p{L})": "",
        r"(?<=\p{N})(?:do|ro|to|mo|vo|no)(?!\p{L})": "",
        **{_ALONE.format(word): reading for word, reading in _MESSAGES["es"].items()},
        r"(?<!\p{L})Uds\.": "ustedes",
        r"(?<!\p{L})Ud\.": "usted",
        r"(?<!\p{L})(?:n\.?º|núm\.) ?(?=\p{N})": "número ",
        r"(?<!\p{L})fig\. ?(?=\p{N})": "figura ",
        r"(?<!\p{L})págs?\. ?(?=\p{N})": "página ",
        r"(?<!\p{L})s\. (?=[XVI]+(?!\p{L}))": "siglo ",
        r"(?<=\p{N} )a\. ?C\.": "antes de Cristo",
        r"(?<!\p{L})EE\.UU\.": "EE. UU.",
        r"(?<!\p{L})C/ ?(?=\p{L}{2})": "calle ",
        r"(?<!\p{L})s/n(?!\p{L})": "sin número",
        r"(?<=\p{L}) & (?=\p{L})": " y ",
        _BETWEEN.format(r"&(?!\p{L}+;)"): " y ",
        _LIST: ", ",
        _BETWEEN.format("/"): " o ",
    },
}
"""What is read for what matches, by language, in whatever casing; the first match at a place counts."""


OR = frozenset({"or", "o", "u", ","})
"""What is written between alternatives."""


def symbol_slots(text: str, readings: Mapping[str, str]) -> list[Slot]:
    """The places in `text` outside names where `readings` match, each with its reading."""
    if not (readings and _HINT.search(text)):
        return []
    taken = {place for match in regex.finditer(SYMBOL_NAME, text) for place in range(*match.span())}
    found: list[Slot] = []
    for pattern, reading in readings.items():
        for start, end in (match.span() for match in regex.finditer(pattern, text, regex.IGNORECASE)):
            if taken.isdisjoint(range(start, end)):
                taken.update(range(start, end))
                found.append(Slot(start, end, reading))
    return sorted(found)
