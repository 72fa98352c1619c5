"""What is copied, not translated: links, addresses, emoji, tags, brackets, list markers. The network never reads it."""

from __future__ import annotations

import regex

from nmt.text.typography import CODE, without

_EMOJI = r"\p{Extended_Pictographic}\p{EMod}?\ufe0f?"
PHONE = r"(?<![\w.,])(?:\+?\d{1,3} ?)?\(\d{2,4}\) ?\d[\d .-]*\d(?!\w)"
"""A telephone number with a part in brackets; `nmt.text.slots` treats it as a number, so it is not copied."""
_FILES = (
    "txt|pdf|docx?|xlsx?|pptx?|csv|tsv|json|xml|html?|css|py|js|md|ya?ml|toml|jpe?g|png|gif|svg|mp[34]|zip|gz|exe|"
    "com|org|net|edu|io|uk|es|eu|info"
)
_RAISED, _LOWERED = "\u00b2\u00b3\u00b9\u2070\u2074-\u2079", "\u2080-\u2089"
_TERM = rf"(?:\p{{L}}{{1,2}}[{_RAISED}{_LOWERED}]*|\d[\d.,]*)"
SYMBOL_NAME = (
    r"(?<![\w&.])(?:\p{Lu}{1,2}&\p{Lu}s?|\p{Lu}(?:\+\+|#)\d*|\p{Lu}\+\p{Lu}|\p{Lu}*\.NET)(?![\w&+#])"
    r"|(?<![\w.])(?!(?:U\.[SKN]|U\.S\.A|[AP]\.M)\.(?!\p{Lu}))\p{Lu}\p{Ll}?\.(?:\p{Lu}\.)+(?!\w)"
    r"|(?<![\w./\\~-])(?:[A-Za-z]:|~)?(?:[/\\][\w.-]*\w){2,}(?![\w/\\@])"
    rf"|(?<![\w./\\~@-])(?:[\w-]+[./])+(?i:{_FILES})(?:\.\p{{Ll}}{{2}})?(?:/[\w./-]*\w)?(?![\w/\\@])"
    r"|(?<![\w\p{N}.])[\p{L}\p{N}]+(?:_[\p{L}\p{N}]+)+(?!\w)"
    rf"|(?<![\w.,+*×÷/^=-])(?<![-+*×÷/^=] )(?:{_TERM} ?[-+*×÷/^] ?)*+{_TERM} ?= ?{_TERM}"
    rf"(?: ?[-+*×÷/^=] ?{_TERM})*(?![\w.,]*\w)"
    rf"|(?<![\w.,/])(?:\p{{L}}{{1,3}}[{_RAISED}]+(?!\w)|[\p{{L}}\d]*[{_LOWERED}][\p{{L}}\d{_LOWERED}]*)"
    rf"|\{{\{{?[\w.]*\}}\}}?|\$\{{[\w.]*\}}|%(?:\d\$)?s(?!\w)|{CODE}"
)
"""A name with a symbol or points, a file's or a site's, an equation or formula, code between grave accents, or what a
program fills in: `AT&T`, `C++`, `D.C.`, `notes.txt`, `H₂O`, `{name}`. `nmt.text.names` treats it as a name, so it is
not copied either."""
UNIT = r"\p{L}{1,2}/[hls][²³]?(?!\w)"
"""A unit with a stroke, such as `km/h`; it belongs to the number before it."""
# Patterns, compiled when they are first used: compiling takes milliseconds.
_ASIDE = (
    r"(?<=\s)\((?=[¿¡\"]?\p{L}|\d[\d.,]* ?\p{L})"
    r"(?!(?i:that|who|whose|which|que|quien|cuyo|cuya|cuyos|cuyas)\b)"  # a relative clause
    r"(?:[^()\[\]{}<>.:;]|\.(?=\s[\p{Ll}\d])){2,60}\)(?![\w(\[])"
)
_COPIED = (
    r"\]\([^()\s]+\)|(?:https?://|www\.)[^\s<>\"“”«»]*[^\s<>\"“”«».,;:!?)'’\]]"  # a link without the final mark
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail address
    rf"|(?P<slot>{PHONE}|{SYMBOL_NAME})"
    r"|(?<![\w&])#\w*\p{L}\w*"
    r"|(?<![\w.])@\w+(?:\.\w+)*"
    r"|(?<=^\s*)(?:\d{1,3}(?:[.)]|\.?-)(?=\s+\S|\s*$)|[A-Za-z]\)(?=\s)|-(?=\s+\S|[^\s\d\p{Sc}.-]))"  # items, speech
    r"|(?<=\p{L})\(e?s\)"  # word(s)
    r"|</?\p{L}[\w-]*(?:\s[^<>]*=[^<>]*)?\s*/?>|&(?:\w+|#\d+);"  # tags, entities
    r"|_{2,}|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)"  # lines to write on, emphasis
    r"|\[[ xX]\]|\([cCrR]\)|(?<=\s)\(\p{Lu}\)|(?<=^\s*)\(\w\)(?=\s)"  # [x] (c) (a)
    r"|(?<!\w)(?:[:;=8][-o^']?[()\[\]DPpOo3/\\|*]|:'[()]|<3+|\^_*\^|[xX]D)(?!\w)"  # :-) <3 xD
    rf"|(?:(?<!\w)[0-9#*]\ufe0f?\u20e3|\p{{RI}}\p{{RI}}|{_EMOJI}(?:\u200d{_EMOJI})*)+"  # keycaps, flags, other emoji
    r"|(?!\w|\p{Sc} ?\d|(?<=\d ?)[°\p{Sc}]|(?<=\d)/(?=\d)|(?<=\d ?\p{L}{1,2})/(?=[hls](?!\w))|"
    r"\+\d|\$)[\p{Ps}\p{Pe}\p{S}&/\\*#•·§]"  # brackets and symbols
)
# A cheap first test: every copied span contains a match, most sentences none.
_HINT = regex.compile(r"[^\w\s.,!?'\"¿¡-]|^\s*[-\d]|[xX]D|www|_|\u20e3")
_LETTER, _SPELLED = regex.compile(r"\p{L}"), regex.compile(r"[\p{L}\p{N}]")


def copied_spans(text: str, numbers: bool = False, asides: bool = False) -> list[tuple[int, int]]:
    """Spans of `text`, a `plain_text`, that are copied, in order; all of it if it has neither letters nor digits, or,
    with `numbers`, no letters. With `asides`, these are spans too, if they leave letters."""
    if not (_LETTER if numbers else _SPELLED).search(text):
        return [match.span() for match in regex.finditer(r"\S+", text)]
    if not _HINT.search(text):
        return []
    pattern = f"{_ASIDE}|{_COPIED}" if asides and "(" in text else _COPIED
    spans = [match.span() for match in regex.finditer(pattern, text) if match["slot"] is None]
    if pattern != _COPIED and not _LETTER.search(without(text, spans)[0]):
        return copied_spans(text, numbers)
    return spans


def is_aside(text: str, span: tuple[int, int]) -> bool:
    """Whether a copied span is an aside, words in brackets such as `(more or less)`; not the `(es)` of `box(es)`."""
    start, end = span
    return text[start] == "(" and text[end - 1] == ")" and end - start > 3 and not text[start - 1].isalpha()
