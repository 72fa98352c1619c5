"""The page's engine under Node against SentencePiece and PyTorch, and the page itself in a browser."""

import json
import random
import re
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from tiny import write_tiny_checkpoint
from tools import chromium_browser, program  # noqa: F401

from nmt.checkpoint import SHIPPED
from nmt.errors import UserError
from nmt.page.export import model_data, translator_page
from nmt.page.sentencepiece_model import subwords_data
from nmt.text.subwords import Subwords
from nmt.text.words import normalize
from nmt.translator import Translator

DRIVER = Path(__file__).parent / "javascript" / "page_engine.mjs"
LINES = [
    "She brought me a cup of tea.",
    "I would like to know where the bank is.",
    "Tom's got 1,234 “friends” – hasn't he?",
    "Zażółć gęślą jaźń 😀 at the harbour.",
    "It rained for nine days, and then the river rose.",
    "no",
    "...",
    "   ",
]
PLAIN = [*LINES[:2], "Tom's got 1,234 friends - hasn't he?", "Zażółć gęślą jaźń at the harbour.", *LINES[4:]]
"""Lines that `Subwords.encode` gives to SentencePiece as they are."""
ALPHABETS = [
    "abcdefghijklmnop ABC,.!?'’\"",
    "áéíóúñ¿¡",
    "  \u00a0\u2003\u3000\t\u200b\u200d\ufeff▁",
    "שלום",
    "中文ｶﾞテ",
    "😀👩‍👧🇪🇸",
    "e\u0301n\u0303\u0323",
    "ﬁ①½Ⅷ㍿",
    "\ud83d",
    "<&\x00\x07\u202e",
]


def run_engine(place: Path, model: dict, **request) -> list[dict]:
    node = program("node", "apt-get install nodejs")
    (place / "model.json").write_text(json.dumps(model))
    (place / "requests.json").write_text(json.dumps(request))
    command = [node, str(DRIVER), str(place / "model.json"), str(place / "requests.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def fuzzed_lines(count: int) -> list[str]:
    generator = random.Random(0)
    # Node's Unicode may know characters that Python's does not.
    assigned = [chr(code) for code in range(32, 0x3000) if unicodedata.category(chr(code)) != "Cn"]
    return [
        "".join(
            generator.choice(generator.choice(ALPHABETS)) if i % 3 else generator.choice(assigned)
            for i in range(generator.randint(0, 50))
        )
        for _ in range(count)
    ]


def sentencepieces(subwords: Subwords, lines: list[str]) -> list[list[int]]:
    """The pieces of lines as they are: the page does not unify quotes, copy emoji or case capitals as `encode` does."""
    texts = [normalize(line).encode("utf-8", "replace").decode() for line in lines]
    return subwords._processor.encode(texts)


def expected_pieces(subwords: Subwords, lines: list[str]) -> list[tuple]:
    found = map(subwords.encode, lines)
    return [(encoding.ids, encoding.words_of_piece) for encoding in found]


@pytest.fixture(scope="module")
def shipped() -> dict:
    return model_data(SHIPPED[0], "float32")


def test_pieces_are_sentencepieces(shipped, tmp_path):
    lines = LINES + fuzzed_lines(2000)
    subwords = Translator.load(SHIPPED[0]).subwords
    found = run_engine(tmp_path, shipped, task="encode", lines=lines)
    assert [one["ids"] for one in found] == sentencepieces(subwords, lines)


def test_words_of_pieces_are_the_same(shipped, tmp_path):
    found = run_engine(tmp_path, shipped, task="encode", lines=PLAIN)
    expected = expected_pieces(Translator.load(SHIPPED[0]).subwords, PLAIN)
    assert [(one["ids"], one["wordsOfPiece"]) for one in found] == expected


def test_bpe(shipped, tmp_path):
    from tiny import SENTENCES

    subwords = Subwords.train(SENTENCES, 400, model_type="bpe", character_coverage=1.0)
    lines = SENTENCES + fuzzed_lines(200)
    found = run_engine(tmp_path, {**shipped, "subwords": subwords_data(subwords.model)}, task="encode", lines=lines)
    assert [one["ids"] for one in found] == sentencepieces(subwords, lines)


def check_translations(place: Path, checkpoint: str | Path, model: dict, lines: list[str], **options) -> None:
    expected = Translator.load(checkpoint, "torch", threads=1).translate(lines, heads=True, **options)
    n_best = options.get("n_best", 1)
    found = run_engine(place, model, task="translate", lines=lines, beam=options["beam"], nBest=n_best)
    for theirs, ours in zip(expected, found, strict=True):
        if theirs.heads is None:  # a text without words
            assert (ours["text"], ours["heads"]) == ("", None)
            continue
        for their, our in zip(theirs.hypotheses or [theirs], ours["hypotheses"], strict=True):
            assert our["text"] == their.text
            assert our["score"] == pytest.approx(their.score, abs=1e-3)
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
    ],
)
def test_other_transformers(tmp_path, shape):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=40, **shape)
    model = model_data(directory, "float32")
    check_translations(tmp_path, directory, model, PLAIN[:3], beam=3, n_best=3)


def test_other_networks_are_refused(tmp_path):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=1, attention="local")
    with pytest.raises(UserError, match="no engine for transformer with local attention"):
        model_data(directory)


@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_small_weights_translate_almost_alike(tmp_path, precision):
    translator = Translator.load(SHIPPED[0], "torch", threads=1)
    expected = translator.translate(LINES[:2], beam=5)
    found = run_engine(tmp_path, model_data(SHIPPED[0], precision), task="translate", lines=LINES[:2], beam=5)
    assert [one["text"] for one in found] == [one.text for one in expected]
    assert [one["score"] for one in found] == pytest.approx([one.score for one in expected], abs=0.05)


def test_one_model_takes_less_than_eight_megabytes():
    assert len(translator_page([SHIPPED[0]])) < 8e6


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    from nmt.cli.page import main

    path = tmp_path_factory.mktemp("page") / "translator.html"
    main(["--output", str(path)])
    return path


def test_demo_writes_the_page_to_the_cache_and_opens_it(tmp_path, monkeypatch, capsys):
    from nmt.cli.demo import main

    opened = []
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    checkpoint = str(write_tiny_checkpoint(tmp_path / "tiny", steps=1))
    main([checkpoint])
    path = tmp_path / "cache" / "translator.html"
    assert capsys.readouterr().out.strip() == str(path) and opened == [path.as_uri()]
    assert path.read_text(encoding="utf-8") == translator_page([checkpoint])
    main([checkpoint, "--no-open"])
    assert len(opened) == 1


def test_policy_forbids_requests(page_file):
    text = page_file.read_text(encoding="utf-8")
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text)
    assert policy and policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy[1] and "http" not in policy[1] and len(text) < 14e6


def wait_for(page, text: str) -> None:
    page.wait_for_function("text => document.documentElement.dataset.translated === text", arg=text)


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_the_page_translates(browser, page_file, width, scheme):
    complaints, requests = [], []
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    page.fill("#text", LINES[0])
    wait_for(page, LINES[0])
    assert page.inner_text("#translation") == "Ella me trajo una taza de té."
    assert re.fullmatch(r"Cross-attention, layer \d, mean of heads", page.inner_text("#title"))
    labels = page.eval_on_selector_all("#matrix text[data-column]", "all => all.map((one) => one.lastChild.data)")
    assert labels == ["She", "brought", "me", "a", "cup", "of", "tea", ".", "</s>"]
    page.select_option("#kind", "decoder")
    page.select_option("#head", "2")
    assert page.inner_text("#title").startswith("Decoder self-attention, layer") and "head 3" in page.inner_text(
        "#title"
    )
    page.click("#swap")
    wait_for(page, "Ella me trajo una taza de té.")
    assert page.inner_text("#translation") == LINES[0]
    hostile = "<img src=x onerror=alert(1)> \u202e \ud83d"
    page.evaluate("text => { document.querySelector('#text').value = text; }", hostile)
    page.dispatch_event("#text", "input")
    page.wait_for_function("() => document.documentElement.dataset.translated.startsWith('<img')")
    assert page.locator("#translation img, #matrix img").count() == 0
    page.fill("#text", "word " * 2000)
    page.wait_for_function("() => document.querySelector('#trouble').textContent.includes('shorten it')")
    result = page.evaluate("() => nmt.translate('Good morning.', {beam: 3, nBest: 2, model: nmt.models[0].name})")
    assert len(result["hypotheses"]) == 2 and result["heads"]["cross"]["heads"] == 4
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
