"""The terminal view: every line fits, every cell stands under its word, and the shades are the weights."""

import io
import re

import numpy as np
import pytest
import wcwidth
from hypothesis import given, settings
from hypothesis import strategies as st
from inspection_samples import ENGLISH, SPANISH, synthetic_translation

from nmt.cli.common import wants_colour
from nmt.errors import UserError
from nmt.inspection.colours import colour_table
from nmt.inspection.labels import shorten, visible, width_of
from nmt.inspection.terminal import SHADES, render_alignment
from nmt.joining import join_translations

ESCAPE = re.compile(r"\x1b\[[\d;]*m")
words = st.one_of(
    st.sampled_from(
        ["She", "火车票", "नमस्ते", "أين", "😀", "é", "e\u0301", "\u0301", "\x1b[2J", "\u202e", "a" * 50, "\ud800"]
    ),
    st.text(min_size=1, max_size=12).filter(lambda text: not text.isspace()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=15), st.lists(words, max_size=8), st.integers(12, 120), st.booleans())
def test_every_line_fits_the_width_and_nothing_acts_on_the_terminal(source, target, width, colour):
    picture = render_alignment(synthetic_translation(source, target, layers=0), width, colour)
    for line in picture.split("\n"):
        plain = ESCAPE.sub("", line) if colour else line
        assert "\x1b" not in plain and "\u202e" not in plain
        assert wcwidth.wcswidth(plain) <= width


def test_cells_show_the_tenths_and_brackets_the_links():
    translation = synthetic_translation(ENGLISH[:5], SPANISH[:4], layers=0)
    lines = render_alignment(translation, 80).splitlines()
    side = max(map(len, SPANISH[:4]))
    rows = lines[lines.index("") - 4 : lines.index("")]
    for row, line in enumerate(rows):
        assert line[:side].strip() == SPANISH[row]
        for column in range(6):
            cell = line.ljust(80)[side + 1 + 3 * column : side + 4 + 3 * column]
            assert cell[1] == SHADES[min(int(translation.attention[row, column] * 10), 9)]
            assert (cell[0] + cell[2] == "[]") == ((column, row) in translation.alignment)


def test_a_text_that_is_too_long_for_a_matrix_is_told_of(monkeypatch):
    parts = [synthetic_translation(ENGLISH[:5], SPANISH[:4], layers=0) for _ in range(2)]
    places = [list(range(5)), list(range(5, 10))]
    assert render_alignment(join_translations("a", ENGLISH[:10], parts, places), 80)
    monkeypatch.setattr("nmt.joining.LARGEST_MATRIX", 80)
    whole = join_translations("a", ENGLISH[:10], parts, places)
    with pytest.raises(UserError, match="too long for one matrix"):
        render_alignment(whole, 80)
    assert whole._repr_html_() is None and whole.pharaoh.count("-") == len(whole.alignment) > 0


@pytest.mark.parametrize("true_colour", [True, False])
def test_colour_cells_have_the_colour_of_the_weight(true_colour):
    translation = synthetic_translation(ENGLISH[:5], SPANISH[:4], layers=0)
    picture = render_alignment(translation, 80, colour=True, true_colour=true_colour)
    codes = re.findall(r"48;([\d;]+)m", picture)[: translation.attention.size]
    shades = colour_table(dark=True)[np.round(translation.attention.ravel() * 255).astype(int)]
    if true_colour:
        assert codes == [f"2;{red};{green};{blue}" for red, green, blue in shades]
    else:
        levels = np.array([0, 95, 135, 175, 215, 255])
        for code, shade in zip(codes, shades, strict=True):
            number = int(code.removeprefix("5;")) - 16
            seen = levels[[number // 36, number // 6 % 6, number % 6]]
            assert np.abs(seen - shade.astype(int)).max() <= 48


def test_wide_characters_stand_above_their_columns():
    lines = render_alignment(synthetic_translation(list("我想买票"), ["I", "票"], layers=0), 80).splitlines()
    header = next(line for line in lines if "我" in line)
    positions = [wcwidth.wcswidth(header[: header.index(character)]) for character in "我想买票"]
    assert np.diff(positions).tolist() == [3, 3, 3]
    row = next(line for line in lines if line.startswith("票"))
    other = next(line for line in lines if line.startswith(" I"))
    assert width_of(row[: row.index("[")]) in range(3, 20, 3) and other


def test_a_narrow_terminal_gets_panels_with_every_column():
    translation = synthetic_translation(ENGLISH, SPANISH, layers=0)
    picture = render_alignment(translation, 40)
    assert picture.count("\n" + "domingo") == 3
    assert sum(line.count("[") for line in picture.splitlines()[:-1]) == len(translation.alignment)


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour_only_where_it_is_wanted(environment, terminal, expected):
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    assert wants_colour(stream, environment) is expected


@given(st.text(max_size=30), st.integers(1, 30))
def test_shortened_text_fits(text, width):
    short = shorten(text, width)
    assert width_of(short) <= width
    if width_of(visible(text)) <= width:
        assert short == visible(text)


def test_many_source_words_are_read_in_a_row_and_found_by_their_numbers():
    source = [f"word{letter}" for letter in "abcdefghijklmnopqrst"]
    lines = render_alignment(synthetic_translation(source, SPANISH[:4], layers=0), 100).splitlines()
    listed = " ".join(lines[: lines.index("")]).split()
    assert listed == [part for number, word in enumerate([*source, "</s>"], 1) for part in (str(number), word)]
    assert lines[lines.index("") + 1].split() == [str(number) for number in range(1, 22)]
    assert max(map(len, lines)) <= 100
