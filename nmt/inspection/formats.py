"""Picture formats, selected by a file's suffix; free of matplotlib, so that commands check names before they work."""

from collections.abc import Sequence
from pathlib import Path

from nmt.errors import UserError

FIGURES = ("png", "svg", "pdf")
PAGE = "html"


def picture_format(path: str | Path, formats: Sequence[str] = (PAGE, *FIGURES)) -> str:
    """The format of a picture's file name: its suffix in lower case, without the dot.

    Raises UserError unless it is one of `formats`.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in formats:
        *others, last = (f".{name}" for name in formats)
        endings = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"cannot draw {path}: the name must end in {endings}")
    return suffix
