"""Figures: what an SVG reader finds in them must be the translation's words, weights and links."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import replace

import numpy as np
import pytest
from inspection_samples import ENGLISH, SPANISH, synthetic_translation
from matplotlib.axes import Axes

from nmt.errors import UserError
from nmt.inspection.colours import GOLD_COLOUR, LINK_COLOUR, colour_table, text_on
from nmt.inspection.explorer import page_data
from nmt.inspection.figures import plot_alignment, plot_heads
from nmt.text.words import split_words

SVG = "{http://www.w3.org/2000/svg}"
ARABIC = [word.text for word in split_words("أين يمكنني أن أشتري تذكرة ؟")]
CHINESE = list("我想买一张火车票。")

# Machado, Oliveira and Fernandes (2009), table 1, severity 1.0: what the colour-blind see, in linear RGB.
COLOUR_BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lightness(table: np.ndarray, vision: str | None = None) -> np.ndarray:
    """CIE 1976 L* of sRGB colours [n, 3], as somebody with that kind of vision sees them."""
    value = table / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    if vision:
        linear = (linear @ np.array(COLOUR_BLINDNESS[vision]).T).clip(0, 1)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


@pytest.mark.parametrize("vision", [None, *COLOUR_BLINDNESS])
@pytest.mark.parametrize("dark", [False, True])
def test_colours_are_even_and_colour_blind_safe(dark, vision):
    steps = np.diff(lightness(colour_table(dark, size=17), vision))
    steps = steps if dark else -steps
    assert steps.min() > 0
    assert steps.max() < 1.5 * steps.min()


def test_text_on_a_colour_has_contrast():
    for colour in colour_table():
        luminance = (lightness(colour[None])[0] + 16) ** 3 / 116**3
        contrast = (luminance + 0.05) / 0.05 if text_on(colour) == "black" else 1.05 / (luminance + 0.05)
        assert contrast >= 4.5


def labels(root: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Text and position of everything written in an SVG file."""
    found = {}
    for element in root.iter(f"{SVG}text"):
        x, y = element.get("x"), element.get("y")
        if x is None:
            x, y = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform")).groups()
        found["".join(element.itertext()).strip()] = (float(x), float(y))
    return found


def centre(path: ElementTree.Element) -> np.ndarray:
    """The middle of a rectangle's corners, [x, y]."""
    numbers = np.array(re.findall(r"-?[\d.]+", path.get("d")), float).reshape(-1, 2)
    return (numbers.min(0) + numbers.max(0)) / 2


def cell_colours(root: ElementTree.Element) -> list[str]:
    mesh = next(element for element in root.iter(f"{SVG}g") if element.get("id", "").startswith("QuadMesh"))
    return [
        re.search(r"fill: (#\w+)", path.get("style")).group(1)
        for path in mesh.iter(f"{SVG}path")
        if "fill: #" in path.get("style", "")
    ]


def test_svg_holds_the_words_weights_and_links(tmp_path):
    capitals = [word.upper() for word in SPANISH[:6]]  # "me" is a word of both languages
    translation = synthetic_translation(ENGLISH[:6], capitals)
    gold = [(0, 0), (1, 2)]
    plot_alignment(translation, tmp_path / "figure.svg", gold)
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert {*ENGLISH[:6], *capitals, "</s>", "predicted link", "gold link"} <= set(labels(root))
    shades = colour_table()[np.minimum((translation.attention * 256).astype(int), 255)].reshape(-1, 3)
    assert cell_colours(root) == ["#{:02x}{:02x}{:02x}".format(*shade) for shade in shades]
    outlines = [element for element in root.iter(f"{SVG}g") if element.get("id") == "link"]
    assert len(outlines) == len(translation.alignment)
    assert all(LINK_COLOUR in ElementTree.tostring(outline).decode() for outline in outlines)
    drawn = [centre(next(outline.iter(f"{SVG}path"))) for outline in outlines]
    marks = next(element for element in root.iter(f"{SVG}g") if element.get("id") == "gold")
    uses = list(marks.iter(f"{SVG}use"))
    assert len(uses) == len(gold) and GOLD_COLOUR in ElementTree.tostring(marks).decode()
    places = labels(root)
    for (x, y), (source, target) in zip(drawn, translation.alignment, strict=True):
        assert x == pytest.approx(places[ENGLISH[source]][0], abs=6)
        assert y == pytest.approx(places[capitals[target]][1], abs=6)
    for use, (source, target) in zip(uses, gold, strict=True):
        assert float(use.get("x")) == pytest.approx(places[ENGLISH[source]][0], abs=6)
        assert float(use.get("y")) == pytest.approx(places[capitals[target]][1], abs=6)


@pytest.mark.parametrize("size", [3, 20, 60])
def test_labels_are_readable_and_apart(tmp_path, size):
    source = [f"word{number}" for number in range(size)]
    target = [f"palabra{number}" for number in range(size)]
    plot_alignment(synthetic_translation(source, target), tmp_path / "figure.svg")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    places = labels(root)
    sizes = {
        float(re.search(r"font-size: ([\d.]+)px", element.get("style")).group(1))
        for element in root.iter(f"{SVG}text")
        if "".join(element.itertext()).strip() in {*source, *target}
    }
    assert len(sizes) == 1 and min(sizes) >= 6
    rows = np.diff([places[word][1] for word in target])
    columns = np.diff([places[word][0] for word in source])
    assert rows.min() > min(sizes) and columns.min() > min(sizes)


def test_right_to_left_source_runs_right_to_left(tmp_path):
    translation = synthetic_translation(ARABIC, ENGLISH[:4])
    plot_alignment(translation, tmp_path / "arabic.svg")
    root = ElementTree.parse(tmp_path / "arabic.svg").getroot()
    places = labels(root)
    assert np.diff([places[word][0] for word in ARABIC]).max() < 0
    assert np.diff([places[word][1] for word in ENGLISH[:4]]).min() > 0
    mesh = next(element for element in root.iter(f"{SVG}g") if element.get("id", "").startswith("QuadMesh"))
    cells = [path for path in mesh.iter(f"{SVG}path") if "fill: #" in path.get("style", "")]
    shades = colour_table()[np.minimum((translation.attention * 256).astype(int), 255)]
    for cell, colour in zip(cells, cell_colours(root), strict=True):  # each stands under its own word
        x, y = centre(cell)
        column = int(np.argmin([abs(places[word][0] - x) for word in [*ARABIC, "</s>"]]))
        row = int(np.argmin([abs(places[word][1] - y) for word in ENGLISH[:4]]))
        assert colour == "#{:02x}{:02x}{:02x}".format(*shades[row, column])


@pytest.mark.filterwarnings("ignore:.*no installed font.*")
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_several_sentences_of_all_scripts_in_one_file(tmp_path, suffix):
    strange = ["$x_1$", "<b>&", "\x1b[31m", "a" * 200, "\N{RIGHT-TO-LEFT OVERRIDE}"]
    translations = [
        synthetic_translation(ENGLISH, SPANISH),
        synthetic_translation(CHINESE, ARABIC),
        synthetic_translation(ARABIC, CHINESE),
        synthetic_translation(strange, strange),
        synthetic_translation(ENGLISH[:3], ["sí"]),
    ]
    path = tmp_path / f"figure.{suffix}"
    plot_alignment(translations, path, [None, [(0, 0)], None, [], [(2, 0)]])
    assert path.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    if suffix == "svg":
        texts = set(labels(ElementTree.parse(path).getroot()))
        assert {*ENGLISH, *SPANISH, *CHINESE, *ARABIC, "$x_1$", "<b>&"} <= texts
        # Panels carry names: each sentence's number and beginning.
        assert all(any(text.startswith(f"{number}. ") for text in texts) for number in range(1, 6))
        assert not {"(a)", "(e)"} & texts
    if suffix == "pdf":
        content = path.read_bytes()
        assert b"/Type3" not in content and b"/FontFile2" in content
        streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S)
        unicode_maps = b"".join(part for part in map(inflated, streams) if b"begincmap" in part).lower()
        assert all(f"{ord(letter):04x}".encode() in unicode_maps for letter in "Sheñ".replace("ñ", "r"))


def inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""


def test_heads_grid_has_every_head(tmp_path, monkeypatch):
    translation = synthetic_translation(layers=3, heads=4)
    drawn: list[np.ndarray] = []
    real = Axes.imshow

    def imshow(axes, weights, **options):
        drawn.append(np.array(weights))
        return real(axes, weights, **options)

    monkeypatch.setattr(Axes, "imshow", imshow)
    for kind in ("encoder", "decoder", "cross"):
        drawn.clear()
        plot_heads(translation.heads, tmp_path / f"{kind}.svg", kind)
        np.testing.assert_array_equal(drawn[:12], translation.heads.kinds[kind].reshape(12, *drawn[0].shape))
        root = ElementTree.parse(tmp_path / f"{kind}.svg").getroot()
        images = [element for element in root.iter(f"{SVG}image")]
        assert len(images) >= 12
        texts = set(labels(root))
        assert {"layer 1", "layer 3", "head 1", "head 4"} <= texts
        assert ("<s>" in texts) == (kind == "decoder")
        assert (
            set(translation.heads.target_pieces[:-1] if kind != "encoder" else translation.heads.source_pieces) <= texts
        )


def test_a_placeholder_is_drawn_as_the_words_that_it_stands_for(tmp_path):
    translation = synthetic_translation(["Ann", "Lee", "sat"], layers=1, heads=1)
    translation.heads.source_pieces[:2] = ["▁", "\ue000"]
    translation.source_word_of_piece[1] = [0, 1]
    plot_heads(translation, tmp_path / "heads.svg", "encoder")
    texts = labels(ElementTree.parse(tmp_path / "heads.svg").getroot())
    assert "Ann Lee" in texts and "\ue000" not in texts
    pieces = page_data([translation])["sentences"][0]["hypotheses"][0]["heads"]["sourcePieces"]
    assert pieces == ["▁", "Ann Lee", "▁sat", "</s>"]
    with pytest.raises(UserError, match="no heads to draw"):
        plot_heads(replace(translation, heads=None), tmp_path / "none.svg")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "\U0001f98a", "\U0001f98a"], "has 1 of the characters, .* such as Debian's fonts-symbola$"),
        (["\u65e5", "\u672c", "\u65e5"], "has 2 of .* Debian's fonts-noto-core, fonts-noto-cjk$"),
    ],
)
def test_missing_characters_are_counted_once_and_their_fonts_named(tmp_path, monkeypatch, words, message):
    monkeypatch.setattr("nmt.inspection.drawing.families", lambda: ["DejaVu Sans"])  # matplotlib's own
    with pytest.warns(UserWarning, match=message):
        plot_alignment(synthetic_translation(words, SPANISH, layers=0), tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([synthetic_translation()], "figure.jpg"), "must end in .png, .svg or .pdf"),
        (([], "figure.png"), "nothing to draw"),
        (([synthetic_translation()], "figure.png", [[(0, 99)]]), "gold link 0-99 is outside sentence 1"),
        (([synthetic_translation()], "figure.png", [None, None]), "2 lists of gold links for 1"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_no_file(tmp_path, arguments, message):
    translations, name, *gold = arguments
    with pytest.raises(UserError, match=re.escape(message)):
        plot_alignment(translations, tmp_path / name, *gold)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_translation_is_drawn(tmp_path):
    plot_alignment(synthetic_translation(ENGLISH[:3], [], layers=0), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 0


def test_same_input_gives_the_same_file(tmp_path):
    for name in ("one.svg", "two.svg"):
        plot_alignment(synthetic_translation(), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_no_global_plotting_state():
    program = "import sys, nmt.inspection.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_panels_carry_the_names_that_are_given(tmp_path):
    pair = [synthetic_translation(ENGLISH, SPANISH), synthetic_translation(ENGLISH, SPANISH)]
    plot_alignment(pair, tmp_path / "figure.svg", names=["one layer's attention", "alignment head"])
    assert {"one layer's attention", "alignment head"} <= set(
        labels(ElementTree.parse(tmp_path / "figure.svg").getroot())
    )
