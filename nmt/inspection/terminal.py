"""An alignment matrix in the terminal: shaded blocks in colour, plain characters without."""

import os

import numpy as np
import wcwidth

from nmt.confidence import LOW, LOW_WORD, doubtful, in_words
from nmt.inspection.colours import colour_table, text_on
from nmt.inspection.labels import reads_right_to_left, shorten, width_of
from nmt.text.words import split_words
from nmt.translation import END_OF_SENTENCE, Translation

SHADES = " .:-=+*#%@"
"""Plain shades: the k-th stands for weights of at least k tenths."""

_CELL = 3
_TALLEST_LABEL = 12
_MOST_DOWNWARDS = 12
_RESET, _DIM, _UNDERLINED = "\x1b[0m", "\x1b[2m", "\x1b[4m"
_DOUBT = "?"
"""Stands after a doubtful word beside the matrix."""


def marked_text(translation: Translation) -> str:
    """The translation with doubtful words underlined and, if it is low, its confidence after it, dim."""
    text, done = "", 0
    for word, doubt in zip(split_words(translation.text), doubtful(translation), strict=False):
        if doubt:
            text += f"{translation.text[done : word.start]}{_UNDERLINED}{word.text}{_RESET}"
            done = word.end
    text += translation.text[done:]
    confidence = translation.confidence
    if confidence is None or confidence >= LOW:
        return text
    return f"{text}  {_DIM}({in_words(confidence)}){_RESET}"


def render_alignment(
    translation: Translation, width: int = 80, colour: bool = False, true_colour: bool | None = None
) -> str:
    """The alignment matrix as lines of at most `width` columns: source words on top, read downwards.

    More than twelve source words are listed above the matrix in reading order, with column numbers. Each cell is
    three columns wide; `[ ]` around it is a link. A doubtful target word is followed by `?`. A matrix that is too wide
    continues in panels below, and long target words are shortened. The least width is 12 columns.

    Args:
        translation: what to draw.
        width: columns of the terminal.
        colour: shade cells with colours instead of characters.
        true_colour: 24-bit colours instead of the 256-colour palette; by default as `$COLORTERM` says.

    Raises:
        UserError: the translation has no alignment.
    """
    attention, alignment = translation.aligned()
    if true_colour is None:
        true_colour = os.environ.get("COLORTERM") in {"truecolor", "24bit"}
    width = max(width, 12)
    source = [*translation.source_words, END_OF_SENTENCE]
    doubts = doubtful(translation)
    words = [word + _DOUBT * doubt for word, doubt in zip(translation.target_words, doubts, strict=True)]
    longest = max((width_of(shorten(word, width)) for word in words), default=0)
    side = min(longest, max(width // 3, 4))
    per_panel = max((width - side - 1) // _CELL, 1)
    links = set(alignment)
    numbered = len(translation.source_words) > _MOST_DOWNWARDS
    lines = [*_listed(source, width), ""] if numbered else []
    headings = [_number(column) for column in range(len(source))] if numbered else [_stack(word) for word in source]
    for start in range(0, len(source), per_panel):
        columns = range(start, min(start + per_panel, len(source)))
        if start:
            lines.append("")
        lines += _header([headings[column] for column in columns], side)
        for row, word in enumerate(words):
            cells = (
                _cell(float(attention[row, column]), (column, row) in links, colour, true_colour) for column in columns
            )
            lines.append(_side(word, side, doubts[row] and colour) + " " + "".join(cells))
    lines += ["", *_legend(width, colour, true_colour)]
    if translation.attention_name and width_of(translation.attention_name) <= width:
        lines.append(translation.attention_name)
    doubt = f"{_DOUBT} doubtful: word confidence below {LOW_WORD:g}"
    if any(doubts) and len(doubt) <= width:
        lines.append(doubt)
    if translation.confidence is not None and len(in_words(translation.confidence)) <= width:
        lines.append(in_words(translation.confidence))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _header(stacks: list[list[str]], side: int) -> list[str]:
    """Columns' headings written downwards, their last characters just above the matrix."""
    height = max(map(len, stacks))
    stacks = [[""] * (height - len(stack)) + stack for stack in stacks]
    return [" " * (side + 1) + "".join(_centred(stack[line]) for stack in stacks) for line in range(height)]


def _listed(words: list[str], width: int) -> list[str]:
    """The words in reading order, each after its column's number, in lines of at most `width` columns."""
    lines = [""]
    for column, word in enumerate(words):
        number = f"{column + 1} "
        label = number + _label(word, 0, width - len(number))
        room = width - width_of(lines[-1]) - 2
        if not lines[-1]:
            lines[-1] = label
        elif width_of(label) <= room:
            lines[-1] += "  " + label
        else:
            lines.append(label)
    return lines


def _number(column: int) -> list[str]:
    """A column's number from 1: at most two digits a line, hundreds above them."""
    digits = str(column + 1)
    return [digits[:-2], digits[-2:]] if len(digits) > 2 else [digits]


def _stack(word: str) -> list[str]:
    """The grapheme clusters of a word, at most `_TALLEST_LABEL`; accents stay on their letters."""
    stack: list[str] = []
    for grapheme in wcwidth.iter_graphemes(shorten(word, 1000)):
        if width_of(grapheme) == 0 and stack:
            stack[-1] += grapheme
        else:
            stack.append(grapheme if 0 < width_of(grapheme) < _CELL else "\N{REPLACEMENT CHARACTER}")
    return stack if len(stack) <= _TALLEST_LABEL else [*stack[: _TALLEST_LABEL - 1], "⋮"]


def _centred(grapheme: str) -> str:
    room = _CELL - width_of(grapheme)
    return " " * (room - room // 2) + grapheme + " " * (room // 2)


def _label(word: str, side: int, most: int) -> str:
    """A word of at most `most` columns, right-aligned in `side` columns."""
    word = shorten(word, most)
    # A left-to-right mark keeps terminals that know about direction from turning the whole line round.
    mark = "\N{LEFT-TO-RIGHT MARK}" if reads_right_to_left([word]) else ""
    return mark + " " * (side - width_of(word)) + word + mark


def _side(word: str, side: int, dim: bool) -> str:
    """A target word's label; its last character dim where that is the mark of doubt."""
    label = _label(word, side, side)
    return f"{label[:-1]}{_DIM}{_DOUBT}{_RESET}" if dim and label.endswith(_DOUBT) else label


def _cell(weight: float, link: bool, colour: bool, true_colour: bool) -> str:
    left, right = "[]" if link else "  "
    if not colour:
        return left + SHADES[min(max(int(weight * len(SHADES)), 0), len(SHADES) - 1)] + right
    shade = colour_table(dark=True)[int(np.clip(round(weight * 255), 0, 255))]
    ink = 30 if text_on(shade) == "black" else 97
    return f"\x1b[{ink};48;{_colour_code(shade, true_colour)}m{left} {right}{_RESET}"


def _colour_code(shade: np.ndarray, true_colour: bool) -> str:
    red, green, blue = (int(channel) for channel in shade)
    if true_colour:
        return f"2;{red};{green};{blue}"
    # The palette's cube has six levels a channel: 0, 95, 135, 175, 215, 255.
    levels = np.array([0, 95, 135, 175, 215, 255])
    nearest = [int(np.abs(levels - channel).argmin()) for channel in (red, green, blue)]
    return f"5;{16 + 36 * nearest[0] + 6 * nearest[1] + nearest[2]}"


def _legend(width: int, colour: bool, true_colour: bool) -> list[str]:
    if colour:
        scale = "".join(_cell(weight, False, colour, true_colour) for weight in (0, 0.25, 0.5, 0.75, 1))
        parts = [(f"weight 0 {scale} 1", len("weight 0  1") + 5 * _CELL), ("[ ] link", 8)]
    else:
        parts = [(f"weight 0 |{SHADES}| 1", len("weight 0 || 1") + len(SHADES)), ("[ ] link", 8)]
    if sum(size for _, size in parts) + 3 <= width:
        return ["   ".join(text for text, _ in parts)]
    return [text for text, size in parts if size <= width]
