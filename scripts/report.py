"""What every measurement writes: JSON records, tables, figures, and the generated blocks of a page.

A page in docs is written by hand except for its blocks. A block stands between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from nmt.checkpoint import write_text
from nmt.inspection.colours import COLOURS
from nmt.inspection.drawing import INK, new_figure, open_axes, save
from scripts.settings import without_option

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""
PEERS = ROOT / ".venv-peers" / "bin" / "python"
"""The Python of JoeyNMT's environment, made by scripts/speed/peers.sh."""
THREADS = 2
"""CPU threads of every contestant."""
MODEL_COLOURS = dict(zip(("rnnencdec", "rnnsearch", "transformer"), COLOURS, strict=False))
"""A model's colour in every picture."""


def provenance(module: str, arguments: list[str]) -> dict:
    """The command of a record, but for where checkpoints are kept, its commit and its machine."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "command": shlex.join(["python", "-m", module, *without_option(arguments, "--checkpoints")]),
        "machine": machine(peers=False),
        "commit": commit.stdout.strip(),
    }


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *rows))


def fill(page: Path, blocks: Mapping[str, str], start: str = "") -> Path:
    """Replace the blocks of a page and return its path. A block without marks is appended; a new page has `start`."""
    text = page.read_text(encoding="utf-8") if page.exists() else f"{start}\n"
    for name, block in blocks.items():
        opening, closing = f"<!-- {name} -->\n", f"\n<!-- /{name} -->\n"
        if opening not in text:
            text += f"\n{opening}{closing}"
        before, rest = text.split(opening, 1)
        text = f"{before}{opening}\n{block}\n{closing}{rest.split(closing, 1)[1]}"
    write_text(page, text)
    return page


def write_json(path: Path, value: object) -> None:
    """Write a record, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict:
    """Read a record."""
    return json.loads(path.read_text(encoding="utf-8"))


def duration(minutes: float) -> str:
    """Minutes, or seconds where it is short."""
    return f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{60 * minutes:.0f} seconds"


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean of `values` [n] without NaNs, and its 95% percentile bootstrap interval (Efron and Tibshirani 1993)."""
    values = values[np.isfinite(values)]
    drawn = np.random.default_rng(1).integers(len(values), size=(10_000, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def wilson(count: int, total: int) -> tuple[float, float, float]:
    """The share of `count` in `total` and its 95% interval (Wilson 1927); 0 to 1 where there are none."""
    if not total:
        return 0.0, 0.0, 1.0
    share, spread = count / total, 1.96**2 / total
    middle, reach = share + spread / 2, float(np.sqrt(share * (1 - share) * spread + spread**2 / 4))
    return share, max(0.0, (middle - reach) / (1 + spread)), min(1.0, (middle + reach) / (1 + spread))


def prepare(axes: Axes, title: str, across: str, upwards: str) -> None:
    """Give axes a title, labels and a faint grid."""
    open_axes(axes, title)
    axes.set_xlabel(across, fontsize=9, color=INK)
    axes.set_ylabel(upwards, fontsize=9, color=INK)
    axes.set_axisbelow(True)


def logarithmic(axis: Axis) -> None:
    """Make an axis that has its data logarithmic, with a few labels in plain numbers that cannot collide."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")  # type: ignore[attr-defined]
    low, high = axis.get_view_interval()
    narrow = (1, 3) if axis.axis_name == "x" else (1, 2, 5)  # type: ignore[attr-defined]
    axis.set_major_locator(LogLocator(10, subs=narrow if high / low <= 100 else (1,)))
    axis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
    axis.set_minor_formatter(NullFormatter())


Rows = Sequence[tuple[str, str, tuple[float, float, float]]]
"""(label, colour, (value, low, high))."""


def intervals(axes: Axes, rows: Rows) -> None:
    """Draw the rows from the top down."""
    for height, (_, colour, (value, low, high)) in enumerate(rows):
        axes.errorbar(value, height, xerr=[[value - low], [high - value]], fmt="o", color=colour, markersize=4)
    axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def draw_intervals(path: Path, panels: Sequence[tuple[str, str, Rows]]) -> None:
    """Draw panels of (title, unit, rows) side by side; the rows have the same labels in all."""
    figure = new_figure(10, 0.8 + 0.32 * len(panels[0][2]))
    for axes, (title, unit, rows) in zip(figure.subplots(1, len(panels), sharey=True), panels, strict=True):
        prepare(axes, f"{title}, with 95% intervals", unit, "")
        intervals(axes, rows)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    figure.subplots_adjust(wspace=0.08)
    save(figure, path)


def legend(axes: Axes) -> None:
    """Add a legend without a frame."""
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)


def machine(peers: bool = True) -> dict[str, str]:
    """Processor, memory, system and versions; the peers' versions too, where they are installed."""
    found = {name: importlib.metadata.version(name) for name in ("torch", "ctranslate2", "sentencepiece", "numpy")}
    if peers and PEERS.exists():
        code = "import importlib.metadata as m; print(*(m.version(n) for n in ('joeynmt', 'torch')))"
        versions = subprocess.run([PEERS, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        found |= {f"peers: {name}": version for name, version in zip(("joeynmt", "torch"), versions, strict=True)}
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in found.items()),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        found = {name.strip(): value.strip() for name, value in fields.items()}
        flags = found.get("flags", "").split()
        vectors = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if name in flags]
        return f"{found['model name']} ({', '.join(vectors)})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()
