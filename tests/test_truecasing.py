"""Vocabularies of truecased text: first words are read as they are elsewhere, and translations begin as sentences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import SENTENCES

from nmt.text.casing import recased_beginning, truecased_corpus
from nmt.text.names import KnownWords
from nmt.text.subwords import TRUECASED, Subwords
from nmt.text.typography import plain_text

MORE = [
    "We saw the boat and Tom.",
    "Tom saw how they left.",
    "¡Qué barco! ¿Y el puerto?",
    "Where is Tom, and who is he?",
]
SUBWORDS = Subwords.train([*SENTENCES, *MORE] * 3, 420, character_coverage=1.0, truecase=True)
texts = st.text() | st.text("aábñÁB .,'’¿¡½ﬁ\u0301\u200b\u3000\nСъ日😀") | st.sampled_from([*SENTENCES, *MORE])


def test_first_words_are_cased_as_they_mostly_are_elsewhere():
    texts = [
        "The boat left.",
        "I saw the boat.",
        "Tom left.",
        "I saw Tom.",
        "¿Quién?",
        '"It\'s me," he said.',
        "42 Boats",
    ]
    wanted = [
        "the boat left.",
        "I saw the boat.",
        "Tom left.",
        "I saw Tom.",
        "¿quién?",
        '"it\'s me," he said.',
        "42 Boats",
    ]
    assert truecased_corpus([*texts, "Here am I."]) == [*wanted, "here am I."]


def test_a_corpus_in_lower_case_or_without_case_stays():
    for texts in (["the boat left .", "I saw it ."] * 2, ["船は出た。", "見た。"], []):
        assert truecased_corpus(texts) is None
    plain = Subwords.train(["the boat left .", "it was late ."] * 9, 300, truecase=True)
    assert not plain.truecased and TRUECASED not in plain.pieces(range(len(plain)))


@pytest.mark.parametrize("sentence", [one for one in SENTENCES if one[0] != "—"])
def test_the_first_letters_casing_does_not_change_the_pieces_and_comes_back(sentence):
    place = next(place for place, letter in enumerate(sentence) if letter.isalpha())
    lower = sentence[:place] + sentence[place].lower() + sentence[place + 1 :]
    typed, usual = SUBWORDS.encode(sentence), SUBWORDS.encode(lower)
    assert typed.ids == usual.ids and typed.spans == usual.spans
    assert SUBWORDS.encode_ids([sentence, lower]) == [typed.ids] * 2
    assert SUBWORDS.decode_with_spans(typed.ids, typed).text == sentence
    pieces = [piece.lstrip("▁") for piece in SUBWORDS.pieces(typed.ids)]
    for piece, (start, end) in zip(pieces, typed.spans, strict=True):
        assert sentence[start:end].strip().lower() == piece.lower()


def test_a_word_has_the_same_pieces_wherever_it_stands():
    read = lambda text: SUBWORDS.pieces(SUBWORDS.encode(text).ids)  # noqa: E731
    assert read("The boat!")[1:] == read("Boat!") == read("boat!") and read("Boat!")[0].startswith("▁b")
    assert read("¡Barco!")[-2:] == read("El barco!")[-2:] and read("Tom left.")[0] == "▁Tom"


@given(text=texts)
def test_any_text_has_spans_in_order_that_cover_its_words(text):
    encoding = SUBWORDS.encode(text)
    assert SUBWORDS.pieces([4]) == [TRUECASED] and 4 not in encoding.ids
    starts = [start for start, _ in encoding.spans]
    assert starts == sorted(starts) and all(end <= len(encoding.text) for _, end in encoding.spans)
    if not encoding.capitals and not encoding.copied:
        assert SUBWORDS.encode_ids([text]) == [encoding.ids]
        if encoding.ids and plain_text(text) == text:
            covered = {word for words in encoding.words_of_piece for word in words}
            assert covered == set(range(len(encoding.words)))


def test_placeholders_keep_their_casing():
    subwords = SUBWORDS.with_slots(KnownWords(["the", "boat", "left", "who", "is"]))
    source = subwords.encode("Zork left.")
    assert subwords.truecased and source.slots and source.text[slice(*next(iter(source.slots.values())))] == "Zork"
    assert subwords.decode_with_spans(source.ids, source).text == "Zork left."
    assert subwords.encode("¿Who is Zork?").text == "¿Who is Zork?"


@pytest.mark.parametrize(
    ("source", "text", "wanted"),
    [
        ("Where is it?", "¿dónde está?", "¿Dónde está?"),
        ("where is it?", "¿dónde está?", "¿Dónde está?"),
        ("Boat", "barco", "Barco"),
        ("boat", "barco", "barco"),
        ("the boat", "el barco", "el barco"),
        ("Monday", "lunes", "lunes"),
        ("Monday morning", "lunes por la mañana", "Lunes por la mañana"),
        ("monday", "Tom", "Tom"),
        ("42", "cuarenta", "cuarenta"),
        ("Boat", "", ""),
        ("TV is late.", "la televisión llega tarde.", "La televisión llega tarde."),
        ("1. Where is it?", "¿dónde está?", "¿Dónde está?"),
        ("船は出た。", "the boat left.", "The boat left."),
    ],
)
def test_a_translation_begins_as_its_source(source, text, wanted):
    assert recased_beginning(source, text, (), {"boat", "where", "the", "is", "it"}) == wanted


def test_the_alignment_heads_words_are_in_lower_case():
    (pieces,) = SUBWORDS.word_pieces(["Tom"])
    assert "".join(SUBWORDS.pieces(pieces)).lstrip("▁") == "tom"


def test_sampled_segmentations_spell_the_same(monkeypatch):
    spelled = lambda ids: "".join(SUBWORDS.pieces(ids))  # noqa: E731
    drawn = SUBWORDS.sample_ids(SENTENCES, 0.2, seed=3)
    assert list(map(spelled, drawn)) == list(map(spelled, SUBWORDS.encode_ids(SENTENCES)))
    assert not np.array_equal(drawn[0], SUBWORDS.encode_ids(SENTENCES[:1])[0])
