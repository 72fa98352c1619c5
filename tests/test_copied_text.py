"""What is kept as it is typed: addresses, tags, symbols, names with them; and symbols that are read as words."""

import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_subwords

from nmt import Translator
from nmt.copying import with_copied
from nmt.text.copied import copied_spans
from nmt.text.slots import fill
from nmt.text.symbols import READINGS, symbol_slots
from nmt.text.typography import without
from nmt.text.words import split_words
from nmt.translation import Translation

SUBWORDS = tiny_subwords()
TOKENS = [
    "😀",
    "👍🏽",
    "❤️",
    "👩‍👩‍👧",
    "🇪🇸",
    "1️⃣",
    "😂😂",
    "https://example.org/a?b=1",
    "www.example.com",
    "a.b@example.com",
    "#tag",
    "@luisa_92",
]


@pytest.mark.parametrize("token", TOKENS)
def test_what_is_copied_is_found_whole(token):
    for before, after in ("", ""), ("See ", "."), ("(", ")"), ("", ", please"):
        text = f"{before}{token}{after}"
        around = list("()") if before == "(" else [""] * 2
        found = [text[start:end] for start, end in copied_spans(text)]
        expected = [part for part in (around[0], token, around[1]) if part]
        assert found == (expected if any(map(str.isalnum, text)) else [text])


@given(text=st.text())
def test_spans_of_what_is_copied_lie_in_order(text):
    edges = [edge for span in copied_spans(text) for edge in span]
    assert edges == sorted(edges) and all(0 <= edge <= len(text) for edge in edges)


@pytest.mark.parametrize(
    "text",
    [
        "e.g. this.",
        "x@y",
        "at 3:45 on 12/05",
        "$5",
        "€5 or 5 €",
        "20 °C",
        "120 km/h",
        "+1 (555) 123-4567",
        "AT&T, C++",
        "well-known",
        "i.e. a",
    ],
)
def test_ordinary_text_is_not_copied(text):
    assert copied_spans(text) == []


@pytest.mark.parametrize(
    "text, copied",
    [
        ("He (or she) left.", ["(", ")"]),
        ("- Hello.", ["-"]),
        ("-Hello.", ["-"]),
        ("1. Open the door.", ["1."]),
        ("a) yes", ["a)"]),
        ("see you :-) xD <3", [":-)", "xD", "<3"]),
        ("rock & roll #", ["&", "#"]),
        ("1.- Open, 1- Open", ["1.-"]),
        ("- 3 eggs", ["-"]),
        ('-"Hello"', ["-"]),
        ('<a href="x">', ['<a href="x">']),
        (
            "[a](https://b.c/d) &amp; ____ [x] _no_ (c)",
            ["[", "](https://b.c/d)", "&amp;", "____", "[x]", "_", "_", "(c)"],
        ),
        ("A) Paris", ["A)"]),
        ("the word(s)", ["(s)"]),
        ("<b>Hello</b> there<br/>", ["<b>", "</b>", "<br/>"]),
        ("he/she • 3 = 1 + 2", ["/", "•"]),
        ("...", ["..."]),
        ("?! --", ["?!", "--"]),
    ],
)
def test_marks_that_no_sentence_translates_are_copied(text, copied):
    assert [text[start:end] for start, end in copied_spans(text)] == copied


@given(
    text=st.text("ab1é ,.-", min_size=20, max_size=20),
    edges=st.lists(st.integers(0, 20), min_size=2, max_size=6, unique=True).map(sorted),
)
def test_what_is_left_out_parts_letters_and_digits(text, edges):
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    plain, places = without(text, spans)
    pieces = regex.split("\0+", "".join("\0" if any(s <= i < e for s, e in spans) else c for i, c in enumerate(text)))
    expected = pieces[0]
    for piece in pieces[1:]:
        if piece[:1] in (",", "."):
            expected = expected.removesuffix(" ")
        expected += " " * (expected.rstrip(" ")[-1:].isalnum() and piece[:1].isalnum()) + piece
    assert plain == expected
    assert len(places) == len(plain) + 1 and list(places) == sorted(places)
    for number, (letter, place) in enumerate(zip(plain, places, strict=False)):
        assert text[place] == letter or letter == " " and places[number + 1] == place


def test_a_line_without_letters_is_copied_whole(shipped):
    lines = ["2 + 2 = 4", "00:01:02,000 --> 00:01:05,000", "10:30 - 11:45", "555 123 456"]
    found = shipped.translate(lines)
    assert [one.text for one in found] == lines
    assert all(one.alignment == [(word, word) for word in range(len(one.source_words))] for one in found)


@pytest.mark.parametrize(
    "text, language, read",
    [
        ("Salt & pepper", "en", "Salt and pepper"),
        ("Dear Sir/Madam", "en", "Dear Sir or Madam"),
        ("red and/or blue", "en", "red or blue"),
        ("at 24/7, n/a, I/O", "en", "at 24/7, n/a, I/O"),
        ("Los/las alumnos/as y el (la) profesor(a)", "es", "Los alumnos y el profesor"),
        ("té / café y/o pan & sal", "es", "té o café o pan y sal"),
        ("Hola a tod@s", "es", "Hola a todos"),
        ("el 1.er día, la 2ª vez y el 21.º piso", "es", "el primer día, la segunda vez y el 21 piso"),
        ("ana@example.org y 3 gatos", "es", "ana@example.org y 3 gatos"),
        ("thx, r u ok? U r right", "en", "thanks, are you ok? you are right"),
        ("ur the best and ur cat too", "en", "you are the best and your cat too"),
        ("5 lbs and 2 tbsp, 6 ft", "en", "5 pounds and 2 tablespoons, 6 feet"),
        ("a u-turn in the U.S. with U2 & R&B", "en", "a u-turn in the U.S. with U2 & R&B"),
        ("-Hola -dijo él.", "es", '"Hola", dijo él.'),
        ("- ¿Qué? - preguntó Ana-.", "es", '"¿Qué?", preguntó Ana.'),
        ("-Hola. -Adiós.", "es", "-Hola. -Adiós."),
        ("-5 grados -dijo-, o más -repitió.", "es", "-5 grados -dijo-, o más -repitió."),
        ("gracias x todo, xq tb q no", "es", "gracias por todo, porque también que no"),
        ("5 x 3 = x, TM", "es", "5 x 3 = x, TM"),
        ("FYI: call asap, see ya.", "en", "for your information: call as soon as possible, see you."),
        ("Ya, I know Ty, import numpy as np", "en", "Ya, I know Ty, import numpy as np"),
        ("Salu2, tqm. Run `a/b & thx`.", "es", "saludos, te quiero mucho. Run `a/b & thx`."),
    ],
)
def test_symbols_are_read_as_words(text, language, read):
    assert fill(text, symbol_slots(text, READINGS[language]))[0] == read


def test_a_stroke_between_words_is_written_again(shipped):
    found = shipped.translate("My father speaks English/French.")
    assert found.text == "Mi padre habla inglés/francés."
    assert found.target_words == [word.text for word in split_words(found.text)]
    link = found.source_words.index("/"), found.target_words.index("/")
    assert link in found.alignment
    assert shipped.translate("Salt & pepper").text == "Sal y pimienta"


@pytest.mark.parametrize(
    "name",
    [
        "AT&T",
        "Q&A",
        "C++",
        "C#",
        ".NET",
        "notes-2.pdf",
        "C:\\Users\\tom",
        "~/a/b.py",
        "example.com",
        "CO₂",
        "m²",
        "F.B.I.",
        "J.R.R. Tolkien",
        "{name}",
        "{{a.b}}",
        "%s",
        "user_id",
        "a = b + 2",
        "I+D",
        "C++11",
        "photo.JPG",
        "a/b/c.tar.gz",
    ],
)
def test_a_name_with_a_symbol_is_a_name(shipped, name):
    encoding = shipped.subwords.encode(f"I like {name} a lot.")
    assert [encoding.text[slice(*span)] for span in encoding.slots.values()] == [name] and not encoding.copied


def test_names_and_numbers_that_are_filled_in_are_linked_word_by_word(shipped):
    lines = ["Call 555 555 556 now.", "He lived here 1990-1995.", "<b>AT&T</b> sells tea.", "I saw Leonardo da Zork."]
    for found, name in zip(
        shipped.translate(lines), ("555 555 556", "1990-1995", "AT&T", "Leonardo da Zork"), strict=True
    ):
        words = [word.text for word in split_words(name)]
        places = [(s, t) for s, t in found.alignment if found.source_words[s] in words]
        assert [found.source_words[s] for s, _ in places] == [found.target_words[t] for _, t in places] == words
    assert found.text.startswith("Vi a Leonardo")


def test_a_name_that_ends_in_a_point_has_one(shipped):
    texts = shipped.translate(["I live in Washington, D.C.", "The U.S. is big."])
    assert [one.text for one in texts] == ["Vivo en Washington, D.C.", "EE. UU. es grande."]


@pytest.mark.parametrize(
    "text, translation",
    [
        ("I (you) see.", "Yo (tú) veo."),
        ("-I you.", "-Yo tú."),
        ("I/you see", "Yo/tú veo"),
        ("I - you", "Yo tú"),
        ("I🙂 you", "Yo🙂 tú"),
        ("I 🙂 you", "Yo 🙂 tú"),
        ("I you :)", "Yo tú :)"),
        ("I [you](#a) see", "Yo [tú](#a) veo"),
        ("I \u202c🙂\u200f you", "Yo 🙂 tú"),
    ],
)
def test_what_is_copied_keeps_its_spaces(text, translation):
    """Words are linked one by one; the dash between spaces is one that the network reads."""
    source = SUBWORDS.encode(text)
    words = {"I": "Yo", "you": "tú", "see": "veo"}
    read = [(number, word.text) for number, word in enumerate(source.words) if word.text in words]
    plain = " ".join(words[word] for _, word in read) + ("." if text.endswith(".") else "")
    links = [(number, place) for place, (number, _) in enumerate(read)]
    targets = [word.text for word in split_words(plain)]
    own = [word.text for word in source.words]
    assert with_copied(Translation(text, plain, 0.0, own, targets, None, links), source).text == translation


def test_brackets_stay_around_what_they_are_around():
    def put_back(text: str, translation: str, *links: tuple[int, int]) -> str:
        source, targets = SUBWORDS.encode(text), [word.text for word in split_words(translation)]
        own = [word.text for word in source.words]
        return with_copied(Translation(text, translation, 0.0, own, targets, None, list(links)), source).text

    assert put_back("I (you) see", "tú veo yo", (0, 2), (2, 0), (4, 1)) == "(tú) veo yo"
    assert put_back("I (see you) it", "yo te veo eso", (0, 0), (2, 2), (3, 1), (5, 3)) == "yo (te veo) eso"
    assert put_back("I <b>see</b> it", "eso veo yo", (0, 2), (4, 1), (9, 0)) == "eso <b>veo</b> yo"
    assert put_back("I [see] it", "veo yo", (2, 0), (0, 1)) == "[veo] yo"
    # What stands before a mark stands apart from a word.
    assert put_back("it, 😀, you", "eso tú", (0, 0), (4, 1)) == "eso 😀 tú"


@pytest.mark.parametrize(
    "name, text, translation",
    [
        ("tatoeba-en-es", 'The file "{file}" does not exist.', 'El archivo "{file}" no existe.'),
        ("tatoeba-en-es", "Nadal won 6-4, 6-3, 7-6 (7-5).", "Nadal ganó 6-4, 6-3, 7-6 (7-5)."),
        ("tatoeba-en-es", "I WORK FOR AT&T", "TRABAJO PARA AT&T."),
        ("tatoeba-en-es", "LONDON is big.", "Londres es grande."),
        ("tatoeba-en-es", "The answer is on p. 12.", "La respuesta está en la página 12."),
        ("tatoeba-en-es", "Red/green/blue", "Rojo/verde/azul"),
        ("tatoeba-en-es", "Run `pip install nmt` again.", "Vuelve a correr `pip install nmt`."),
        ("tatoeba-en-es", 'Run `git commit -m "fix"` again.', 'Vuelve a correr `git commit -m "fix"`.'),
        ("tatoeba-en-es", "Ask Professor Green about it.", "Pregúntale al profesor Green al respecto."),
        ("tatoeba-en-es", "She lives on Baker Street.", "Ella vive en la calle Baker."),
        ("tatoeba-en-es", "This is _very_ important.", "Esto es _muy_ importante."),
        ("tatoeba-en-es", "Size: XL | Color: red | Quantity: 3", "Talla: XL | Color: rojo | Cantidad: 3"),
        ("tatoeba-en-es", "I have a red car 🚗 and a house 🏠.", "Tengo un coche rojo 🚗 y una casa 🏠."),
        ("tatoeba-es-en", "Estoy bien. ¿Y tú?", "I'm fine. And you?"),
        ("tatoeba-es-en", "Creo que no. Vamos.", "I don't think so. Let's go."),
        ("tatoeba-es-en", "Ud. es muy amable.", "You're very kind."),
        ("tatoeba-es-en", "El n.º 5 es mío.", "Number 5 is mine."),
        ("tatoeba-es-en", "Hace 30º en Sevilla.", "It's 30º in Seville."),
        ("tatoeba-es-en", "Vive en EE. UU.", "He lives in the U.S."),
        ("tatoeba-es-en", "(1) Ábrelo. (2) Ciérralo.", "(1) Open it. (2) Close it."),
    ],
)
def test_what_strangers_type(name, text, translation):
    assert Translator.load(name, threads=1).translate(text).text == translation


@pytest.mark.parametrize("mark", [".", "!", "?"])
def test_no_space_is_left_between_what_is_copied_and_the_final_mark(mark):
    source = SUBWORDS.encode(f"I @you{mark}")
    own = [word.text for word in source.words]
    translation = Translation(source.text, f"Yo {mark}", 0.0, own, ["Yo", mark], None, [(0, 0), (len(own) - 1, 1)])
    assert with_copied(translation, source).text == f"Yo @you{mark}"


@pytest.fixture(scope="module")
def shipped() -> Translator:
    return Translator.load(threads=1)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    "text", ["{} Where is the station?", "I left my keys {} here.", "She is wearing a white dress. {}"]
)
def test_what_is_copied_is_kept_and_the_rest_is_as_without_it(shipped, token, text):
    plain, found = shipped.translate([" ".join(text.format("").split()), text.format(token)])
    assert found.text.count(token) == 1
    assert " ".join(found.text.replace(token, "").split()) == plain.text
    assert found.source_words == [word.text for word in split_words(text.format(token))]
    assert found.target_words == [word.text for word in split_words(found.text)]
    np.testing.assert_allclose(found.attention.sum(axis=1), 1, atol=1e-5)
    assert found.attention.shape == (len(found.target_words), len(found.source_words) + 1)
    for word in split_words(token):
        links = [(s, t) for s, t in found.alignment if found.source_words[s] == word.text == found.target_words[t]]
        assert links


def test_what_is_copied_alone_is_itself(shipped):
    assert [one.text for one in shipped.translate(["😀", "https://example.org", ""])] == [
        "😀",
        "https://example.org",
        "",
    ]


def test_every_hypothesis_keeps_it_and_heads_still_name_their_words(shipped):
    found = shipped.translate("I left my keys 😀 here.", n_best=3, heads=True)
    assert all("😀" in one.text for one in found.hypotheses)
    for one in found.hypotheses:
        pieces = zip(one.heads.target_pieces, one.target_word_of_piece, strict=True)
        for piece, words in pieces:
            spelled = piece.replace("▁", "").lower()
            assert not spelled or not words or any(spelled in one.target_words[word].lower() for word in words)


def test_without_an_alignment_what_is_copied_still_arrives():
    found = with_copied(
        Translation("a", "uno dos.", 0.0, [], ["uno", "dos", "."], None, None), SUBWORDS.encode("😀 one")
    )
    assert found.text == "😀 uno dos." and found.attention is None and found.target_words == ["😀", "uno", "dos", "."]


@given(
    parts=st.lists(
        st.sampled_from([*TOKENS, "one", "two,", "it's", "(a)", "«b»", "\u0301", "_", "5"]), min_size=1, max_size=8
    ),
    text=st.text("aé'_ .,¿?\"(\u0301😀5", max_size=20),
    random=st.randoms(use_true_random=False),
)
def test_whatever_is_copied_is_inserted_and_every_word_keeps_its_row(parts, text, random):
    source, text = SUBWORDS.encode(" ".join(parts)), unicodedata.normalize("NFC", text)
    targets = split_words(text)
    columns = len(source.words)
    links = sorted({(random.randrange(columns), t) for t in range(len(targets))})
    matrix = np.eye(columns + 1, dtype=np.float32)[[random.randrange(columns + 1) for _ in targets]].reshape(
        -1, columns + 1
    )
    words = [word.text for word in source.words], [word.text for word in targets]
    found = with_copied(Translation(source.text, text, 0.0, *words, matrix, links), source)
    for start, end in source.copied:
        assert source.text[start:end] in found.text
    assert found.target_words == [word.text for word in split_words(found.text)]
    assert found.attention.shape == (len(found.target_words), columns + 1)
    np.testing.assert_allclose(found.attention.sum(axis=1), 1)
