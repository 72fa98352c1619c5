"""Links as text in Pharaoh form, source-target counted from 0: `0-0 1-2`, one sentence pair a line."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.alignment import Link
from nmt.errors import UserError

LINK = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")


def format_links(links: Iterable[Link]) -> str:
    """Links as one line of text, sorted."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_links(
    text: str, source_words: int | None = None, target_words: int | None = None, where: str = "the alignment"
) -> list[Link]:
    """The links of one line, sorted and each once.

    Args:
        text: links separated by white space.
        source_words, target_words: numbers of words, which links must stay within where they are given.
        where: names the line in errors, such as `corpus.align, line 3`.

    Raises:
        UserError: for anything that is not a link, and for a word that the sentence does not have.
    """
    links = set()
    for token in text.split():
        match = LINK.fullmatch(token)
        if not match:
            raise UserError(f"{where}: {token!r} is not a link: write source-target, counted from 0, as in 0-0 1-2")
        link = (int(match[1]), int(match[2]))
        for word, words, side in zip(link, (source_words, target_words), ("source", "target"), strict=True):
            if words is not None and word >= words:
                raise UserError(f"{where}: link {token} names {side} word {word}, but it has {words} (from 0)")
        links.add(link)
    return sorted(links)


def read_pharaoh(path: str | Path) -> Iterator[list[Link]]:
    """The links of each line of a file, read as they are asked for; an empty line is a pair without links.

    Raises:
        UserError: when the file cannot be read, or names the line and the token that is no link.
    """
    try:
        with open(path, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                yield parse_links(line, where=f"{path}, line {number}")
    except OSError as error:
        raise UserError(f"cannot read the alignments {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8: give a file of lines such as 0-0 1-2") from error
