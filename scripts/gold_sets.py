"""Sets of gold links to compare aligners on: Tatoeba's, and XL-WA's of another domain, where it is at hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.alignment import Link
from nmt.alignment.error_rate import GoldPair
from nmt.alignment.pharaoh import parse_links
from nmt.alignment.pretokenized import JoinedWords, given_words, join_words, links_over_given_words, written_words
from nmt.errors import UserError
from nmt.text.words import split_words
from scripts.raw_attention import gold_pairs
from scripts.report import ROOT

XL_WA = ROOT.parent / "shared" / "xl-wa" / "es-dev.tsv"
"""English-Spanish pairs of Wikipedia with gold links (Martelli et al. 2023), CC BY-NC-SA 4.0: not in the project."""


@dataclass(frozen=True)
class GoldSet:
    """Sentence pairs with gold links."""

    name: str
    words: list[tuple[JoinedWords, JoinedWords]]
    """The words that the gold links count, in running text."""
    gold: list[GoldPair]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The running text."""
        return [(source.text, target.text) for source, target in self.words]

    def over_words(self, links: Sequence[Collection[Link]]) -> list[list[Link]]:
        """From links between this project's tokens to links between the set's words."""
        found = []
        for pair, sides in zip(links, self.words, strict=True):
            source, target = (side.words_of_tokens(split_words(side.text)) for side in sides)
            found.append(links_over_given_words(pair, source, target))
        return found


def tatoeba() -> GoldSet:
    """The project's own gold links."""
    gold, pairs = gold_pairs()
    return GoldSet("Tatoeba", [(written_words(source), written_words(target)) for source, target in pairs], gold)


def xl_wa(path: Path) -> GoldSet:
    """A file of XL-WA: source tokens, target tokens and links, separated by tabs; all links are sure.

    Raises:
        UserError: for a line of another form.
    """
    words, gold = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        columns = line.split("\t")
        if len(columns) != 3:
            raise UserError(f"{path}, line {number}: {len(columns)} columns, not source, target and links")
        words.append((join_words(given_words(columns[0])), join_words(given_words(columns[1]))))
        links = parse_links(columns[2], where=f"{path}, line {number}")
        gold.append(GoldPair(number, number, frozenset(links), frozenset()))
    return GoldSet("XL-WA", words, gold)
