"""Settings given on a command line: those that a comparison sets itself, those that change no figure."""

from __future__ import annotations

from nmt.errors import UserError


def refuse_fixed(changes: list[str], fixed: list[str]) -> None:
    """Raise UserError for a change to a setting that the comparison fixes."""
    names = {override.partition("=")[0] for override in fixed}
    for change in changes:
        if change.partition("=")[0] in names:
            raise UserError(f"{change!r} cannot be a change: the comparison sets that itself")


def without_option(arguments: list[str], name: str) -> list[str]:
    """The arguments without `name` and its value."""
    if name not in arguments:
        return arguments
    place = arguments.index(name)
    return arguments[:place] + arguments[place + 2 :]
