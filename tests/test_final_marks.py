"""Final marks are the source's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import Translator
from nmt.text.marks import with_final_marks


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("good night", "Buenas noches.", "Buenas noches"),
        ("Good night.", "Buenas noches", "Buenas noches."),
        ("Good night.", "Buenas noches.", "Buenas noches."),
        ("where are you", "¿Dónde estás?", "¿Dónde estás?"),
        ("Ingredients:", "Ingredientes.", "Ingredientes:"),
        ("Ingredients:", "Ingredientes,", "Ingredientes:"),
        ("Maybe...", "Quizás.", "Quizás..."),
        ("Maybe… ", "Quizás", "Quizás…"),
        ("Stop!!!", "¡Para!", "¡Para!!!"),
        ("Really?!", "¡De verdad!", "¡De verdad!"),
        ("at 5 p.m", "a las 5 p. m.", "a las 5 p. m."),
        ("in the U.S", "en EE. UU.", "en EE. UU."),
        ('He said "no"', 'Dijo "no".', 'Dijo "no".'),
        ("", ".", "."),
    ],
)
def test_a_translation_ends_as_its_source(source, text, expected):
    assert with_final_marks(source, text) == expected


@given(st.text("ab .!?…:,\"'"), st.text("ab .!?…:,\"'"))
def test_no_letter_changes_and_once_is_enough(source, text):
    once = with_final_marks(source, text)
    assert once.rstrip(".!?…:,") == text.rstrip(".!?…:,")
    assert with_final_marks(source, once) == once
    assert with_final_marks(text, text) == text


def test_long_runs_take_linear_time():
    assert with_final_marks("." * 1_000_000 + "x", "." * 1_000_000 + "y") == "." * 1_000_000 + "y"


def test_words_and_links_are_those_of_the_text():
    translator = Translator.load("tatoeba-en-es")
    for text in ("Game of Thrones", "good night 🙂", "Maybe...", "Ingredients:", "I have 5", "My name is Zork"):
        found = translator.translate(text)
        assert "".join(found.target_words) == found.text.replace(" ", "")
        assert found.attention.shape == (len(found.target_words), len(found.source_words) + 1)
        assert max(target for _, target in found.alignment) < len(found.target_words)
        assert found.text.rstrip("🙂 ")[-1] == (
            text.rstrip("🙂 ")[-1] if text[-1] in ".:" else found.text.rstrip("🙂 ")[-1]
        )
        assert not found.text.endswith(".") or text.endswith(".")
