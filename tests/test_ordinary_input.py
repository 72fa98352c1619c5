"""What people type: curly quotes, invisible characters, capitals, several sentences in a line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import ENGLISH, SENTENCES, tiny_subwords

from nmt import Translator
from nmt.errors import UserError
from nmt.text.parts import sentences
from nmt.text.typography import capitals, is_capitals, plain_text, typed_positions

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
    plain, typed = plain_text(dressed), typed_positions(dressed) or list(range(len(dressed) + 1))
    assert len(typed) == len(plain) + 1 and typed == sorted(set(typed)) and typed[-1] == len(dressed)
    for character, place in zip(plain, typed, strict=False):
        assert plain_text(dressed[place]) == character


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
    subwords = Translator.load(threads=1).subwords
    usual, shouted = subwords.encode(text), subwords.encode(text.upper())
    assert shouted.ids == usual.ids and shouted.spans == usual.spans
    assert (shouted.text, shouted.capitals, usual.capitals) == (text.upper(), True, False)


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


def test_a_sentence_beyond_the_model_is_refused_though_others_fit():
    translator = Translator.load(threads=1)
    with pytest.raises(UserError, match="--long split"):
        translator.translate("Hello. " + "very " * 400 + "long.")
