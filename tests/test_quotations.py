"""Quoted words: `She said "hello" to me.`"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt import Translator
from nmt.text.casing import as_fragment
from nmt.text.numerals import DAYS
from nmt.text.quotations import is_quoted, with_marks
from nmt.text.slots import Slot

ALONE = ["cat", "window", "freedom", "thank you", "the big problem", "I love you"]


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load("tatoeba-en-es")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('She said "hello" to me.', ["hello"]),
        ("«Hello» and “good night”.", ["Hello", "good night"]),
        ('THE WORD "CAT" IS SHORT.', ["CAT"]),
        ('"a" is a letter, "" is nothing', []),
        ('"I am happy," he said.', ["I am happy"]),
        ('"No," he said, "stay here."', ["No", "stay here"]),
        ('He asked "Why?" and left.', []),
        ("'Yes,' he said, 'I don't know.'", ["Yes", "I don't know"]),
        ("The boys' and girls' toys, rock 'n' roll", []),
        ("Tom's and Ann's 'new' car ('old')", ["new", "old"]),
        ('a 5" screen and a 7" screen', []),
        ('an odd" mark and an "open one', []),
        ('I saw "The Lion King".', []),  # a title is copied
        ('I met "Zork" here.', []),
        ('I met "Zork the great" here.', ["Zork the great"]),
        ('"two" and "two"', ["two"]),
    ],
)
def test_quoted_words_have_a_placeholder(shipped, text, quoted):
    encoding = shipped.subwords.encode(text, apart=True)
    assert list(encoding.quotations.values()) == quoted
    assert [encoding.typed[slot] for slot in encoding.quotations] == quoted
    assert not shipped.subwords.encode(text).quotations


@pytest.mark.parametrize("words", ALONE)
def test_they_are_translated_as_by_themselves(shipped, words):
    alone = shipped.translate(f"{words}.", one_sentence=True).text.rstrip(".")
    for engine in (shipped, Translator.load("tatoeba-en-es", "torch")):
        found = engine.translate(f'What does "{words}" mean? I read “{words}” here.')
        assert found.text.lower().count(f'"{alone.lower()}"') == 2, found.text
    one = shipped.translate(f'What does "{words}" mean?', n_best=2)
    quoted = [hypothesis.text.lower().replace('."', '"') for hypothesis in one.hypotheses]
    assert all(f'"{alone.lower()}"' in text for text in quoted), quoted
    # Words and links are those of the text, whatever the network read.
    assert "".join(one.target_words) == one.text.replace(" ", "")
    assert one.attention.shape == (len(one.target_words), len(one.source_words) + 1)
    marks = [[n for n, word in enumerate(side) if word == '"'] for side in (one.source_words, one.target_words)]
    assert set(zip(*marks, strict=True)) <= set(one.alignment)


def test_speech_begins_with_a_capital(shipped):
    said, quoted = shipped.translate(['She said, "I don\'t want to go."', 'I never say "I love you".'])
    assert ': "No quiero ir' in said.text and 'digo "te ' in quoted.text


def test_words_of_another_language_stay(shipped):
    found = shipped.translate('What does "ventanas rotas" mean? The word "window" is short.')
    assert '"ventanas rotas"' in found.text and '"ventana"' in found.text
    spanish = Translator.load("tatoeba-es-en")
    words = sorted(word for word in DAYS if not spanish.subwords.known_words.know_any(word))[:3]
    assert words  # no day of a month here
    assert all(f'"{word}"' in spanish.translate(f'¿Qué significa "{word}"?').text for word in words)


def test_a_prefix_may_have_them(shipped):
    found = shipped.translate('The word "cat" is short.', prefix='La palabra "gato"', heads=True)
    assert found.text.startswith('La palabra "gato"') and found.text.count("gato") == 1
    assert len(found.heads.source_pieces) == len(found.source_word_of_piece)


@pytest.mark.parametrize(
    ("words", "translation", "quoted"),
    [
        ("thank you", "Gracias.", "gracias"),
        ("Thank you", "Gracias.", "Gracias"),
        ("quiero ir", "I want to go.", "I want to go"),
        ("no fumar", "No smoking!", "no smoking!"),
        ("eeuu", "USA.", "USA"),
        ("x y", "", ""),
        ("I think", "Creo.", "creo"),  # whose capital is its own
        ("inglés y francés", "English and French", "English and French"),
        ("English and French", "Inglés y francés.", "inglés y francés"),
        ("y leche", "And milk.", "and milk"),
    ],
)
def test_a_sentences_capital_and_full_stop_go(shipped, words, translation, quoted):
    assert as_fragment(words, translation, shipped.subwords.score) == quoted


@given(st.sampled_from(["", '"']), st.sampled_from(["", '"', ',"', '."']))
def test_a_lost_quotation_mark_is_put_back(before, after):
    shipped = Translator.load("tatoeba-en-es").subwords
    source = shipped.encode('The "cat" runs.', apart=True)
    source = replace(source, quotations=dict.fromkeys(source.quotations, "gato"))
    (slot,) = source.quotations
    text = f"El {before}gato{after} corre."
    place = text.index("gato")
    ids = shipped.target.encode(text, [Slot(place, place + 4, slot)]).ids
    closing = after or '"'
    assert shipped.decode_with_spans(ids, source).text == f'El "gato{closing} corre.'


def test_no_mark_is_added_where_the_source_has_none():
    assert is_quoted("a «b» c", (3, 4)) and not is_quoted("a b c", (2, 3)) and not is_quoted('"b', (1, 2))
    assert not is_quoted("b", (0, 1))
    assert with_marks("b", '"\ue000."', 1) == "b"
    assert is_quoted("'b,'", (1, 2)) and is_quoted("“b.”", (1, 2)) and not is_quoted("'b\"", (1, 2))
