"""What people type: curly quotes, invisible characters, capitals, several sentences in a line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import ENGLISH, SENTENCES, tiny_subwords

from nmt import Translator
from nmt.errors import UserError
from nmt.text.casing import capitals, is_capitals
from nmt.text.parts import sentences
from nmt.text.slots import SLOTS
from nmt.text.typography import plain_text, without

SUBWORDS = tiny_subwords()
QUOTES = {"'": "‘’‚′ʼ´`", '"': "“”„«»", "-": "‐‑–—−"}
INVISIBLE = "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a\u202c"
SPACES = "\u00a0\u2009\u202f\u3000"
clothes = st.randoms(use_true_random=False)


def in_other_clothes(text: str, random) -> str:
    """The same sentence with other quotes, dashes and spaces, and with invisible characters between letters."""
    dressed = ""
    for character in text:
        variants = QUOTES.get(character) or (SPACES if character == " " else "")
        dressed += random.choice(variants) if variants and random.random() < 0.7 else character
        if random.random() < 0.2:
            dressed += random.choice(INVISIBLE)
    return dressed


@given(
    text=st.sampled_from(SENTENCES) | st.sampled_from(['He said "it\'s late" - twice.', "Don't! 'No' - \"no\"."]),
    random=clothes,
)
def test_the_same_sentence_in_other_clothes_has_the_same_pieces(text, random):
    text = plain_text(text)
    assert SUBWORDS.encode(in_other_clothes(text, random)).ids == SUBWORDS.encode(text).ids


@given(text=st.text() | st.sampled_from(SENTENCES), random=clothes)
def test_positions_lead_back_to_what_was_typed(text, random):
    dressed = in_other_clothes(text, random)
    plain, typed = without(dressed, [])
    assert plain == plain_text(dressed)
    assert len(typed) == len(plain) + 1 and list(typed) == sorted(set(typed)) and typed[-1] == len(dressed)
    for character, place in zip(plain, typed, strict=False):
        assert plain_text(dressed[place]) == character


def test_control_characters_are_spaces():
    text = "one\x00two\x0bthree\x1cfour\x85five\tsix"
    assert plain_text(text) == "one two three four five\tsix"
    assert SUBWORDS.encode(text).ids == SUBWORDS.encode(plain_text(text)).ids


@given(text=st.sampled_from(ENGLISH), random=clothes)
def test_words_and_pieces_refer_to_the_typed_text(text, random):
    dressed = unicodedata.normalize("NFC", in_other_clothes(text, random))
    encoding = SUBWORDS.encode(dressed)
    assert encoding.text == dressed
    last = 0
    for start, end in encoding.spans:
        assert last <= start <= end <= len(dressed)
        last = end


@pytest.mark.parametrize(
    ("text", "shouted"),
    [
        ("I LOVE YOU.", True),
        ("GOODBYE!", True),
        ("¿DÓNDE ESTÁ?", True),
        ("OK.", False),
        ("NASA", True),
        ("I am here.", False),
        ("1234 5678", False),
        ("", False),
        ("日本語です", False),
    ],
)
def test_what_counts_as_capitals(text, shouted):
    assert is_capitals(text) is shouted


@given(text=st.text())
def test_capitals_keep_every_position(text):
    assert len(capitals(text)) == len(text)
    assert capitals(text).upper() == text.upper()


@pytest.mark.parametrize(
    "text", ["I love you.", "Where is the station?", "Tom lives in Boston.", "¿Dónde está la estación?", "I'm tired."]
)
def test_a_sentence_in_capitals_is_read_in_its_usual_form(text):
    subwords = Translator.load("tatoeba-es-en" if "¿" in text else "tatoeba-en-es", threads=1).subwords
    usual, shouted = subwords.encode(text), subwords.encode(text.upper())
    assert shouted.ids == usual.ids and shouted.spans == usual.spans
    assert (shouted.text, shouted.capitals, usual.capitals) == (text.upper(), True, False)


@pytest.mark.parametrize(
    ("checkpoint", "text"),
    [
        ("tatoeba-en-es", "MY NAME IS ZEBULON."),
        ("tatoeba-en-es", "I SAW ZORK."),
        ("tatoeba-es-en", "ME LLAMO XÓCHITL."),
    ],
)
def test_unknown_names_are_kept_in_capitals(checkpoint, text):
    name = text.split()[-1]
    assert Translator.load(checkpoint, threads=1).translate(text).text.endswith(f" {name}")


def test_the_shipped_model_answers_capitals_in_capitals_and_the_same_words():
    translator = Translator.load(threads=1)
    for text in ("I love you.", "Where is the station?", "Tom lives in Boston.", "I'm tired."):
        plain, shouted = translator.translate([text, text.upper()])
        assert shouted.text == plain.text.upper()
        assert shouted.alignment == plain.alignment and shouted.source_words == [w.upper() for w in plain.source_words]


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_a_paragraph_is_its_sentences(engine):
    translator = Translator.load(engine=engine, threads=1)
    texts = ["How are you?", "Mr. Smith paid $3.50 for it.", "It's late!", '"Come here," he said.']
    alone, together = translator.translate(texts), translator.translate(" ".join(texts))
    assert together.text == " ".join(one.text for one in alone)
    assert together.source_words == [word for one in alone for word in one.source_words]
    assert together.target_words == [word for one in alone for word in one.target_words]
    links, source, target = [], 0, 0
    for one in alone:
        links += [(s + source, t + target) for s, t in one.alignment]
        source, target = source + len(one.source_words), target + len(one.target_words)
    assert together.alignment == sorted(links)
    assert together.attention.shape == (target, source + 1)


def test_one_sentence_turns_splitting_off():
    translator = Translator.load(threads=1)
    text = "How are you? I am fine. Thank you."
    whole = translator.translate(text, one_sentence=True, heads=True)
    assert whole.heads is not None and whole.text
    assert translator.translate(text).text == " ".join(
        one.text for one in translator.translate(["How are you?", "I am fine.", "Thank you."])
    )


@given(texts=st.lists(st.sampled_from([text for text in ENGLISH if text[-1] in ".!?"]), min_size=1, max_size=6))
def test_sentences_cover_the_text_in_order(texts):
    whole = SUBWORDS.encode(" ".join(texts))
    parts = sentences(SUBWORDS, whole, "en")
    assert " ".join(part.encoding.text for part in parts) == whole.text
    assert all(whole.text[part.start :].startswith(part.encoding.text) for part in parts)


def test_a_sentence_does_not_end_within_an_ordinal():
    for text in ("Vivo en el 2.º piso.", "Es la 1.ª vez."):
        assert [part.encoding.text for part in sentences(SUBWORDS, SUBWORDS.encode(text), "es")] == [text]


def test_a_sentence_beyond_the_model_is_refused_though_others_fit():
    translator = Translator.load(threads=1)
    with pytest.raises(UserError, match="--long split"):
        translator.translate("Hello. " + "very " * 400 + "long.")


@pytest.mark.parametrize(
    "text", ["hi", "where is the station?", "good night", "apple", "it's late", "goodbye.", "red!"]
)
def test_the_first_letters_casing_does_not_change_what_is_read(text):
    subwords = Translator.load(threads=1).subwords
    typed, capitalized = subwords.encode(text), subwords.encode(text[0].upper() + text[1:])
    assert typed.ids == capitalized.ids and typed.spans == capitalized.spans and typed.text == text


def test_a_first_word_keeps_what_tells_it_from_others():
    """Names and words with capitals inside are read as they are typed, words known with a capital alone with it."""
    subwords = Translator.load(threads=1).subwords
    read = lambda text: "".join(subwords.pieces(subwords.encode(text).ids)).replace("▁", " ").strip()  # noqa: E731
    assert read("Apple") == "apple" and read("Apple pie") == "apple pie" and read("monday") == "Monday"
    assert read("Tom likes apples.") == "Tom likes apples."
    assert "".join(subwords.pieces(subwords.encode("iPhone", ()).ids)) == "▁iPhone"
    assert all(len(subwords.encode(text).slots) == 1 for text in ("Zork", "Zork.", "iPhone"))


def test_a_translation_begins_as_its_source():
    translator = Translator.load("tatoeba-es-en", threads=1)
    texts = ["gato", "Gato", "lunes", "Lunes", "dónde está la estación", "Dónde está la estación", "gato negro"]
    found = [one.text for one in translator.translate(texts)]
    assert found[:4] == ["cat", "Cat", "Monday", "Monday"] and found[4] == found[5] and found[4].endswith("?")
    assert found[6][0].islower()


NUMBERED = [("tatoeba-en-es", "I have {} cats."), ("tatoeba-es-en", "Tengo {} gatos.")]


@pytest.mark.parametrize(("name", "frame"), NUMBERED)
def test_number_words_are_translated_as_num2words_spells_them(name, frame):
    translator = Translator.load(name, threads=1)
    words = translator.subwords.known_words.number_words
    found = translator.translate([frame.format(word) for word in words])
    for (word, wanted), translation in zip(words.items(), found, strict=True):
        assert f" {wanted} " in translation.text, (word, translation.text)


def test_number_words_have_the_casing_of_their_place():
    translator = Translator.load(threads=1)
    shouted, first = translator.translate(["I HAVE SEVEN CATS.", "Nine men left early."])
    assert "SIETE" in shouted.text and first.text.startswith("Nueve ")


def test_no_placeholder_is_written_that_the_source_lacks():
    """Whatever the network would write: number words without placeholders keep a place."""
    translator = Translator.load(threads=1)
    translator.subwords.known_words.number_words = {}
    texts = ["It rained for nine days, and then the river rose.", "I have fifty cats."]
    for engine in ("torch", "ctranslate2"):
        translator.engine_name = engine
        for translation in translator.translate(texts):
            assert "  " not in translation.text and not set(translation.text) & SLOTS
