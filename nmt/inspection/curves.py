"""Learning curves of one or several training runs, from the logs in their checkpoint directories."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nmt.checkpoint import find_checkpoint, write_text
from nmt.errors import UserError
from nmt.inspection.colours import COLOURS
from nmt.inspection.drawing import FAINT, INK, new_figure, open_axes, rendered, save
from nmt.inspection.explorer import filled
from nmt.inspection.formats import PAGE, picture_format
from nmt.inspection.labels import visible
from nmt.training.log import LOG, read_log

_LINES = {"-": "━━━", "--": "╺╺╺", ":": "┅┅┅", "-.": "━╺━"}
_DASHES = tuple(_LINES)
_PANELS = (
    ("validation", "loss", "loss (nats a piece)"),
    ("validation", "bleu", "BLEU"),
    ("validation", "chrf", "chrF"),
    ("train", "learning_rate", "learning rate"),
    ("train", "tokens_per_second", "target tokens a second"),
)

_NOTE = "Loss: dots on the dev set, thin on training batches."


@dataclass(frozen=True)
class Run:
    """What one run's log says."""

    name: str
    records: list[dict]
    number: int = 0
    """Its place among the runs."""

    def series(self, kind: str, value: str) -> tuple[list[int], list[float]]:
        """Steps and values of one quantity, in order of the steps."""
        pairs = sorted(
            (record["step"], record[value]) for record in self.records if record["kind"] == kind and value in record
        )
        return [step for step, _ in pairs], [float(number) for _, number in pairs]

    def minutes(self, step: float) -> float | None:
        """Minutes until a step, interpolated between records; None if the log has no times."""
        steps, seconds = self.series("train", "seconds")
        return float(np.interp(step, [0, *steps], [0, *seconds])) / 60 if steps else None

    @property
    def style(self) -> dict:
        """Colour and dash of the run, the same in every panel."""
        return {
            "color": COLOURS[self.number % len(COLOURS)],
            "linestyle": _DASHES[self.number // len(COLOURS) % len(_DASHES)],
        }

    def best(self) -> dict | None:
        """The validation with the highest BLEU, or with the least loss where none has BLEU."""
        validations = [record for record in self.records if record["kind"] == "validation"]
        if not validations:
            return None
        return max(validations, key=lambda record: (record.get("bleu", 0.0), -record.get("loss", 0.0)))


def plot_curves(directories: Sequence[str | Path], path: str | Path) -> None:
    """Draw loss, BLEU, chrF, learning rate and speed of runs over their steps, all runs in one picture.

    Args:
        directories: checkpoint directories, each with a `log.jsonl`.
        path: PNG, SVG, PDF, or an HTML page that also lists each run's best validation; by the suffix.

    Raises:
        UserError: another suffix, a directory without a readable log, or a log without any record.
    """
    kind = picture_format(path)
    runs = read_runs(directories)
    if kind != PAGE:
        save(_draw(runs), path)
        return
    # A picture for each panel, so that a narrow screen shows one below the other.
    pictures = []
    for panel in _PANELS:
        figure = new_figure(4, 3)
        _draw_panel(figure.add_subplot(), runs, panel, with_steps=True)
        svg = rendered(figure, "svg").decode("utf-8")
        pictures.append(svg[svg.index("<svg") :])
    legend = "".join(
        f'<li><span style="color:{run.style["color"]}">{_LINES[run.style["linestyle"]]}</span> '
        f"{html.escape(run.name)}</li>"
        for run in runs
    )
    parts = {"pictures": "".join(pictures), "legend": legend, "note": _NOTE, "table": _table(runs)}
    write_text(Path(path), filled(Path(__file__).with_name("curves.html"), **parts))


def read_runs(directories: Sequence[str | Path]) -> list[Run]:
    """Read the runs, each named by the shortest distinguishing end of its path. Raises UserError as `plot_curves`."""
    if not directories:
        raise UserError("no learning curves to draw: name at least one checkpoint directory")
    paths = [Path(os.path.realpath(find_checkpoint(directory))) for directory in directories]
    depth = 1
    while depth < max(len(path.parts) for path in paths) and len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return [Run(visible("/".join(path.parts[-depth:])), _records(path), number) for number, path in enumerate(paths)]


def _records(directory: Path) -> list[dict]:
    path = directory / LOG
    if not path.is_file():
        raise UserError(f"there is no training log {path}; name the directory that nmt-train wrote")
    try:
        records = [
            {key: value for key, value in record.items() if key == "kind" or isinstance(value, int | float)}
            for record in read_log(directory)
            if record.get("kind") in ("train", "validation")
        ]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if not records:
        raise UserError(f"{path} holds no training records (yet); wait for the first, or name another directory")
    return records


def _draw(runs: list[Run]) -> Figure:
    figure = new_figure(11, 6)
    grid = figure.add_gridspec(2, 3, wspace=0.28, hspace=0.32, left=0.06, right=0.99, top=0.95, bottom=0.09)
    for position, panel in enumerate(_PANELS):
        _draw_panel(figure.add_subplot(grid[position // 3, position % 3]), runs, panel, with_steps=position >= 2)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    room = figure.add_subplot(grid[1, 2])
    room.axis("off")
    room.legend(handles, labels, loc="upper left", frameon=False, fontsize=9, labelcolor=INK)
    room.text(0.02, 0.02, _NOTE, fontsize=8, color=FAINT)
    for text in room.get_legend().get_texts():  # type: ignore[union-attr]
        text.set_parse_math(False)
    return figure


def _draw_panel(axes: Axes, runs: list[Run], panel: tuple[str, str, str], with_steps: bool) -> None:
    kind, value, title = panel
    _prepare(axes, title, runs, with_steps)
    for run in runs:
        if value == "loss":
            axes.plot(*run.series("train", "loss"), **run.style, linewidth=0.8, alpha=0.45)
        marker = "o" if kind == "validation" else ""
        width = 1.5 if marker else 0.8
        line: dict = {"linewidth": width, "marker": marker, "markersize": 3, "gid": f"{value} {run.number}"}
        axes.plot(*run.series(kind, value), **run.style, **line, label=_caption(run))
    axes.set_xlim(left=0)
    if value == "tokens_per_second":
        axes.set_ylim(bottom=0)
    elif value in ("bleu", "chrf"):
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, 0), max(high, 1))


def _caption(run: Run) -> str:
    # The space is for a name that begins with `_`: matplotlib would leave it out of the legend.
    best = run.best()
    if not best or best.get("bleu") is None:
        return f" {run.name}"
    minutes = f" ({best['seconds'] / 60:.1f} minutes)" if "seconds" in best else ""
    scores = f"best BLEU {best['bleu']:.1f}, chrF {_number(best, 'chrf', 1)}"
    return f" {run.name}\n {scores}, at step {best['step']}{minutes}"


def _prepare(axes: Axes, title: str, runs: list[Run], with_steps: bool) -> None:
    open_axes(axes, title)
    axes.ticklabel_format(axis="y", scilimits=(-5, 6), useMathText=False)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))  # few enough that labels never meet
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if not with_steps:
        return
    if len(runs) > 1 or runs[0].minutes(1) is None:
        axes.set_xlabel("step", fontsize=8, color=INK)
        return
    axes.set_xlabel("step, and minutes", fontsize=8, color=INK)
    axes.xaxis.set_major_formatter(lambda step, _place: f"{step:.0f}\n{runs[0].minutes(step):.1f} min")


def _table(runs: list[Run]) -> str:
    rows = ["<tr><th>run</th><th>step</th><th>minutes</th><th>loss</th><th>BLEU</th><th>chrF</th></tr>"]
    for run in runs:
        best = run.best() or {}
        minutes = f"{best['seconds'] / 60:.1f}" if "seconds" in best else ""
        cells = [
            run.name,
            best.get("step", "no validation yet"),
            minutes,
            _number(best, "loss", 3),
            _number(best, "bleu", 2),
            _number(best, "chrf", 2),
        ]
        rows.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>")
    return "".join(rows)


def _number(record: dict, name: str, digits: int) -> str:
    return f"{record[name]:.{digits}f}" if name in record else ""
