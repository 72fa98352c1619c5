"""A figure, a terminal view and an explorer page of the same sentence show the same numbers and the same links."""

import base64
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
from inspection_samples import ENGLISH, SPANISH, synthetic_translation
from test_inspection_figures import SVG, cell_colours
from tools import chromium_browser, watched  # noqa: F401

from nmt.inspection.colours import colour_table
from nmt.inspection.explorer import explorer_page
from nmt.inspection.figures import plot_alignment
from nmt.inspection.terminal import render_alignment


def levels(colours: list[tuple[int, int, int]], dark: bool) -> np.ndarray:
    """Weights [n] from the colours that show them, by looking each up in the scale."""
    places = {tuple(int(channel) for channel in colour): level for level, colour in enumerate(colour_table(dark=dark))}
    return np.array([places[colour] for colour in colours]) / 255


def test_figure_terminal_and_explorer_agree(tmp_path):
    translation = synthetic_translation(ENGLISH[:12], SPANISH[:10], seed=3)
    shape = translation.attention.shape

    plot_alignment(translation, tmp_path / "figure.svg")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    figure = levels([tuple(bytes.fromhex(fill[1:])) for fill in cell_colours(root)], dark=False).reshape(shape)
    figure_links = sum(element.get("id") == "link" for element in root.iter(f"{SVG}g"))

    picture = render_alignment(translation, 100, colour=True, true_colour=True)
    cells = re.findall(r"48;2;(\d+);(\d+);(\d+)m([\[ ]) ([\] ])", picture)[: translation.attention.size]
    terminal = levels([(int(red), int(green), int(blue)) for red, green, blue, *_ in cells], dark=True).reshape(shape)
    terminal_links = np.argwhere(np.array([cell[3] == "[" for cell in cells]).reshape(shape))

    page = explorer_page([translation])
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))["sentences"][0]["hypotheses"][0]
    explorer = np.frombuffer(base64.b64decode(data["attention"]["weights"]), np.uint8).reshape(shape) / 255

    for shown in (figure, terminal, explorer):
        assert np.abs(shown - translation.attention).max() <= 1 / 255
    assert figure_links == len(translation.alignment)
    assert sorted((int(source), int(target)) for target, source in terminal_links) == translation.alignment
    assert [tuple(link) for link in data["links"]] == translation.alignment


def test_a_translation_shows_itself_in_a_notebook(browser):
    translation = synthetic_translation(["<b>", '"two"', "tres"], ["<script>", "'", "x"])
    page = browser.new_page()
    troubles = watched(page, "data:")
    page.set_content(f"<h1>notebook</h1>{translation._repr_html_()}")
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached")
    assert frame.locator("#matrix .links rect").count() == len(translation.alignment)
    frame.locator("label:has(#kind-cross)").click()
    assert frame.locator("#title").inner_text() == "Cross-attention, layer 1, head 1"
    assert frame.locator("#translation").inner_text() == translation.text
    assert troubles == []
    page.close()
