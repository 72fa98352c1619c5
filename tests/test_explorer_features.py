"""The explorer page in headless Chromium: its features, with the numbers of the safetensors file it was made from."""

from dataclasses import replace

import numpy as np
import pytest
from explorer_browser import TOLERANCE, choose, hover, number_in, opened_pages  # noqa: F401
from inspection_samples import ENGLISH, SPANISH, synthetic_translation
from safetensors.numpy import load_file, save_file
from tools import chromium_browser, visit  # noqa: F401

from nmt.alignment.pieces import word_attention
from nmt.inspection.colours import colour_table


def test_the_alignment_head_comes_first(opened):
    translation = synthetic_translation()
    page = opened(translation)
    assert page.inner_text("#title") == "Alignment"
    assert page.is_checked("#kind-alignment")
    for row, column in [(0, 0), (3, 4), (6, 8)]:
        assert number_in(hover(page, row, column)) == pytest.approx(translation.attention[row, column], abs=TOLERANCE)
    assert page.locator("#matrix .links rect").count() == len(translation.alignment)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_hover_shows_the_numbers_of_the_safetensors_file(opened, tmp_path, kind):
    translation = synthetic_translation(layers=3, heads=4)
    save_file({kind: getattr(translation.heads, kind)}, tmp_path / "attention.safetensors")
    weights = load_file(tmp_path / "attention.safetensors")[kind]
    page = opened(translation)
    generator = np.random.default_rng(0)
    for layer, head in [(0, 0), (2, 3), (1, 2)]:
        choose(page, kind, layer, head, "pieces")
        assert page.inner_text("#title").endswith(f"layer {layer + 1}, head {head + 1}")
        for _ in range(6):
            row, column = generator.integers(weights.shape[2]), generator.integers(weights.shape[3])
            expected = weights[layer, head, row, column]
            assert number_in(hover(page, int(row), int(column))) == pytest.approx(expected, abs=TOLERANCE)


def test_command_line_page_and_attention_file_have_the_same_numbers(browser, tiny_checkpoint, tmp_path):
    from nmt.cli.translate import main

    page_path, file_path = tmp_path / "page.html", tmp_path / "attention.safetensors"
    sentence = "My sister paints small birds on blue cups."
    main([sentence, "--checkpoint", str(tiny_checkpoint), "--plot", str(page_path), "--attention", str(file_path)])
    arrays = load_file(file_path)
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    visit(page, page_path.as_uri())
    for kind in ("encoder", "decoder", "cross"):
        choose(page, kind, 1, 3, "pieces")
        weights = arrays[f"0.{kind}"][1, 3]
        for row, column in [(0, 0), (3, 2), (weights.shape[0] - 1, weights.shape[1] - 1)]:
            assert number_in(hover(page, row, column)) == pytest.approx(weights[row, column], abs=TOLERANCE)
    page.close()


def test_words_are_the_sum_and_the_mean_of_their_pieces(opened):
    translation = synthetic_translation(["translations", "are", "interesting"], ["traducciones", "interesantes"])
    page = opened(translation)
    expected = word_attention(
        translation.heads.cross[1, 2], translation.source_word_of_piece, translation.target_word_of_piece, 3, 2
    )
    choose(page, "cross", 1, 2, "words")
    labels = page.eval_on_selector_all("#matrix text[data-column]", "all => all.map((one) => one.lastChild.data)")
    assert labels == ["translations", "are", "interesting", "</s>"]
    for row in range(2):
        for column in range(4):
            assert number_in(hover(page, row, column)) == pytest.approx(expected[row, column], abs=4 * TOLERANCE)
    page.click("label:has(#unit-pieces)")
    labels = page.eval_on_selector_all("#matrix text[data-column]", "all => all.map((one) => one.lastChild.data)")
    assert labels == translation.heads.source_pieces


def test_thumbnails_show_every_layer_and_head(opened):
    translation = synthetic_translation(layers=3, heads=4)
    page = opened(translation)
    choose(page, "cross", 0, 0, "pieces")
    assert page.locator(".thumbnail").count() == 12
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector('.thumbnail[data-layer="2"][data-head="1"] canvas');
            return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    weights = translation.heads.cross[2, 1]
    expected = colour_table()[np.round(weights * 255).astype(int)]
    assert np.array_equal(np.array(pixels).reshape(*weights.shape, 4)[..., :3], expected)


def test_hover_lights_up_row_column_and_links(opened):
    translation = synthetic_translation()
    page = opened(translation)
    source, target = translation.alignment[2]
    hover(page, target, source)
    assert ", linked" in page.inner_text("#tip")
    assert page.locator("#matrix .band:not(.hidden)").count() == 2
    assert page.locator("#matrix .cursor:not(.hidden)").count() == 1
    assert page.locator("#matrix .links rect.lit").count() >= 1
    assert page.text_content(f"#matrix text[data-row='{target}'].lit")
    assert page.text_content(f"#matrix text[data-column='{source}'].lit")
    assert page.locator("#lines path.exact").count() == 1
    page.mouse.move(2, 2)
    assert page.locator(".lit").count() == 0 and page.is_hidden("#tip")


def test_lines_join_the_words_and_light_up_from_a_word(opened):
    translation = synthetic_translation()
    page = opened(translation)
    shown = int((translation.attention >= 0.02).sum())
    assert page.locator("#lines path").count() == shown
    page.hover("#lines text[data-row='1']")
    assert page.locator("#lines path.lit").count() == int((translation.attention[1] >= 0.02).sum())
    assert translation.target_words[1] in page.inner_text("#readout")


def test_click_pins_and_escape_frees(opened):
    page = opened(synthetic_translation())
    text = hover(page, 2, 2)
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(2, 2)
    assert page.inner_text("#readout") == text
    assert page.locator("#readout.pinned").count() == 1 and page.locator("#matrix .band:not(.hidden)").count() == 2
    page.keyboard.press("Escape")
    assert page.locator("#readout.pinned").count() == 0 and page.locator("#matrix .band:not(.hidden)").count() == 0


def test_slider_hides_small_weights(opened):
    translation = synthetic_translation()
    page = opened(translation)
    for threshold in (0.0, 0.25, 0.6):
        page.evaluate(
            """(value) => {
                const slider = document.querySelector("#threshold");
                slider.value = value;
                slider.dispatchEvent(new Event("input"));
            }""",
            threshold,
        )
        stored = np.round(translation.attention * 255) / 255
        assert page.locator("#matrix .cells rect").count() == int(((stored >= threshold) & (stored > 0)).sum())
        assert page.inner_text("#threshold-value") == f"{threshold:.2f}"


def test_every_hypothesis_of_the_n_best_list_with_its_score(opened):
    translation = synthetic_translation(hypotheses=3)
    translation.hypotheses[0] = replace(translation.hypotheses[0], confidence=0.9)
    page = opened(translation)
    labels = page.locator("#hypothesis-list label")
    assert labels.count() == 3
    for number, hypothesis in enumerate(translation.hypotheses):
        assert f"{hypothesis.score:.3f}" in labels.nth(number).inner_text()
        labels.nth(number).click()
        assert page.inner_text("#translation") == hypothesis.text
        told = f"{hypothesis.text} score {hypothesis.score:.3f} (nearer to 0 is better)"
        assert page.inner_text("dd:has(#score)") == told + ("" if number else "; confidence 0.90")
        assert number_in(hover(page, 0, 1)) == pytest.approx(hypothesis.attention[0, 1], abs=TOLERANCE)
        choose(page, "cross", 1, 1, "pieces")
        assert number_in(hover(page, 0, 2)) == pytest.approx(hypothesis.heads.cross[1, 1, 0, 2], abs=TOLERANCE)
        choose(page, "alignment")


def test_step_by_step_shows_where_it_looks_and_what_else_was_considered(opened):
    translation = synthetic_translation(target_words=["Ella", "traducciones", "."])
    page = opened(translation)
    assert page.locator("#stepper .target .word").all_inner_texts() == ["Ella", "traducciones", ".", "</s>"]
    page.click("text=next ▶")
    assert "Step 2 of 4 writes “traducciones”" in page.inner_text("#stepper .caption")
    looks = page.locator("#stepper .looks .word")
    shown = [looks.nth(column).get_attribute("title") for column in range(looks.count())]
    assert [float(text) for text in shown] == pytest.approx(translation.attention[1], abs=TOLERANCE)
    tables = page.locator("#stepper table")
    assert tables.count() == 3  # ▁trad, ucci, ones
    assert (
        "▁trad ✓ chosen" in tables.nth(0).inner_text() and f"{100 * np.exp(-2.5):.1f} %" in tables.nth(0).inner_text()
    )
    assert page.text_content("#matrix text[data-row='1'].lit")
    page.focus("#stepper input")
    page.keyboard.press("End")
    assert "writes “</s>”" in page.inner_text("#stepper .caption")
    assert page.locator("#stepper button", has_text="next").is_disabled()
    choose(page, "cross", 0, 1, "pieces")
    page.locator("#stepper .target .word").nth(2).click()
    assert "Step 3 of 6 writes “ucci”" in page.inner_text("#stepper .caption")


def test_a_choice_outside_the_candidates_is_shown_as_such(opened):
    translation = synthetic_translation()
    translation.heads.candidates[0] = [("▁Una", -0.2)]
    page = opened(translation)
    assert "less likely than these" in page.inner_text("#stepper .considered")


def test_what_is_not_listed_is_summed_up(opened):
    translation = synthetic_translation()
    translation.heads.candidates[0] = [(translation.heads.target_pieces[0], np.log(0.6)), ("▁Una", np.log(0.3))]
    page = opened(translation)
    last = page.locator("#stepper .considered table").first.locator("tr").last
    assert "others" in last.inner_text() and "10.0 %" in last.inner_text()


def test_heads_are_on_the_first_screen_and_cover_nothing(opened):
    page = opened(synthetic_translation(layers=3, heads=4), height=800)
    assert page.locator(".thumbnail").last.bounding_box()["y"] < 800
    choose(page, "cross", 2, 3)
    page.locator("#steps").scroll_into_view_if_needed()
    chooser, steps = (page.locator(part).bounding_box() for part in ("#chooser", "#steps"))
    assert chooser["y"] + chooser["height"] <= steps["y"]


def test_self_attention_has_no_links_and_its_columns_are_named(opened):
    page = opened(synthetic_translation())
    assert page.is_visible("#link-legend")
    choose(page, "decoder")
    assert page.is_hidden("#link-legend") and "written there" in page.inner_text("#meaning")
    head = page.locator("#lines text.head").first
    assert head.text_content() == "written before"
    assert head.bounding_box()["x"] >= page.locator("#lines").bounding_box()["x"]


def test_without_heads_the_alignment_can_be_explored(opened):
    translation = synthetic_translation(layers=0)
    page = opened(translation)
    assert page.is_visible("#no-heads") and page.is_disabled("#kind-cross")
    assert number_in(hover(page, 1, 1)) == pytest.approx(translation.attention[1, 1], abs=TOLERANCE)
    page.click("text=next ▶")
    assert f"Step 2 of {len(translation.target_words)}" in page.inner_text("#stepper .caption")


def test_several_sentences_and_empty_ones(opened):
    empty = synthetic_translation([], [], layers=0)
    other = synthetic_translation(ENGLISH[:3], SPANISH[:2], seed=1, hypotheses=2)
    page = opened(synthetic_translation(hypotheses=3), other, empty)
    page.select_option("#sentence", "1")
    assert page.inner_text("#source") == other.source
    assert page.locator("#hypothesis-list label").count() == 2
    assert number_in(hover(page, 1, 2)) == pytest.approx(other.attention[1, 2], abs=TOLERANCE)
    page.select_option("#sentence", "2")
    assert page.inner_text("#source") == "" and "Nothing was written" in page.inner_text("#stepper")
