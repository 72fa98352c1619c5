"""Tables of an experiment, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from scripts import report

Value = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns; floats have `digits` decimals, None is an empty cell."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    digits: int = 2
    name: str = "table"
    """Name of the page's block and stem of the CSV file."""
    shown: bool = True
    """Whether the page shows the table or only links to its CSV file."""

    def markdown(self) -> str:
        """The table in Markdown, or a link to its CSV file."""
        if not self.shown:
            return f"[{self.name}.csv]({self.name}.csv)"
        return report.table(self.columns, [[self._cell(value) for value in row] for row in self.rows])

    def csv(self) -> str:
        """The same as CSV, floats with six significant digits."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in row])
        return text.getvalue()

    def _cell(self, value: Value) -> str:
        if isinstance(value, float):
            return f"{value:,.{self.digits}f}"
        return "" if value is None else f"{value:,}" if isinstance(value, int) else value
