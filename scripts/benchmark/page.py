"""docs/speed.md from the raw replies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.claim import Claim
from nmt.checkpoint import write_text

HEAD = """\
# Speed, memory and growth

Every figure below is printed, and this page written, by the command above it (`python scripts/benchmark.py all` is all
of them but for the ten million pairs and the million lines) from the raw replies in [docs/speed](speed). Contestants
run in processes of their own on two threads each, are warm before the first turn, and take turns (A B C A B C), one at
work at a time; figures are medians over the turns, with their range. Goals were set before the first measurement, but
for three: the row of nn.Transformer as it comes was added after it, the goal of bfloat16 was set after first trials,
and the goal for losses without dropout became stricter (1e-5 in float64; 1e-3 in float32 before). JoeyNMT is installed
in an environment of its own by `scripts/benchmark/peers.sh`."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def duration(minutes: float) -> str:
    """In words, in seconds where it is short."""
    return f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{60 * minutes:.0f} seconds"


def write_page(claims: Sequence[Claim], raw: Path) -> Path:
    """Write the page beside the directory of raw replies, of the claims that have been measured; returns its path."""
    goals: list[list[str]] = []
    sections: list[str] = []
    machines: dict[str, list[str]] = {}
    for claim in claims:
        path = raw / f"{claim.name}.json"
        if not path.exists():
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        told = claim.tell(record["replies"])
        goals += [goal.row() for goal in told.goals]
        machines.setdefault("; ".join(record["machine"].values()), []).append(claim.name)
        parts = [f"## {claim.title}", f"`python scripts/benchmark.py {claim.name}` ({duration(record['minutes'])})"]
        if claim.draw:
            picture = raw / f"{claim.name}.png"
            claim.draw(record["replies"], str(picture))
            parts.append(f"![{claim.title}]({raw.name}/{picture.name})")
        parts += [table(told.columns, told.rows), *told.notes]
        sections += parts
    summary = table(["claim", "measured", "goal", "met"], goals)
    measured = "\n".join(f"- {', '.join(names)}: {machine}" for machine, names in machines.items())
    page = raw.with_suffix(".md")
    write_text(page, "\n\n".join([HEAD, "## Goals", summary, *sections, "## Machine", measured]) + "\n")
    return page
