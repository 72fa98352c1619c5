"""Alignment matrices and attention heads as figures for papers (Bahdanau et al. 2015, Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nmt.confidence import LOW_WORD, doubtful, in_words
from nmt.errors import UserError
from nmt.inspection.colours import GOLD_COLOUR, LINK_COLOUR
from nmt.inspection.drawing import (
    FAINT,
    INK,
    MARGIN,
    UPWARDS,
    axes_at,
    bare_axes,
    colour_bar,
    colour_map,
    new_figure,
    save,
    write,
)
from nmt.inspection.formats import FIGURES, picture_format
from nmt.inspection.labels import piece_labels, width_of
from nmt.inspection.panel import Links, Panel, shelves
from nmt.translation import AttentionMaps, Translation

LEGEND = 0.24
"""Inches below the panels for one row of the legend."""


def plot_alignment(
    translations: Translation | Sequence[Translation],
    path: str | Path,
    gold: Links | Sequence[Links | None] | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Save the alignment matrix of one or several translations as PNG, SVG or PDF; the suffix selects the format.

    Source words run along the top, target words down the side; darker cells have more weight. Predicted links are
    outlined, and gold links, if given (one list for one translation, a list of lists for several), are marked with a
    dot. The columns of a right-to-left source run from right to left. `names` are the captions of several panels
    (default: number and source).

    Raises:
        UserError: another suffix, nothing to draw, or gold links that do not belong to the sentences.
    """
    picture_format(path, FIGURES)
    save(alignment_figure(translations, gold, names), path)


def alignment_figure(
    translations: Translation | Sequence[Translation],
    gold: Links | Sequence[Links | None] | None = None,
    names: Sequence[str] | None = None,
) -> Figure:
    """The figure that `plot_alignment` saves."""
    if isinstance(translations, Translation):
        translations, gold_lists = [translations], [cast(Links | None, gold)]
    else:
        gold_lists = [None] * len(translations) if gold is None else list(cast(Sequence[Links | None], gold))
    _check(translations, gold_lists)
    panels = [Panel.measured(translation, links) for translation, links in zip(translations, gold_lists, strict=True)]
    positions, width, height = shelves(panels)
    figure = new_figure(width, height)
    captions = names or [f"{number}. {panel.translation.source}" for number, panel in enumerate(panels, 1)]
    for name, panel, (left, top) in zip(captions, panels, positions, strict=True):
        axes = axes_at(figure, left + panel.left, top + panel.top, panel.width, panel.height)
        panel.draw(axes, caption=name if len(panels) > 1 else None)
    first, (left, top) = panels[0], positions[0]
    colour_bar(figure, width - 0.65, top + first.top, max(min(first.height, 1.8), 1.0))
    shown = [] if names else [translations[0].attention_name]  # panels of several kinds are named by the caller
    if any(any(doubtful(translation)) for translation in translations):
        shown.append(f"word ?: doubtful, confidence below {LOW_WORD:g}")
    if len(translations) == 1 and translations[0].confidence is not None:
        shown.append(in_words(translations[0].confidence))
    _legend(figure, (left + first.left) / width, any(gold_lists), [name for name in shown if name])
    return figure


def plot_heads(shown: Translation | AttentionMaps, path: str | Path, kind: str = "cross") -> None:
    """Draw every head of every layer as one grid: layers downwards, heads across.

    Args:
        shown: a translation with `heads`, whose placeholders are drawn as the words that they stand for; or the
            attention weights of any sentence pair.
        path: PNG, SVG or PDF, by the suffix.
        kind: `encoder`, `decoder` or `cross`.

    Raises:
        UserError: another suffix, a translation without heads, an unknown kind, or one that the model does not have.
    """
    picture_format(path, FIGURES)
    heads = shown if isinstance(shown, AttentionMaps) else _labelled(shown)
    if kind not in heads.kinds:
        raise UserError(f"the model has no attention of kind {kind}: choose {' or '.join(heads.kinds)}")
    weights = heads.kinds[kind]
    row_labels = heads.source_pieces if kind == "encoder" else heads.target_pieces
    column_labels = ["<s>", *heads.target_pieces[:-1]] if kind == "decoder" else heads.source_pieces
    layers, count, rows, columns = weights.shape
    cell = min(0.16, 2.4 / max(rows, columns))
    # Labels that would be smaller than four points are left out: the thumbnail then shows the pattern alone.
    size = cell * 72 * 0.8 if cell * 72 * 0.8 >= 4 else None
    label_space = max(map(width_of, [*row_labels, *column_labels])) * size * 0.6 / 72 if size else 0.0
    label_space = min(label_space, 1.6)
    panel_width, panel_height, gap = columns * cell, rows * cell, 0.14
    width = 2 * MARGIN + 0.5 + label_space + count * (panel_width + gap) + 0.7
    height = 2 * MARGIN + 0.35 + label_space + layers * (panel_height + gap)
    figure = new_figure(width, height)
    style: dict = {"fontsize": 8, "horizontalalignment": "center", "verticalalignment": "center", "color": FAINT}
    for layer in range(layers):
        for head in range(count):
            left = MARGIN + 0.5 + label_space + head * (panel_width + gap)
            top = MARGIN + 0.35 + label_space + layer * (panel_height + gap)
            axes = axes_at(figure, left, top, panel_width, panel_height)
            bare_axes(axes, rows, columns)
            axes.imshow(weights[layer, head], cmap=colour_map(), vmin=0, vmax=1, interpolation="nearest", aspect="auto")
            if size and head == 0:
                for row, label in enumerate(row_labels):
                    write(axes, (-0.7, row), label, size, horizontalalignment="right")
            if size and layer == 0:
                for column, label in enumerate(column_labels):
                    write(axes, (column, -0.7), label, size, **UPWARDS)
            if layer == 0:
                middle = (left + panel_width / 2) / width
                figure.text(middle, 1 - (MARGIN + 0.12) / height, f"head {head + 1}", **style)
            if head == 0:
                middle = 1 - (top + panel_height / 2) / height
                figure.text((MARGIN + 0.12) / width, middle, f"layer {layer + 1}", rotation=90, **style)
    colour_bar(figure, width - MARGIN - 0.6, MARGIN + 0.35 + label_space, min(layers * panel_height, 1.8))
    save(figure, path)


def _labelled(translation: Translation) -> AttentionMaps:
    heads = translation.heads
    if heads is None:
        raise UserError("the translation has no heads to draw: translate a sentence with words, and with heads=True")
    source = piece_labels(heads.source_pieces, translation.source, translation.source_word_of_piece)
    target = piece_labels(heads.target_pieces, translation.text, translation.target_word_of_piece)
    return replace(heads, source_pieces=source, target_pieces=target)


def _check(translations: Sequence[Translation], gold: Sequence[Links | None]) -> None:
    if not translations:
        raise UserError("nothing to draw: give at least one sentence")
    if len(gold) != len(translations):
        raise UserError(f"{len(gold)} lists of gold links for {len(translations)} translations: give one each")
    for number, (translation, links) in enumerate(zip(translations, gold, strict=True), start=1):
        sizes = len(translation.source_words), len(translation.target_words)
        for source, target in links or ():
            if not (0 <= source < sizes[0] and 0 <= target < sizes[1]):
                raise UserError(
                    f"gold link {source}-{target} is outside sentence {number} ({sizes[0]} x {sizes[1]} words)"
                )


def _legend(figure: Figure, left: float, gold: bool, shown: list[str]) -> None:
    style: dict = {"linestyle": "", "markersize": 7}
    outline: dict = {"markerfacecolor": "none", "markeredgecolor": LINK_COLOUR, "markeredgewidth": 1.5}
    handles = [Line2D([], [], marker="s", label="predicted link", **outline, **style)]
    if gold:
        handles.append(
            Line2D([], [], marker="o", markerfacecolor=GOLD_COLOUR, markeredgecolor="white", label="gold link", **style)
        )
    handles += [Line2D([], [], marker="s", color=FAINT, label=name, **style) for name in shown]
    figure.legend(
        handles=handles,
        loc="upper left",  # further rows go below the figure, which is saved with them
        bbox_to_anchor=(left, LEGEND / figure.get_size_inches()[1]),
        ncols=3,
        fontsize=8,
        frameon=False,
        borderpad=0.2,
        handletextpad=0.2,
        columnspacing=1.2,
        labelcolor=INK,
    )
