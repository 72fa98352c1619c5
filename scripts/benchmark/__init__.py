"""The speed benchmark: a module a claim, peers in their own processes, one door in `scripts/benchmark.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # from a clone that is not installed

from nmt.errors import UserError  # noqa: E402

THREADS = 2
"""CPU threads of every contestant."""


def refuse_fixed(changes: list[str], fixed: list[str]) -> None:
    """Raises UserError for a change of what a comparison sets itself: it would be told of and not made."""
    names = {override.partition("=")[0] for override in fixed}
    for change in changes:
        if change.partition("=")[0] in names:
            raise UserError(f"{change!r} cannot be a change: the comparison sets that itself")


def without_option(arguments: list[str], name: str) -> list[str]:
    """The arguments but for `name` and its value: a place on this machine changes no figure."""
    if name not in arguments:
        return arguments
    place = arguments.index(name)
    return arguments[:place] + arguments[place + 2 :]
