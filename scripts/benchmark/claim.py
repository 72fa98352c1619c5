"""A claim: how it is measured, and how its raw replies are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Goal:
    """A line of the summary: a ratio or an amount, and whether it is what was aimed at."""

    what: str
    value: float
    goal: float
    unit: str = "x"
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the goal's side."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def row(self) -> list[str]:
        """Cells of the summary table."""
        form = {"x": "{:.2f}x", "%": "{:.1%}", "MB": "{:,.0f} MB"}.get(self.unit, f"{{:.3g}} {self.unit}".rstrip())
        bound = ("at most " if self.at_most else "at least ") + form.format(self.goal)
        return [self.what, form.format(self.value), bound, "yes" if self.met else "**no**"]


@dataclass(frozen=True)
class Told:
    """What the replies say."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Claim:
    """One of the benchmark's claims."""

    name: str
    title: str
    measure: Callable[[bool], dict]
    """Raw replies, fit for JSON; True for the quick form."""
    tell: Callable[[dict], Told]
    draw: Callable[[dict, str], None] | None = None
    """Draws the replies into a file."""
