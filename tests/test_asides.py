"""Asides in brackets, which are translated by themselves: `My brother (the older one) lives here.`"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt import Translator
from nmt.text.copied import is_aside

HOSTS = ["My brother {} lives in Madrid.", "Tickets are free {}.", "I have a red car {} and a house.", "Is it far {}?"]
ASIDES = ["more or less", "the older one", "of course", "Tom and Zork", "after dinner", "2 hours by car", "I think"]


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load("tatoeba-en-es")


@pytest.mark.parametrize(
    ("text", "asides"),
    [
        ("See you tomorrow (maybe).", ["(maybe)"]),
        ("The door (“the big one”) is open (I think), no?", ["(“the big one”)", "(I think)"]),
        ("My uncle (who lives in Peru) is here.", []),  # the sentence has the antecedent
        ("Call (555) 010-7788 or (404) and the box(es) of size (M).", []),
        ("The invoice (no. 1048) and milk (2 liters).", ["(no. 1048)", "(2 liters)"]),
        ("(She stayed.) They left.", []),
        ("😀 (hello)", []),  # nothing else to translate
        ("Read [the book (a novel)](https://a.b/c) now.", ["(a novel)"]),
        ("f(x) is a (sic) function (x, y", ["(sic)"]),
    ],
)
def test_what_an_aside_is(shipped, text, asides):
    found = shipped.subwords.encode(text, apart=True).copied
    assert [text[slice(*span)] for span in found if is_aside(text, span)] == asides
    assert not any(is_aside(text, span) for span in shipped.subwords.encode(text).copied)


@given(st.lists(st.sampled_from(["the car", "(more or less)", "🙂", "_very_ red", "(a)", "Zork", "5,"]), min_size=2))
def test_no_piece_covers_what_is_copied(shipped, parts):
    encoding = shipped.subwords.encode("It is " + " ".join(parts), apart=True)
    covered = [word for words in encoding.words_of_piece for word in words]
    assert set(covered) == set(encoding.translated_words) and covered == sorted(covered)


@given(st.sampled_from(HOSTS), st.sampled_from(ASIDES), st.sampled_from(["ctranslate2", "torch"]))
@settings(max_examples=12)
def test_it_stands_in_brackets_where_an_emoji_would(shipped, host, aside, engine):
    translator = shipped if engine == "ctranslate2" else Translator.load("tatoeba-en-es", "torch")
    found, around, within = translator.translate([host.format(f"({aside})"), host.format("🙂"), aside])
    fragment = within.text if aside[0] != "I" else within.text.lower()
    assert found.text == around.text.replace("🙂", f"({fragment})")
    assert "".join(found.target_words) == found.text.replace(" ", "")
    # Rows and links are those of the two translations.
    assert found.attention.shape == (len(found.target_words), len(found.source_words) + 1)
    np.testing.assert_allclose(found.attention.sum(axis=1), 1, atol=1e-4)
    own = slice(found.source_words.index("(") + 1, found.source_words.index(")"))
    place = slice(found.target_words.index("(") + 1, found.target_words.index(")"))
    inside = [(s - own.start, t - place.start) for s, t in found.alignment if s in range(own.start, own.stop)]
    assert inside == within.alignment
    np.testing.assert_allclose(found.attention[place, own], within.attention[:, :-1], atol=1e-5)
    assert len(found.word_confidence) == len(found.target_words)


def test_hypotheses_heads_and_a_prefix(shipped):
    text = "My brother (the older one) lives in Madrid."
    found = shipped.translate(text, n_best=3, heads=True, prefix="Mi hermano")
    assert [one.text.count("(el mayor)") for one in found.hypotheses] == [1, 1, 1]
    assert found.text == found.hypotheses[0].text and found.text.startswith("Mi hermano (el mayor)")
    assert [word for words in found.target_word_of_piece for word in words if found.target_words[word] == "Madrid"]
    assert len(found.heads.target_pieces) == len(found.target_word_of_piece)


def test_sentences_of_a_line_keep_theirs(shipped):
    lines = ["See you tomorrow (maybe).", "Tickets are free (for children)."]
    alone = shipped.translate(lines)
    (both,) = shipped.translate([" ".join(lines)])
    assert both.text == " ".join(one.text for one in alone)
    words = len(alone[0].source_words), len(alone[0].target_words)
    moved = [(s + words[0], t + words[1]) for s, t in alone[1].alignment]
    assert both.alignment == [*alone[0].alignment, *moved]


def test_a_long_aside_is_copied():
    translator = Translator.load("tatoeba-en-es")
    translator.longest = 6
    found = translator.translate("Go home (as soon as the very last of the others has left).")
    assert found.text.endswith("(as soon as the very last of the others has left).")
