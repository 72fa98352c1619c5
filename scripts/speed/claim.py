"""A claim: how it is measured, and how its raw measurements become a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """A table, and named ratios and amounts for the summary."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    summary: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Claim:
    """One of the benchmark's claims."""

    name: str
    measure: Callable[[], dict]
    """Raw replies, fit for JSON."""
    tell: Callable[[dict], Told]
    draw: Callable[[dict, str], None] | None = None
    """Draws the replies into a file."""
