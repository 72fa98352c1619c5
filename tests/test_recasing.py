"""Capitals within a sentence: `White House` is read as `white house`, and written `Casa Blanca`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import Translator
from nmt.recasing import with_capitals
from nmt.text.encoding import Encoding
from nmt.text.names import COLLOCATION, KnownWords
from nmt.text.usual_case import MARGIN, rarely_capitalized
from nmt.text.words import split_words
from nmt.translation import Translation

NAMES = ["White House", "Secretary of State", "Bank", "Supreme Court", "Ministry of Health", "Yellow River", "Old Town"]
FRAMES = ["We saw the {} again.", "Where is the {}?", "Is it (the {})?", "My friend lives by the {}, they say."]


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load("tatoeba-en-es", threads=1)


@given(st.sampled_from(NAMES), st.sampled_from(FRAMES))
def test_a_name_of_known_words_has_the_pieces_of_these_in_lower_case(shipped, name, frame):
    subwords = shipped.subwords
    typed, lower = (subwords.encode(frame.format(form)) for form in (name, name.lower()))
    assert typed.ids == lower.ids and typed.spans == lower.spans and not lower.lowered
    assert [typed.text[slice(*span)] for span in typed.lowered] == [word for word in name.split() if word != "of"]


@pytest.mark.parametrize(
    "text",
    [
        "I met Tom on Monday in the United States.",  # likelier with a capital
        "I saw the Black Sea and the Pacific Ocean.",  # known together
        "WE SAW THE WHITE HOUSE",
        'He said: "House!"',
        "My dog is called Lucky.",
        "She works on Wall Street.",  # copied
    ],
)
def test_what_is_read_as_it_is_typed(shipped, text):
    encoding = shipped.subwords.encode(text)
    assert [text[slice(*span)] for span in encoding.lowered] == []


@given(st.text("ab", min_size=1, max_size=3), st.floats(-50, 0), st.floats(-50, 0))
def test_the_likelier_form_is_read(word, lower, capital):
    name, scores = word.capitalize(), {word: lower, word.capitalize(): capital}
    text, score = f"x {name} y", scores.__getitem__
    found = rarely_capitalized(text, {word, name}, [], score)
    assert found == ([(2, 2 + len(word))] if len(word) > 1 and lower > capital + MARGIN else [])
    assert rarely_capitalized(text, {word, name}, [(0, 3)], score) == []
    assert rarely_capitalized(text, {name}, [], score) == []
    assert rarely_capitalized(f"x {name} {name}", {word, f"{name} {name}"}, [], score) == []


def test_two_words_are_known_together_once_they_were_seen_often():
    pairs = [("We saw the Black Sea.", f"{number}") for number in range(COLLOCATION)] + [("At the Red Sea.", "")] * 2
    assert "Black Sea" in KnownWords.of(pairs).words and "Black Sea" not in KnownWords.of(pairs[1:]).words
    assert "Red Sea" not in KnownWords.of(pairs).words


@pytest.mark.parametrize(
    "source, lowered, text, links, language, wanted",
    [
        ("At the White House.", "White House", "En la casa blanca.", "1-1 2-3 3-2", "es", "En la Casa Blanca."),
        ("La Casa es blanca.", "Casa", "The house is white.", "0-0 1-1 2-2 3-3", "en", "The house is white."),
        ("A State of Peace.", "State Peace", "Un estado de paz.", "1-1 2-2 3-3", "es", "Un Estado de Paz."),
        ("Meet Uncle Tom.", "Uncle", "Conoce al tío Tom.", "0-0 1-2 2-3", "es", "Conoce al tío Tom."),
        ("Conoce al Tío Tom.", "Tío", "Meet uncle Tom.", "0-0 2-1 3-2", "en", "Meet Uncle Tom."),
        ("A Bad and Sad day.", "Bad Sad", "Un día malo y triste.", "1-2 2-3 3-4 4-1", "es", "Un día malo y triste."),
        ("The Big Red car.", "Big Red", "El coche rojo.", "1-1 2-2 3-1", "es", "El coche Rojo."),  # linked to `car` too
        ("The Big Red Dog.", "Big Red Dog", "El gran de.", "1-1 2-2", "es", "El Gran de."),
    ],
)
def test_a_name_of_several_words_is_written_with_capitals(source, lowered, text, links, language, wanted):
    words = {word.text: (word.start, word.end) for word in split_words(source)}
    encoding = Encoding(source, [], [], lowered=[words[word] for word in lowered.split()])
    pairs = sorted((int(own), int(target)) for own, target in (link.split("-") for link in links.split()))
    targets = [word.text for word in split_words(text)]
    found = with_capitals(Translation(source, text, 0.0, list(words), targets, None, pairs), encoding, language)
    assert found.text == wanted and found.target_words == [word.text for word in split_words(wanted)]


@pytest.mark.parametrize("name", ["tatoeba-en-es", "tatoeba-es-en"])
def test_the_translation_differs_in_capitals_alone(name):
    translator = Translator.load(name, threads=1)
    frames = ["I saw {} there.", "It is near {}."] if name == "tatoeba-en-es" else ["Lo vi en {}.", "Está cerca de {}."]
    names = ["the Botanical Garden", "the Old Bridge"] if name == "tatoeba-en-es" else ["la Biblioteca Nacional"]
    for frame in frames:
        for one in names:
            typed, lower = translator.translate([frame.format(one), frame.format(one.lower())])
            assert typed.text.lower() == lower.text.lower() and typed.alignment == lower.alignment
            capitals = [word for word in typed.target_words[1:] if word[0].isupper()]
            assert len(capitals) == 2 and not [word for word in lower.target_words[1:] if word[0].isupper()]
