"""Learning curves of one or several training runs, from the logs in their checkpoint directories."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.checkpoint import write_text
from nmt.errors import UserError
from nmt.inspection.drawing import FAINT, GRID, INK, new_figure, rendered, save
from nmt.inspection.formats import PAGE, picture_format
from nmt.inspection.labels import visible
from nmt.training.log import LOG, read_log

# Okabe and Ito's colours (2008), made to be told apart with every kind of colour vision, without the pale yellow.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("-", "--", ":", "-.")
_PANELS = (
    ("validation", "loss", "loss (nats a piece)"),
    ("validation", "bleu", "BLEU"),
    ("validation", "chrf", "chrF"),
    ("train", "learning_rate", "learning rate"),
    ("train", "tokens_per_second", "target tokens a second"),
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Learning curves</title>
<link rel="icon" href="data:,">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1150px; margin: 0 auto; padding: 16px;
  color: #1b1f24; background: #fff; }}
svg {{ width: 100%; height: auto; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 3px 18px 3px 0; text-align: left; border-bottom: 1px solid #dfe3e8; font-weight: 400; }}
</style>
</head>
<body>
<h1>Learning curves</h1>
{picture}
<h2>Best validation of each run</h2>
<div><table>{table}</table></div>
</body>
</html>
"""


@dataclass(frozen=True)
class Run:
    """What one run's log says."""

    name: str
    records: list[dict]

    def series(self, kind: str, value: str) -> tuple[list[int], list[float]]:
        """Steps and values of one quantity, in order of the steps."""
        pairs = sorted(
            (record["step"], record[value]) for record in self.records if record["kind"] == kind and value in record
        )
        return [step for step, _ in pairs], [float(number) for _, number in pairs]

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
    figure = _draw(runs := read_runs(directories))
    if kind != PAGE:
        save(figure, path)
        return
    svg = rendered(figure, "svg").decode("utf-8")
    page = _PAGE.format(picture=svg[svg.index("<svg") :], table=_table(runs))
    write_text(Path(path), page)


def read_runs(directories: Sequence[str | Path]) -> list[Run]:
    """The runs, named by as much of their directories as tells them apart. Raises UserError as `plot_curves`."""
    if not directories:
        raise UserError("no learning curves to draw: name at least one checkpoint directory")
    paths = [Path(os.path.realpath(directory)) for directory in directories]
    depth = 1
    while depth < max(len(path.parts) for path in paths) and len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return [Run(visible("/".join(path.parts[-depth:])), _records(path)) for path in paths]


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
    for position, (kind, value, title) in enumerate(_PANELS):
        axes = figure.add_subplot(grid[position // 3, position % 3])
        _prepare(axes, title, bottom_row=position >= 2)
        for number, run in enumerate(runs):
            colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]
            if value == "loss":
                axes.plot(*run.series("train", "loss"), color=colour, linestyle=dash, linewidth=0.8, alpha=0.45)
            marker = "o" if kind == "validation" else ""
            axes.plot(
                *run.series(kind, value),
                color=colour,
                linestyle=dash,
                linewidth=1.5 if marker else 0.8,
                marker=marker,
                markersize=3,
                label=_caption(run),
                gid=f"{value} {number}",
            )
    figure.axes[4].set_ylim(bottom=0)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    room = figure.add_subplot(grid[1, 2])
    room.axis("off")
    room.legend(handles, labels, loc="upper left", frameon=False, fontsize=9, labelcolor=INK)
    room.text(0.02, 0.02, "Loss: dots on the dev set, thin on training batches.", fontsize=8, color=FAINT)
    for text in room.get_legend().get_texts():  # type: ignore[union-attr]
        text.set_parse_math(False)
    return figure


def _caption(run: Run) -> str:
    # The space is for a name that begins with `_`: matplotlib would leave it out of the legend.
    best = run.best()
    if not best or best.get("bleu") is None:
        return f" {run.name}"
    return f" {run.name}\n best BLEU {best['bleu']:.1f}, chrF {_number(best, 'chrf', 1)}, at step {best['step']}"


def _prepare(axes: Axes, title: str, bottom_row: bool) -> None:
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.grid(color=GRID, linewidth=0.6)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.ticklabel_format(axis="y", scilimits=(-5, 6), useMathText=False)
    if bottom_row:
        axes.set_xlabel("step", fontsize=8, color=INK)


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
