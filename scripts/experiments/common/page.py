"""Tables, figures and the Markdown page of an experiment."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from nmt.checkpoint import write_text
from nmt.inspection.drawing import FAINT, GRID, INK

Value = str | int | float | None

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's colours (2008), to be told apart with every kind of colour vision; for lines of one figure."""


@dataclass(frozen=True)
class Table:
    """Rows under named columns; floats are printed with `digits` decimals, None as nothing."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    digits: int = 2
    name: str = "table"
    """The CSV file's name, without its suffix."""
    caption: str = ""
    """A sentence or two above the table."""
    shown: bool = True
    """Whether the page shows it; else the page only names its CSV file."""

    def markdown(self) -> str:
        """The table in Markdown, caption first; or the caption and a link."""
        if not self.shown:
            return f"{self.caption}: [{self.name}.csv]({self.name}.csv)."
        lines = [list(self.columns), ["---"] * len(self.columns), *([self._cell(x) for x in row] for row in self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.caption}\n\n{table}" if self.caption else table

    def csv(self) -> str:
        """The same as CSV, floats with six significant digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow([f"{x:.6g}" if isinstance(x, float) else x for x in row])
        return text.getvalue()

    def _cell(self, value: Value) -> str:
        if isinstance(value, float):
            return f"{value:,.{self.digits}f}"
        return "" if value is None else f"{value:,}" if isinstance(value, int) else value


@dataclass(frozen=True)
class Picture:
    """A figure that the experiment has saved into its directory."""

    file: str
    """Its name, such as `figure.png`."""
    caption: str


def prepare(axes: Axes, title: str, across: str, upwards: str) -> None:
    """The common look of axes: title, labels, a faint grid."""
    axes.set_title(title, fontsize=10, color=INK, loc="left")
    axes.set_xlabel(across, fontsize=9, color=INK)
    axes.set_ylabel(upwards, fontsize=9, color=INK)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def legend(axes: Axes) -> None:
    """The common look of a legend."""
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)


def write_page(
    directory: Path,
    title: str,
    claim: str,
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    notes: Sequence[str],
    seen: str,
) -> None:
    """Write README.md and a CSV file for every table into `directory`, which holds the pictures already."""
    for table in tables:
        write_text(directory / f"{table.name}.csv", table.csv())
    parts = [
        f"# {title}",
        claim,
        *(f"![{picture.caption}]({picture.file})" for picture in pictures),
        *(table.markdown() for table in tables),
        "\n".join(f"- {note}" for note in notes),
        "## What was seen",
        seen,
    ]
    write_text(directory / "README.md", "\n\n".join(part for part in parts if part) + "\n")


def quote(story: Path, script: str, seen: str) -> None:
    """Put what was seen into `story`, in place of the quoted paragraph above the command of `script`."""
    pattern = rf"^> .*\n(?=\n\(`python scripts/experiments/{re.escape(script)}`)"
    text = story.read_text(encoding="utf-8")
    write_text(story, re.sub(pattern, lambda _: f"> {seen}\n", text, flags=re.MULTILINE))
