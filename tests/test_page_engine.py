"""The page's engine under Node against SentencePiece and PyTorch."""

import csv
import functools
import re
from pathlib import Path

import numpy as np
import pytest
from test_confidence import calibrated
from tiny import ENGLISH, tiny_subwords, write_tiny_checkpoint
from tools import chromium_browser, program  # noqa: F401

from nmt.checkpoint import (
    SHIPPED,
    SUBWORDS,
    WEIGHTS,
    Checkpoint,
    load_arrays,
    save_arrays,
    shipped_checkpoint,
    write_checkpoint_metadata,
)
from nmt.confidence import INTERCEPT, SIGNS, WORD_INTERCEPT, WORD_SIGNS, doubtful
from nmt.errors import UserError
from nmt.page.bundle import front_coded, model_data, packed_arrays, subwords_data
from nmt.text.names import KnownWords, courtesy_titles
from nmt.text.numerals import number_words
from nmt.text.parts import sentences
from nmt.text.subwords import Subwords
from nmt.text.symbols import READINGS
from nmt.translation import Translation
from nmt.translator import Translator
from scripts import page_parity
from scripts.page_parity import fuzzed_lines, named_lines

ROOT = Path(__file__).parent.parent
LINES = [
    "She brought me a cup of tea.",
    "I would like to know where the bank is.",
    "Tom's got 1,234 “friends” – hasn't he?",
    "Zażółć gęślą jaźń 😀 at the harbour.",
    "It rained for nine days, and then the river rose.",
    "Fire!",  # written as `¡ Fuego!`
    "no",
    "...",
    "   ",
]
PLAIN = [*LINES[:2], "Tom's got 1,234 friends - hasn't he?", "Zażółć gęślą jaźń at the harbour.", *LINES[4:]]
"""Lines that `Subwords.encode` gives to SentencePiece as they are."""
WEIGHTS_OF_EVIDENCE = {name: 0.7 * sign for name, sign in (SIGNS | WORD_SIGNS).items()} | {
    INTERCEPT: -1.5,
    WORD_INTERCEPT: 0.5,
}
SYMBOLS = [
    *("on the third of May, the twenty-first of June", "the Third of May", "the third of three"),
    *("r u ok? ur the best, thx u.s.", "5 lbs of u-turns", "gracias x todo, xq tb q", "2 tbsp of U2 ppl"),
    *("Terms Of Service", "The Sound of Silence", "Mary Green", "Te Quiero Mucho", "I Bought It On Amazon"),
    *("At the White House, by the Museum of Modern Art", "the Black Sea", "Usa `git  push`, don`t `x`y `z`"),
    *("Run `git commit -m \"fix\"` and 'push it'.", "Ask Professor Green or Uncle Zork", "Hablé con el Tío Young."),
    *("FYI, omw asap", "tqm, salu2", "k tal"),
    *("I bought it on Amazon.", "Vivo en Los Ángeles.", "_very_ __x__ a_b", "Im hungry", '¿Qué es "awkward"?'),
    *("I want tea/coffee.", "Salt & pepper", "Hola a tod@s", "tea/coffee/milk", '<b>AT&T</b> (big) sells "tea".'),
    *(
        "2 + 2 = 4",
        "👍{name}",
        "I live in Washington, D.C.",
        "El 2.º piso (nuevo)",
        "He/she left.",
    ),
]
"""What is read as words, copied, and put around words."""
SEVERAL = {
    "en": [
        "Mr. Smith met Dr. Jones at 5 p.m. They left.",
        "J. R. R. Tolkien wrote it. I like it.",
        '"Stop!" he said. She ran.',
        "Wait... what? No! Yes.",
        "First line\nsecond line. Third",
    ],
    "es": ["El Sr. López vino. La Sra. García no.", "¿Qué? ¡No! Sí.", "Véase la pág. 3. Es útil."],
}


def run_engine(place: Path, model: dict, **request) -> list:
    program("node", "apt-get install nodejs")
    return page_parity.run_engine(place, model, **request)


def everyday(language: str, *kinds: str) -> list[str]:
    """The everyday sentences of these kinds, or all of them."""
    with open(ROOT / "data" / "everyday" / "english-spanish.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row[language].split(" | ")[0] for row in rows if not kinds or row["kind"] in kinds]


@functools.cache
def exact(name: str) -> dict:
    """The page's data of a shipped model with its very weights: the files hold float16."""
    return model_data(name, "float16")


@pytest.fixture(scope="module")
def shipped() -> dict:
    return exact(SHIPPED[0])


def check_pieces(place: Path, model: dict, subwords: Subwords, lines: list[str]) -> None:
    found = run_engine(place, model, task="encode", lines=lines)
    encodings = (subwords.encode(line, apart=True) for line in lines)
    for line, one, encoding in zip(lines, found, encodings, strict=True):
        assert (one["ids"], one["wordsOfPiece"]) == (encoding.ids, encoding.words_of_piece), repr(line)
        assert one["capitals"] == encoding.capitals, repr(line)
        assert one["back"] == subwords.decode_with_spans(encoding.ids, encoding).text, repr(line)
        assert one["copied"] == [encoding.text[start:end] for start, end in encoding.copied], repr(line)
        held = {slot: encoding.text[start:end] for slot, (start, end) in encoding.slots.items()}
        read = [[encoding.text[start:end], reading] for start, end, reading in encoding.read]
        assert (one["slots"], one["read"]) == (held, read), repr(line)


def test_pieces_are_pythons(shipped, tmp_path):
    lines = [*LINES, *everyday("english"), *everyday("spanish"), *fuzzed_lines(2000)]
    check_pieces(tmp_path, shipped, Translator.load(SHIPPED[0]).subwords, lines)


def test_forced_pieces_are_pythons_of_a_target(tmp_path, tiny_checkpoint):
    from tiny import SENTENCES, tiny_subwords

    lines = SENTENCES + fuzzed_lines(200)
    found = run_engine(tmp_path, model_data(tiny_checkpoint, "float32"), task="pieces", lines=lines)
    target = tiny_subwords().target
    assert found == [target.pieces(target.encode(line, ()).ids) for line in lines]
    assert found != [target.pieces(tiny_subwords().encode(line, ()).ids) for line in lines]


def test_bpe(shipped, tmp_path):
    from tiny import SENTENCES

    subwords = Subwords.train(SENTENCES, 400, model_type="bpe", character_coverage=1.0)
    check_pieces(
        tmp_path,
        {**shipped, "subwords": subwords_data(subwords.proto), "knownWords": None},
        subwords,
        SENTENCES + fuzzed_lines(200),
    )


def test_truecased_vocabularies(shipped, tmp_path):
    lines = everyday("english") + everyday("spanish")
    subwords = Subwords.train(lines, 600, truecase=True)
    assert subwords.truecased
    lines += [line[:1].lower() + line[1:] for line in lines] + ["¡¿Qué?! ¿ Y?", *SEVERAL["es"], *fuzzed_lines(500)]
    known = KnownWords(word.lower() for line in lines for word in re.findall(r"[^\W\d]+", line)[1:])
    for one, words in ((subwords, None), (subwords.with_slots(known), known)):
        model = {
            **shipped,
            "subwords": subwords_data(one.proto),
            "knownWords": words and front_coded(words.words),
            "numberWords": {},
            "readings": {},
        }
        check_pieces(tmp_path, model, one, lines)


def test_names_and_numbers_are_placeholders_as_in_python(shipped, tmp_path):
    words = {word for line in everyday("english", "everyday") for word in re.findall(r"[^\W\d]+", line)}
    numbers, titles = number_words("es", "en"), courtesy_titles("es", "en")
    known = KnownWords(words, numbers, titles, READINGS["es"])
    subwords = Subwords.load(shipped_checkpoint() / SUBWORDS).with_slots(known)
    model = {
        **shipped,
        "subwords": subwords_data(subwords.proto),
        "knownWords": front_coded(known.words),
        "numberWords": numbers,
        "titles": titles,
        "readings": READINGS["es"],
    }
    lines = [
        *everyday("english"),
        *everyday("spanish"),
        "He saw Zeb Zork and Ann van der Quist, O'Brien-Smith's, at 5pm on the 21st: A320, +34 91 123 45 67.",
        "He SAID it costs €5 (or 20 °C), 1.250,99 € and COVID-19: call +1 (555) 123-4567 :-) C++ & 東京 {x} 3/4",
        "El Señor Zork vio a la doctora Ana J. Zork y al Sr. Quist: treinta y cinco, TREINTA Y UN, don Zeb",
        "He read \"Gone with the Wind,\" 'The Zork' and The Lord of the Rings; «Cien Años de Soledad» y La Zorka.",
        "- NAME, he/she",
        "1. Abre la puerta",
        "1.",
        "a) yes • no xD",
        "... ?!",
        "CALL ZEBULON AT 10:30, “Zork” 👍 \ue000\ue004",
        "MY NAME IS ZEBULON, AND I WALKED HOME FROM O'BRIEN-SMITH'S ÉCOLE.",
        *fuzzed_lines(500),
        *named_lines(500),
    ]
    check_pieces(tmp_path, model, subwords, lines)


@pytest.mark.parametrize("name, language, column", [(SHIPPED[0], "en", "english"), (SHIPPED[1], "es", "spanish")])
def test_sentences_are_pythons(tmp_path, name, language, column):
    lines = [*everyday(column), *SEVERAL[language]]
    subwords = Translator.load(name).subwords
    found = run_engine(tmp_path, exact(name), task="sentences", lines=lines)
    for line, ours in zip(lines, found, strict=True):
        expected = [part.encoding.text for part in sentences(subwords, subwords.encode(line, apart=True), language)]
        assert ours == [text.strip() for text in expected], repr(line)


def check_trust(ours: dict, theirs: Translation) -> None:
    """Links and confidences; neither, for some networks."""
    assert ours["links"] == (None if theirs.alignment is None else [list(link) for link in theirs.alignment])
    assert ours["confidence"] == (theirs.confidence and pytest.approx(theirs.confidence, abs=1e-3))
    assert ours["wordConfidence"] == (theirs.word_confidence and pytest.approx(theirs.word_confidence, abs=1e-3))
    assert ours["doubtful"] == [word for word, doubt in enumerate(doubtful(theirs)) if doubt]


def check_translations(place: Path, checkpoint: str | Path, model: dict, lines: list[str], **options) -> None:
    expected = Translator.load(checkpoint, "torch", threads=1).translate(lines, heads=True, **options)
    n_best = options.get("n_best", 1)
    found = run_engine(place, model, task="translate", lines=lines, beam=options["beam"], nBest=n_best)
    for theirs, ours in zip(expected, found, strict=True):
        if theirs.heads is None:  # a text without words
            assert (ours["text"], ours["heads"]) == (theirs.text, None)
            continue
        for their, our in zip(theirs.hypotheses or [theirs], ours["hypotheses"], strict=True):
            assert our["text"] == their.text
            assert our["score"] == pytest.approx(their.score, abs=1e-3)
            check_trust(our, their)
            assert (our["sourceWords"], our["targetWords"]) == (their.source_words, their.target_words)
            assert our["heads"]["targetPieces"] == their.heads.target_pieces
            assert our["heads"]["sourceWordsOfPiece"] == their.source_word_of_piece
            assert our["heads"]["targetWordsOfPiece"] == their.target_word_of_piece
            for kind, weights in their.heads.kinds.items():
                np.testing.assert_allclose(our["heads"][kind], weights.ravel(), atol=1e-4)
            for their_step, our_step in zip(their.heads.candidates, our["heads"]["candidates"], strict=True):
                assert [score for _, score in our_step] == pytest.approx([s for _, s in their_step], abs=1e-3)


@pytest.mark.parametrize("options", [{"beam": 5}, {"beam": 1}])
def test_translations_are_pytorchs(shipped, tmp_path, options):
    check_translations(tmp_path, SHIPPED[0], shipped, PLAIN, **options)


@pytest.mark.parametrize(
    "shape",
    [
        {"norm": "post", "tied_embeddings": False, "positions": "learned"},
        {"positions": "none", "key_width": 3},
        {"type": "rnnsearch"},
        {"type": "rnnsearch", "attention": "dot", "tied_embeddings": False},
        {"type": "rnnsearch", "attention": "general"},
    ],
)
def test_other_networks(tmp_path, shape):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=40, **shape)
    model = model_data(directory, "float32")
    check_translations(tmp_path, directory, model, PLAIN[:3], beam=3, n_best=3)


def test_the_network_without_attention(tmp_path):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=40, type="rnnencdec")
    model = model_data(directory, "float32")
    expected = Translator.load(directory, "torch", threads=1).translate(PLAIN[:3], beam=3)
    found = run_engine(tmp_path, model, task="texts", lines=PLAIN[:3], beam=3)
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert [one["score"] for one in found] == pytest.approx([one.score for one in expected], abs=1e-3)


def test_a_recurrent_network_looks_where_it_is_told_to(tmp_path):
    model = model_data(write_tiny_checkpoint(tmp_path / "tiny", steps=40, type="rnnsearch"), "float32")
    pieces = intervene(tmp_path, model, beam=2)["pieces"]
    moved = [{"step": 1, "to": [2]}]
    found = intervene(tmp_path, model, beam=2, forced=pieces, moved=moved)["heads"]["cross"]
    rows = np.array(found).reshape(len(pieces) + 1, -1)
    assert rows[1, 2] == 1 and rows[0].max() < 1
    plain = losses(tmp_path, model, pieces)
    after = losses(tmp_path, model, pieces, moved=moved)
    assert after[0] == plain[0] and after[1:] != pytest.approx(plain[1:], abs=1e-4)
    off = losses(tmp_path, model, pieces, off=[{"kind": "cross", "layer": 0, "head": 0}])
    assert off != pytest.approx(plain, abs=1e-4)


def test_other_networks_are_refused(tmp_path):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=1, attention="local")
    with pytest.raises(UserError, match="no engine for transformer with local attention"):
        model_data(directory)
    directory = write_tiny_checkpoint(tmp_path / "short", steps=1)
    arrays = load_arrays(directory / WEIGHTS)
    save_arrays(directory / WEIGHTS, {**arrays, "output_bias": arrays["output_bias"][:-1]})
    write_checkpoint_metadata(directory, Checkpoint(directory).metadata.record)
    with pytest.raises(UserError, match="of another network or vocabulary"):
        model_data(directory)
    proto = tiny_subwords().proto
    proto.normalizer_spec.remove_extra_whitespaces = False
    with pytest.raises(UserError, match="single spaces; not this"):
        subwords_data(proto)


@pytest.mark.parametrize("name, column", [(SHIPPED[0], "english"), (SHIPPED[1], "spanish")])
def test_links_and_confidence_are_pythons(tmp_path, name, column):
    lines = [*everyday(column)[::12], "see https://nmt.example 😀 and Zblorg, 12", *SYMBOLS]
    checkpoint = calibrated(shipped_checkpoint(name), tmp_path / name, WEIGHTS_OF_EVIDENCE)
    expected = Translator.load(checkpoint, "torch", threads=1).translate(lines, beam=5, one_sentence=True)
    model = {**exact(name), "confidence": Checkpoint(checkpoint).metadata.confidence}
    found = run_engine(tmp_path, model, task="translate", lines=lines, beam=5)
    for theirs, ours in zip(expected, found, strict=True):
        assert ours["text"] == theirs.text
        check_trust(ours, theirs)
    assert 0 < sum(len(ours["doubtful"]) for ours in found) < sum(len(ours["targetWords"]) for ours in found) / 2
    confidences = [ours["confidence"] for ours in found if ours["confidence"] is not None]  # a line of numbers has none
    assert max(confidences) > min(confidences) + 0.2


def test_confidence_of_a_text_and_of_a_network_without_a_head(tmp_path, tiny_checkpoint):
    checkpoint = calibrated(tiny_checkpoint, tmp_path / "own", WEIGHTS_OF_EVIDENCE)
    lines = [ENGLISH[0], f"{ENGLISH[1]} {ENGLISH[2]}"]
    expected = Translator.load(checkpoint, "torch", threads=1).translate(lines, beam=4)
    found = run_engine(tmp_path, model_data(checkpoint, "float32"), task="texts", lines=lines, beam=4)
    assert [one["confidence"] for one in found] == pytest.approx([one.confidence for one in expected], abs=1e-3)
    (single,) = run_engine(tmp_path, model_data(checkpoint, "float32"), task="translate", lines=lines[:1], beam=4)
    check_trust(single, expected[0])


def test_prepared_text_translates_as_pythons(shipped, tmp_path):
    lines = [line for kind in ("token", "upper", "typography", "paragraph") for line in everyday("english", kind)[:3]]
    expected = Translator.load(SHIPPED[0], "torch", threads=1).translate(lines, beam=1)
    found = run_engine(tmp_path, shipped, task="texts", lines=lines, beam=1)
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert [one["score"] for one in found] == pytest.approx([one.score for one in expected], abs=1e-3)


@pytest.mark.parametrize("name, column", [(SHIPPED[0], "english"), (SHIPPED[1], "spanish")])
def test_quoted_words_are_translated_as_pythons(tmp_path, name, column):
    lines = [*everyday(column, "quoted"), "'Hola', dijo Tom.", '"Nobody knows," she said.', 'I saw "The Lion King".']
    expected = [one.text for one in Translator.load(name, "torch", threads=1).translate(lines, beam=1)]
    found = run_engine(tmp_path, exact(name), task="texts", lines=lines, beam=1)
    assert [one["text"] for one in found] == expected


@pytest.mark.parametrize("name, column", [(SHIPPED[0], "english"), (SHIPPED[1], "spanish")])
def test_asides_and_capitals_are_translated_as_pythons(tmp_path, name, column):
    lines = [
        *everyday(column, "aside")[:12],
        *everyday(column, "institution")[::2],
        "Meet Uncle Tom and the Secretary of State, or run `pip install nmt` (now).",
        "Tom (Zork) es mi amigo (I think) 🙂.",
        "Size: M (or L) | Color: red",
        "(hola) 5 (hello)",
        "Compré el “Quijote” (un “libro” viejo), ¿no?",
    ]
    expected = Translator.load(name, "torch", threads=1).translate(lines, beam=1)
    found = run_engine(tmp_path, exact(name), task="texts", lines=lines, beam=1)
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert [one["score"] for one in found] == pytest.approx([one.score for one in expected], abs=1e-3)


def test_numbers_and_titles_are_translated_as_pythons(tmp_path):
    translator = Translator.load(SHIPPED[1], "torch", threads=1)
    lines = [
        "Hablé con el señor Ibarra.",
        "La señora Molina tiene TREINTA Y CINCO años.",
        "Tengo treinta y un gatos.",
        "Hoy es el tres de mayo.",
        "—Hola —dijo él.",
        "—¿Dónde estás? —preguntó ella—.",
        "El Sr. Ortega y la doctora Ana J. Zork son amigos.",
    ]
    found = run_engine(tmp_path, exact(SHIPPED[1]), task="texts", lines=lines, beam=1)
    expected = [one.text for one in translator.translate(lines, beam=1)]
    assert [one["text"] for one in found] == expected
    assert "Mr. Ibarra" in expected[0] and "Mrs. Molina" in expected[1] and " 31 " in expected[2]
    assert expected[3].endswith("May third.")


def intervene(place: Path, model: dict, **request) -> dict:
    return run_engine(place, model, task="intervene", lines=[{"line": LINES[0], **request}])[0]


def losses(place: Path, model: dict, pieces: list[str], **options) -> list[float]:
    return run_engine(place, model, task="losses", lines=[{"line": LINES[0], "pieces": pieces, **options}])[0]


def test_a_head_switched_off_is_one_whose_output_is_not_read(tmp_path):
    checkpoint = Checkpoint(write_tiny_checkpoint(tmp_path / "tiny", steps=40))
    model = model_data(checkpoint.directory, "float32")
    arrays = load_arrays(checkpoint.path(WEIGHTS))
    heads = model["config"]["heads"]
    for kind, layer in (("cross", "decoder_layers.1.cross"), ("encoder", "encoder_layers.0.self")):
        name = f"{layer}_attention.output.weight"
        weight = arrays[name].copy()
        width = weight.shape[1] // heads
        weight[:, width : 2 * width] = 0
        without = {**model, "weights": packed_arrays({**arrays, name: weight}, "float32")}
        pieces = intervene(tmp_path, model, beam=2)["pieces"]
        off = [{"kind": kind, "layer": int(layer.split(".")[1]), "head": 1}]
        found = losses(tmp_path, model, pieces, off=off)
        assert found == pytest.approx(losses(tmp_path, without, pieces), abs=1e-4)
        assert found != pytest.approx(losses(tmp_path, model, pieces), abs=1e-4)
        assert found != pytest.approx(losses(tmp_path, model, pieces, off=[{**off[0], "by": "mean"}]), abs=1e-4)


def test_forced_pieces_moved_rows_and_the_tree(tmp_path, tiny_checkpoint):
    model = model_data(tiny_checkpoint, "float32")
    plain = intervene(tmp_path, model, beam=3)
    assert plain["ended"]
    total = -sum(losses(tmp_path, model, plain["pieces"]))
    assert plain["score"] == pytest.approx(total / ((5 + len(plain["pieces"]) + 1) / 6) ** 1.0, abs=1e-3)
    forced = intervene(tmp_path, model, beam=3, forced=[*plain["pieces"][:1], plain["pieces"][-1]])
    assert forced["pieces"][:2] == [plain["pieces"][0], plain["pieces"][-1]]
    moved = intervene(tmp_path, model, beam=3, moved=[{"step": 1, "to": [0, 2], "layer": 1}])
    shape = (model["config"]["decoder_layers"], model["config"]["heads"], len(moved["pieces"]) + 1, -1)
    cross = np.array(moved["heads"]["cross"]).reshape(shape)
    assert np.allclose(cross[1, :, 1, [0, 2]], 0.5) and not np.allclose(cross[0, :, 1, 0], 0.5)
    tree = plain["tree"]
    assert tree[0]["parent"] == -1 and all(node["parent"] < number for number, node in enumerate(tree))
    best = next(number for number, node in enumerate(tree) if node["rank"] == 0)
    assert tree[best]["fate"] == "finished" and tree[best]["score"] == pytest.approx(plain["score"])
    path = []
    while best > 0:
        path.insert(0, tree[best]["piece"])
        best = tree[best]["parent"]
    assert path == [*plain["pieces"], "</s>"]
    parents = {node["parent"] for node in tree}
    assert all((node["fate"] == "grew") == (number in parents) for number, node in enumerate(tree))


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_small_weights_translate_almost_alike(tmp_path, precision):
    translator = Translator.load(SHIPPED[0], "torch", threads=1)
    expected = translator.translate(LINES[:2], beam=5)
    found = run_engine(tmp_path, model_data(SHIPPED[0], precision), task="translate", lines=LINES[:2], beam=5)
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert [one["score"] for one in found] == pytest.approx([one.score for one in expected], abs=0.05)
