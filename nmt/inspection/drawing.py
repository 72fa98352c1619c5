"""Shared plotting helpers: fonts, labels, colour bar, saving."""

from __future__ import annotations

import re
import warnings
from io import BytesIO
from pathlib import Path

import regex
from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text

from nmt.files import atomic_path
from nmt.inspection.colours import colour_table
from nmt.inspection.formats import FIGURES, picture_format
from nmt.inspection.labels import shorten

INK, FAINT, GRID = "#1b1f24", "#6a737d", "#dfe3e8"
_LONGEST_LABEL = 24
MARGIN, PAD = 0.12, 0.06
PAGE_WIDTH = 9.0
# Turned about the anchor, so that a viewer with other fonts than ours still starts the word at the matrix.
UPWARDS: dict = {"rotation": 90, "rotation_mode": "anchor", "horizontalalignment": "left"}
# Fallback order for missing characters; only installed fonts are used.
_FONTS = (
    """
DejaVu Sans, Noto Sans, Noto Sans CJK SC, Noto Sans CJK JP, Noto Sans SC, Noto Sans JP, Noto Sans KR, Source
Han Sans SC, WenQuanYi Zen Hei, WenQuanYi Micro Hei, Droid Sans Fallback, PingFang SC, Hiragino Sans, Apple SD
Gothic Neo, Microsoft YaHei, Yu Gothic, Malgun Gothic, SimHei, Noto Sans Arabic, Noto Sans Hebrew, Noto Sans
Devanagari, Noto Sans Bengali, Noto Sans Tamil, Noto Sans Thai, Noto Sans Ethiopic, Noto Sans Georgian, Noto
Sans Armenian, Arial Unicode MS, Nirmala UI, FreeSans, Noto Emoji, Symbola
""".replace("\n", " ")
    .strip()
    .split(", ")
)


class NotebookFigure(Figure):
    """A figure that notebooks show without pyplot."""

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")


def new_figure(width: float, height: float) -> Figure:
    figure = NotebookFigure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def bare_axes(axes: Axes, rows: int, columns: int) -> None:
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(max(rows, 1) - 0.5, -0.5), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=FAINT, linewidth=0.6)


def open_axes(axes: Axes, title: str) -> None:
    """Axes of a curve: a title, a faint grid, no frame above and to the right."""
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.grid(color=GRID, linewidth=0.6)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def write(
    axes: Axes,
    place: tuple[float, float],
    text: str,
    size: float,
    offset: tuple[float, float] = (0, 0),
    most: int = _LONGEST_LABEL,
    **style,
) -> None:
    """Write at most `most` columns of a text `offset` inches from a place of the data, or of `xycoords`."""
    look = {"horizontalalignment": "center", "verticalalignment": "center", "color": INK, "fontsize": size, **style}
    look |= {"textcoords": "offset points", "fontfamily": families(), "parse_math": False, "annotation_clip": False}
    axes.annotate(shorten(text, most), place, (offset[0] * 72, offset[1] * 72), **look)


def extent(word: str, size: float) -> tuple[float, float]:
    """Width and height of a label in inches."""
    figure = new_figure(1, 1)
    text = Text(0, 0, shorten(word, _LONGEST_LABEL), fontsize=size, fontfamily=families(), parse_math=False)
    figure.add_artist(text)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        box = text.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return box.width / figure.dpi, box.height / figure.dpi


def families() -> list[str]:
    installed = set(font_manager.get_font_names())
    return [name for name in _FONTS if name in installed] or ["sans-serif"]


def colour_map() -> ListedColormap:
    return ListedColormap(colour_table() / 255, name="nmt")


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the figure's upper left corner."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def colour_bar(figure: Figure, left: float, top: float, height: float) -> None:
    axes = axes_at(figure, left, top, 0.1, height)
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), colour_map()), cax=axes, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.tick_params(labelsize=7, width=0.5, length=2, color=FAINT, labelcolor=INK)
    bar.outline.set(linewidth=0.5, edgecolor=FAINT)  # type: ignore[operator]
    axes.set_title("weight", fontsize=7, color=INK, pad=4)


def save(figure: Figure, path: str | Path) -> None:
    """Save the figure atomically; the file's suffix selects the format."""
    content = rendered(figure, picture_format(path, FIGURES))
    with atomic_path(path, keep=True) as temporary:
        temporary.write_bytes(content)


def rendered(figure: Figure, kind: str) -> bytes:
    """The figure as the bytes of a file, reproducible; SVG and PDF keep text as text."""
    # Agg cannot draw beyond 2^16 pixels a side.
    resolution = min(200.0, 60_000 / max(figure.get_size_inches()))
    stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    content = BytesIO()
    with (
        rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "nmt"}),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        figure.savefig(content, format=kind, dpi=resolution, bbox_inches="tight", pad_inches=0.1, metadata=stamp)
    found = (re.match(r"Glyph (\d+) .*missing from", str(warning.message)) for warning in caught)
    missing = {chr(int(match[1])) for match in found if match}
    if missing:
        emoji = {one for one in missing if regex.match(r"\p{Extended_Pictographic}", one)}
        packages = ["fonts-symbola"] * bool(emoji) + ["fonts-noto-core", "fonts-noto-cjk"] * (missing > emoji)
        warnings.warn(
            f"no installed font has {len(missing)} of the characters, placeholders are drawn; "
            f"install fonts such as Debian's {', '.join(packages)}",
            stacklevel=3,
        )
    return content.getvalue()
