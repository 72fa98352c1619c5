"""What is copied, not translated: links, addresses, emoji, brackets, list markers. The network never reads it."""

from __future__ import annotations

import regex

_EMOJI = r"\p{Extended_Pictographic}\p{EMod}?\ufe0f?"
PHONE = r"(?<![\w.,])(?:\+?\d{1,3} ?)?\(\d{2,4}\) ?\d[\d .-]*\d(?!\w)"
"""A telephone number with a part in brackets; `nmt.text.slots` treats it as a number, so it is not copied."""
# Text, compiled when it is first used: compiling takes milliseconds.
_COPIED = (
    rf"(?P<number>{PHONE})"
    r"|(?:https?://|www\.)[^\s<>\"“”«»]*[^\s<>\"“”«».,;:!?)'’\]]"  # a link, without the mark that ends the sentence
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail address
    r"|(?<![\w&])#\w*\p{L}\w*"
    r"|(?<![\w.])@\w+(?:\.\w+)*"
    r"|(?<=^\s*)(?:\d{1,3}[.)](?=\s+\p{L}|\s*$)|[a-z]\)(?=\s)|-(?=\s*[\p{L}¿¡]))"  # what begins an item, or a speech
    r"|(?<!\w)(?:[:;=8][-o^']?[()\[\]DPpOo3/\\|*]|:'[()]|<3+|\^_*\^|[xX]D)(?!\w)"  # :-) <3 xD
    rf"|(?:(?<!\w)[0-9#*]\ufe0f?\u20e3|\p{{RI}}\p{{RI}}|{_EMOJI}(?:\u200d{_EMOJI})*)+"  # keycaps, flags, other emoji
    r"|(?!\w|\p{Sc} ?\d|(?<=\d ?)[°\p{Sc}]|(?<=\d)/(?=\d)|\+\d|\$)[\p{Ps}\p{Pe}\p{S}&/\\*#•·§]"  # brackets and symbols
)
# A cheap first test: every copied span contains a match, most sentences none.
_HINT = regex.compile(r"[^\w\s.,!?'\"¿¡-]|^\s*[-\d]|[xX]D|www|\u20e3")
_SPELLED = regex.compile(r"[\p{L}\p{N}]")


def copied_spans(text: str) -> list[tuple[int, int]]:
    """Spans of `text`, a `plain_text`, that are copied, in order; all of it if it has neither letters nor digits."""
    if not _SPELLED.search(text):
        return [match.span() for match in regex.finditer(r"\S+", text)]
    if not _HINT.search(text):
        return []
    return [match.span() for match in regex.finditer(_COPIED, text) if match["number"] is None]
