"""The explorer page in headless Chromium: every feature, with the numbers of the safetensors file it was made from."""

import io
import re
import socket
import statistics

import numpy as np
import pytest
from inspection_samples import ENGLISH, SPANISH, synthetic_translation
from safetensors.numpy import load_file, save_file
from tools import browser  # noqa: F401

from nmt.alignment.pieces import word_attention
from nmt.inspection.colours import colour_table
from nmt.inspection.explorer import explorer_page
from nmt.text.words import split_words

ARABIC = [word.text for word in split_words("أين يمكنني أن أشتري تذكرة ؟")]
TOLERANCE = 1 / 510 + 0.0005
"""Half a level of eight bits, and half a unit of the third decimal shown."""


@pytest.fixture
def opened(browser, tmp_path):  # noqa: F811
    """Open a page of translations from disk; afterwards: no console message, no error, no request but the file."""
    contexts, complaints, requests = [], [], []

    def opener(*translations, width=1280, height=900, **options):
        path = tmp_path / "page.html"
        path.write_text(explorer_page(list(translations)), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len({url for url in requests if url.startswith("file:")}) == 1


def hover(page, row: int, column: int) -> str:
    """Put the pointer on a cell of the matrix and read the tooltip."""
    place = page.evaluate(
        """([row, column]) => {
            const holder = document.querySelector("#matrix");
            holder.scrollIntoView({ block: "nearest" });
            const paper = holder.querySelector(".paper").getBoundingClientRect();
            const size = holder.getAttribute("aria-label").match(/(\\d+) rows, (\\d+) columns/);
            const [rows, columns] = size.slice(1).map(Number);
            const [x, y] = [(column + 0.5) * paper.width / columns, (row + 0.5) * paper.height / rows];
            holder.scrollTo(x - holder.clientWidth / 2, y - holder.clientHeight / 2);
            const now = holder.querySelector(".paper").getBoundingClientRect();
            return [now.left + x, now.top + y];
        }""",
        [row, column],
    )
    page.mouse.move(*place)
    return page.inner_text("#tip")


def number_in(text: str) -> float:
    return float(re.search(r"(\d\.\d{3})", text).group(1))


def choose(page, kind: str, layer: int = 0, head: int = 0, unit: str = "words") -> None:
    page.click(f"label:has(#kind-{kind})")
    if kind != "alignment":
        page.click(f'.thumbnail[data-layer="{layer}"][data-head="{head}"]')
        page.click(f"label:has(#unit-{unit})")


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


def test_command_line_page_and_attention_file_have_the_same_numbers(browser, tiny_checkpoint, tmp_path):  # noqa: F811
    from nmt.cli.translate import main

    page_path, file_path = tmp_path / "page.html", tmp_path / "attention.safetensors"
    sentence = "My sister paints small birds on blue cups."
    main([sentence, "--checkpoint", str(tiny_checkpoint), "--plot", str(page_path), "--attention", str(file_path)])
    arrays = load_file(file_path)
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.goto(page_path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
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
    page = opened(translation)
    labels = page.locator("#hypothesis-list label")
    assert labels.count() == 3
    for number, hypothesis in enumerate(translation.hypotheses):
        assert f"{hypothesis.score:.3f}" in labels.nth(number).inner_text()
        labels.nth(number).click()
        assert page.inner_text("#translation") == hypothesis.text
        assert page.inner_text("#score") == f"{hypothesis.score:.3f}"
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


def test_keyboard_reaches_everything(opened):
    translation = synthetic_translation(layers=2, heads=3, hypotheses=2)
    page = opened(translation)
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
        )
    assert {"theme", "hypothesis", "kind-alignment", "unit-words", "threshold", "matrix"} <= set(reached)
    page.focus("#kind-alignment")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#title") == "Cross-attention, layer 1, head 1"
    page.focus(".thumbnail[tabindex='0']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#title") == "Cross-attention, layer 2, head 2"
    assert page.evaluate("document.activeElement.dataset.head") == "1"
    choose(page, "alignment")
    page.focus("#threshold")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "matrix"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert number_in(page.inner_text("#readout")) == pytest.approx(translation.attention[1, 2], abs=TOLERANCE)
    assert number_in(page.inner_text("#tip")) == pytest.approx(translation.attention[1, 2], abs=TOLERANCE)
    page.keyboard.press("Enter")
    assert page.locator("#readout.pinned").count() == 1
    page.keyboard.press("End")
    assert "“</s>”" in page.inner_text("#readout")


def test_screen_reader_labels_and_table_of_the_same_numbers(opened):
    translation = synthetic_translation()
    page = opened(translation)
    choose(page, "cross", 1, 2, "pieces")
    snapshot = page.locator("body").aria_snapshot()
    for expected in (
        'radio "Cross-attention" [checked]',
        'radio "Cross-attention, layer 2, head 3" [checked]',
        "slider",
        "status",
        "Cross-attention, layer 2, head 3: 9 rows, 10 columns",
    ):
        assert expected in snapshot, snapshot
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button')].filter((one) => !one.textContent.trim() && !one.ariaLabel).length"
    )
    assert unnamed == 0
    page.click("summary")
    cells = page.locator("#table-body td:not(:empty)").all_inner_texts()
    assert [float(cell) for cell in cells] == pytest.approx(translation.heads.cross[1, 2].ravel(), abs=TOLERANCE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(opened, scheme, tmp_path):
    from matplotlib.image import imread

    page = opened(synthetic_translation(), color_scheme=scheme)
    brightness = imread(io.BytesIO(page.screenshot()))[..., :3].mean()
    assert brightness > 0.8 if scheme == "light" else brightness < 0.3
    cell = page.get_attribute("#matrix .cells rect", "fill")
    assert cell in {f"rgb({r} {g} {b})" for r, g, b in colour_table(dark=scheme == "dark")}
    assert contrast_of(page, "#source", "header") >= 7 and contrast_of(page, "#meaning", "#large") >= 4.5
    page.click("#theme")
    other = imread(io.BytesIO(page.screenshot()))[..., :3].mean()
    assert other < 0.3 if scheme == "light" else other > 0.8


def contrast_of(page, text: str, background: str) -> float:
    """The contrast ratio of WCAG 2 between a text's colour and a background."""
    colours = page.evaluate(
        "([text, paper]) => [getComputedStyle(document.querySelector(text)).color, "
        "getComputedStyle(document.querySelector(paper)).backgroundColor]",
        [text, background],
    )
    luminance = []
    for colour in colours:
        value = np.array([float(number) for number in re.findall(r"[\d.]+", colour)[:3]]) / 255
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
        luminance.append(linear @ np.array([0.2126, 0.7152, 0.0722]) + 0.05)
    return max(luminance) / min(luminance)


def test_prints_in_light_without_controls(opened):
    page = opened(synthetic_translation(), color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.is_hidden("#threshold") and page.is_hidden("#theme") and page.is_visible("#matrix svg")
    assert page.get_attribute("#matrix .paper", "fill") == "rgb({} {} {})".format(*colour_table()[0])
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.get_attribute("#matrix .paper", "fill") == "rgb({} {} {})".format(*colour_table(dark=True)[0])
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("words", [8, 21])
def test_phone_width_needs_no_sideways_scrolling_of_the_page(opened, words):
    page = opened(
        synthetic_translation(ENGLISH[:words], SPANISH[:words], layers=6, heads=8, hypotheses=3), width=360, height=740
    )
    for kind in ("alignment", "cross"):
        choose(page, kind)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".thumbnail").first.bounding_box()["width"] >= 24


def test_markup_in_a_sentence_is_shown_as_text(opened):
    words = ["<script>alert(1)</script>", '"quoted"', "'", "<b>bold</b>", "&amp;", "</script>"]
    translation = synthetic_translation(words, words, hypotheses=2)
    page = opened(translation)
    assert page.inner_text("#source") == " ".join(words)
    assert page.locator("#hypothesis-list b, #source b, main b:has-text('bold')").count() == 0
    assert page.locator("script").count() == 2
    labels = page.eval_on_selector_all("#lines text[data-row] title", "all => all.map((one) => one.textContent)")
    assert labels == words
    assert number_in(hover(page, 0, 0)) == pytest.approx(translation.attention[0, 0], abs=TOLERANCE)


def test_policy_stops_foreign_scripts_and_requests(browser, tmp_path):  # noqa: F811
    path = tmp_path / "page.html"
    path.write_text(explorer_page([synthetic_translation()]), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = browser.new_context()
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate(
            """(address) => {
                const script = document.createElement("script");
                script.textContent = "globalThis.intruder = true";
                document.body.append(script);
                const image = document.createElement("img");
                image.src = `${address}/pixel`;
                document.body.append(image);
                const inline = document.createElement("div");
                inline.innerHTML = "<img src=x onerror='globalThis.intruder = true'>";
                document.body.append(inline);
                return fetch(`${address}/leak`).catch(() => null);
            }""",
            f"http://127.0.0.1:{listener.getsockname()[1]}",
        )
        page.wait_for_timeout(300)
        assert page.evaluate("globalThis.intruder") is None
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has connected
            listener.accept()
        context.close()


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


def test_right_to_left_source_runs_right_to_left(opened):
    translation = synthetic_translation(ARABIC, ENGLISH[:5])
    page = opened(translation)
    columns = len(ARABIC) + 1
    # The first word's column is the rightmost.
    assert number_in(hover(page, 1, columns - 1 - 2)) == pytest.approx(translation.attention[1, 2], abs=TOLERANCE)
    assert ARABIC[2] in page.inner_text("#tip")
    page.focus("#threshold")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert ARABIC[1] in page.inner_text("#readout")


def test_large_page_paints_within_a_second_and_answers_without_lag(opened):
    words = [f"w{number}" for number in range(59)]
    page = opened(synthetic_translation(words, words, layers=6, heads=8))
    paint = []
    for _ in range(3):
        page.reload()
        page.wait_for_selector("html[data-ready]", state="attached")
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
        paint.append(
            page.evaluate(
                "Math.max(performance.getEntriesByName('first-contentful-paint')[0].startTime, "
                "performance.getEntriesByName('ready')[0].startTime)"
            )
        )
    choose(page, "cross")
    durations = page.evaluate(
        """() => {
            const time = (action) => { const start = performance.now(); action(); return performance.now() - start; };
            const matrix = document.querySelector("#matrix");
            const box = matrix.querySelector(".paper").getBoundingClientRect();
            const hovers = Array.from({ length: 50 }, (_, i) => time(() => {
                const place = { clientX: box.left + 5 + i * 7, clientY: box.top + 5 + i * 3, bubbles: true };
                matrix.firstChild.dispatchEvent(new PointerEvent("pointermove", place));
                matrix.getBoundingClientRect();
            }));
            const switches = Array.from({ length: 10 }, (_, i) => time(() => {
                document.querySelectorAll(".thumbnail")[i].click();
                matrix.getBoundingClientRect();
            }));
            return { hovers, switches };
        }"""
    )
    hovering, switching = statistics.median(durations["hovers"]), statistics.median(durations["switches"])
    print(f"painted in {min(paint):.0f} ms, hover {hovering:.1f} ms, another head {switching:.0f} ms")
    assert min(paint) < 1000
    assert hovering < 50 and switching < 300
