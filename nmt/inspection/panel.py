"""One alignment matrix as a panel of a figure, and several panels on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from nmt.confidence import doubtful
from nmt.inspection.colours import GOLD_COLOUR, LINK_COLOUR
from nmt.inspection.drawing import FAINT, GRID, MARGIN, PAD, PAGE_WIDTH, UPWARDS, bare_axes, colour_map, extent, write
from nmt.inspection.labels import reads_right_to_left, visible, width_of
from nmt.translation import END_OF_SENTENCE, Translation

Links = Sequence[tuple[int, int]]
CAPTION_LETTER = 0.075
"""Inches that a letter of a caption takes, about."""


@dataclass(frozen=True)
class Panel:
    """One matrix and the room it takes, in inches."""

    translation: Translation
    attention: np.ndarray
    """The translation's, [target words, source words + 1]."""
    gold: Links | None
    cell: float
    left: float
    """Room for the target words."""
    top: float
    """Room for the source words."""
    upright: bool
    """Source labels so short (Chinese, say) that they need not be turned."""

    @classmethod
    def measured(cls, translation: Translation, gold: Links | None) -> Panel:
        attention, _ = translation.aligned()
        rows, columns = attention.shape
        cell = float(np.interp(max(rows, columns), [14, 60], [0.29, 0.16]))
        source = [*translation.source_words, END_OF_SENTENCE]
        upright = all(width_of(visible(word)) <= 2 for word in translation.source_words)
        room = max(extent(word, cls.label_size(cell))[0] for word in source)
        side = max((extent(word, cls.label_size(cell))[0] for word in _marked(translation)), default=0.0)
        return cls(translation, attention, gold, cell, side + 2 * PAD, room + 2 * PAD, upright)

    @staticmethod
    def label_size(cell: float) -> float:
        """Points of a label that fits a cell."""
        return min(11.0, cell * 72 * 0.56)

    @property
    def width(self) -> float:
        return self.attention.shape[1] * self.cell

    @property
    def height(self) -> float:
        return max(self.attention.shape[0], 1) * self.cell

    @property
    def total_width(self) -> float:
        return self.left + self.width

    @property
    def total_height(self) -> float:
        return self.top + self.height + 0.3

    def draw(self, axes: Axes, caption: str | None) -> None:
        translation, size = self.translation, self.label_size(self.cell)
        rows, columns = self.attention.shape
        bare_axes(axes, rows, columns)
        mirrored = reads_right_to_left(translation.source_words)
        if mirrored:
            axes.invert_xaxis()
        if rows:
            edges = (np.arange(count + 1) - 0.5 for count in (columns, rows))
            shades: dict = {"cmap": colour_map(), "vmin": 0, "vmax": 1}
            axes.pcolormesh(*edges, self.attention, edgecolors=GRID, linewidth=0.35, **shades)
        axes.axvline(columns - 1.5, color=FAINT, linewidth=0.8)
        for column, word in enumerate([*translation.source_words, END_OF_SENTENCE]):
            end = column == columns - 1
            direction: dict = {"verticalalignment": "bottom"} if self.upright and not end else UPWARDS
            look: dict = {"color": FAINT, "style": "italic"} if end else {}
            write(axes, (column, -0.5), word, size, offset=(0, PAD), **direction, **look)
        for row, word in enumerate(_marked(translation)):
            edge = columns - 0.5 if mirrored else -0.5
            write(axes, (edge, row), word, size, offset=(-PAD, 0), horizontalalignment="right")
        outline: dict = {"fill": False, "edgecolor": LINK_COLOUR, "linewidth": 1.5, "gid": "link"}
        outline |= {"clip_on": False, "zorder": 3}
        for column, row in translation.alignment or ():
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **outline))
        if self.gold:
            dot: dict = {"marker": "o", "markersize": self.cell * 72 * 0.34, "color": GOLD_COLOUR, "linestyle": ""}
            dot |= {"markeredgecolor": "white", "markeredgewidth": 0.8}
            axes.plot(*zip(*self.gold, strict=True), gid="gold", clip_on=False, zorder=4, **dot)
        if caption:
            most = max(8, int(self.total_width / CAPTION_LETTER))
            below: dict = {"xycoords": "axes fraction", "verticalalignment": "top"}
            write(axes, (0.5, 0), caption, 9, (0, -6 / 72), most, **below)


def _marked(translation: Translation) -> list[str]:
    """The target words, doubtful ones with a question mark."""
    return [word + " ?" * doubt for word, doubt in zip(translation.target_words, doubtful(translation), strict=True)]


def shelves(panels: list[Panel]) -> tuple[list[tuple[float, float]], float, float]:
    """Positions (left, top) of the panels side by side in rows, and the width and height of the whole, in inches."""
    gap = 0.35
    limit = max(PAGE_WIDTH, *(panel.total_width for panel in panels)) if len(panels) > 1 else panels[0].total_width
    shelves: list[list[Panel]] = [[]]
    for panel in panels:
        if shelves[-1] and sum(other.total_width + gap for other in shelves[-1]) + panel.total_width > limit:
            shelves.append([])
        shelves[-1].append(panel)
    positions, top = [], MARGIN
    for shelf in shelves:
        # Matrices of one row stand on one line at the top, whatever the length of their labels.
        room, left = max(panel.top for panel in shelf), MARGIN
        for panel in shelf:
            positions.append((left, top + room - panel.top))
            left += panel.total_width + gap
        top += max(room - panel.top + panel.total_height for panel in shelf) + 0.1
    right = max(left + panel.total_width for panel, (left, _) in zip(panels, positions, strict=True))
    return positions, right + 0.9, top + (0.25 if len(panels) > 1 else 0.0)
