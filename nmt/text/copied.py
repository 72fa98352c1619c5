"""What is copied, not translated: emoji, links, addresses, #tags and @names. The network never reads it."""

from __future__ import annotations

import regex

_EMOJI = r"\p{Extended_Pictographic}\p{EMod}?\ufe0f?"
_COPIED = regex.compile(
    r"(?:https?://|www\.)[^\s<>\"“”«»]*[^\s<>\"“”«».,;:!?)'’\]]"  # a link, without the mark that ends the sentence
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail address
    r"|(?<![\w&])#\w*\p{L}\w*"
    r"|(?<![\w.])@\w+(?:\.\w+)*"
    rf"|(?:(?<!\w)[0-9#*]\ufe0f?\u20e3|\p{{RI}}\p{{RI}}|{_EMOJI}(?:\u200d{_EMOJI})*)+"  # keycaps, flags, other emoji
)


# What all of it contains: most sentences do not.
_HINT = regex.compile(r"[@#/©®]|www\.|[^\x00-\u02ff]")


def copied_spans(text: str) -> list[tuple[int, int]]:
    """First and one-past-last character of everything in `text` that is copied, in order."""
    return [] if not _HINT.search(text) else [match.span() for match in _COPIED.finditer(text)]
