"""Links as text in Pharaoh form, source-target counted from 0: `0-0 1-2`, one sentence pair a line."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.alignment import Link
from nmt.errors import UserError
from nmt.lines import read_lines

LINK = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


def format_links(links: Iterable[Link]) -> str:
    """Links as one line of text, sorted."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_links(text: str, where: str = "the alignment") -> list[Link]:
    """The links of one line, separated by white space, sorted and unique.

    Raises UserError for anything else; `where` locates the line, as in `corpus.align, line 3`.
    """
    links = set()
    for token in text.split():
        match = LINK.fullmatch(token)
        if not match:
            raise UserError(f"{where}: {token!r} is not a link: write source-target, counted from 0, as in 0-0 1-2")
        links.add((int(match[1]), int(match[2])))
    return sorted(links)


def read_pharaoh(path: str | Path) -> Iterator[list[Link]]:
    """Yield the links of each line of a file; an empty line is a pair without links.

    Raises UserError for a file that cannot be read, and for a token that is not a link, with its line.
    """
    for number, line in enumerate(read_lines(path), 1):
        yield parse_links(line, where=f"{path}, line {number}")
