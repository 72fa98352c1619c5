"""The translator page in a browser, and the command that opens it."""

from pathlib import Path

import pytest
from test_confidence import calibrated
from test_page_engine import LINES, WEIGHTS_OF_EVIDENCE
from tiny import write_tiny_checkpoint
from tools import chromium_browser, visit, watched  # noqa: F401

from nmt.checkpoint import SHIPPED, Checkpoint, shipped_checkpoint
from nmt.confidence import doubtful, in_words
from nmt.page.bundle import translator_page
from nmt.translator import Translator


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    from nmt.cli.page import main

    path = tmp_path_factory.mktemp("page") / "translator.html"
    main(["--output", str(path)])
    return path


def test_the_page_of_both_directions_and_of_one_are_small(page_file):
    assert len(page_file.read_text(encoding="utf-8")) < 14e6
    assert len(translator_page([SHIPPED[0]])) < 8e6


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


def wait_for(page, text: str) -> None:
    page.wait_for_function("text => document.documentElement.dataset.translated === text", arg=text)


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark")])
def test_the_page_translates(browser, page_file, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    troubles = watched(page, "file:", "data:", "blob:")
    visit(page, page_file.as_uri())
    page.fill("#text", LINES[0])
    wait_for(page, LINES[0])
    assert page.inner_text("#translation") == "Ella me trajo una taza de té."
    name = Checkpoint(shipped_checkpoint()).attention_name
    assert page.inner_text("#title").lower() == name and name.endswith("(guided)")
    assert page.locator(f'.thumbnail[aria-label="{page.inner_text("#title")}"]').count() == 1
    labels = page.eval_on_selector_all("#matrix text[data-column]", "all => all.map((one) => one.lastChild.data)")
    assert labels == ["She", "brought", "me", "a", "cup", "of", "tea", ".", "</s>"]
    assert page.is_visible(".thumbnail")
    page.click("label:has(#kind-decoder)")
    page.click('.thumbnail[data-layer="1"][data-head="2"]')
    assert page.inner_text("#title") == "Decoder self-attention, layer 2, head 3"
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
    assert troubles == []


def test_doubt_is_shown(browser, tmp_path, tiny_checkpoint):
    checkpoint = calibrated(tiny_checkpoint, tmp_path / "own", WEIGHTS_OF_EVIDENCE)
    path = tmp_path / "page.html"
    path.write_text(translator_page([checkpoint], "float32"), encoding="utf-8")
    expected = Translator.load(checkpoint, "torch", threads=1).translate(LINES[0])
    page = browser.new_page()
    visit(page, f"{path.as_uri()}#text={LINES[0]}&beam=4&nBest=3")  # a number that the page does not offer
    assert page.input_value("#n-best") == "3"
    assert page.inner_text("#score").startswith(in_words(expected.confidence))
    doubts = [word for word, doubt in zip(expected.target_words, doubtful(expected), strict=True) if doubt]
    assert doubts and "Underlined words are doubtful" in page.inner_text("#score")
    assert page.locator("#translation .doubtful").all_inner_texts() == doubts
    assert page.eval_on_selector_all("#matrix .doubtful", "all => all.map((one) => one.lastChild.data)") == doubts
    page.close()


def settled(page) -> None:
    """Wait until the page has the answer to the last change."""
    page.wait_for_function("() => !document.documentElement.dataset.busy")


def test_the_reader_changes_what_the_model_does(browser, page_file):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    visit(page, f"{page_file.as_uri()}#text={LINES[0]}")
    original = page.inner_text("#translation")
    page.locator("#stepper .candidate").first.click()  # another first word
    settled(page)
    assert page.inner_text("#translation") != original and page.inner_text("#beside-text") == original
    assert page.locator("#translation mark").count() and "begins with" in page.inner_text("#changes")
    page.wait_for_function("() => document.querySelector('#beside-loss').textContent.includes('under your changes')")
    page.fill("#stepper .own input", "Mi madre")
    page.press("#stepper .own input", "Enter")
    page.wait_for_function("() => document.querySelector('#changes').textContent.includes('mi madre')")
    settled(page)
    assert page.inner_text("#translation").startswith("Mi madre")
    page.locator("#changes button").first.click()
    settled(page)
    assert page.inner_text("#translation") == original and page.is_hidden("#beside")
    page.click('.thumbnail[data-layer="2"][data-head="1"]')
    page.click("#off-mean")
    settled(page)
    assert page.locator('.thumbnail.off[data-layer="2"][data-head="1"]').count() == 1
    cells = page.locator("#matrix .cells rect")
    box = cells.first.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 5 + 4 * box["width"], box["y"] + 5)
    page.mouse.up()
    settled(page)
    assert page.locator("#changes button").count() == 3 and page.locator("#matrix .moved").count() == 1  # and all back
    page.locator("#tree .node").nth(3).hover()
    assert "log-probability" in page.inner_text("#tree-readout")
    page.locator("#tree .node").nth(3).click()
    settled(page)
    assert "begins with" in page.inner_text("#changes")
    page.click("#keep")
    settled(page)
    page.select_option("#beam", "1")
    settled(page)
    page.wait_for_function("() => location.hash.includes('beam=1')")
    assert page.inner_text("#beside-title").startswith("For comparison")
    shown = [page.inner_text(part) for part in ("#translation", "#changes", "#beside-text", "#title")]
    again = browser.new_page(viewport={"width": 390, "height": 844})
    visit(again, page.url)
    assert [again.inner_text(part) for part in ("#translation", "#changes", "#beside-text", "#title")] == shown
    again.close()
    page.close()
