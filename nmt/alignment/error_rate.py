"""Alignment error rate, precision, recall and F1 against gold links, with bootstrap intervals (Och and Ney 2003)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmt.alignment import Link
from nmt.alignment.pharaoh import parse_links
from nmt.errors import UserError
from nmt.lines import read_lines

COLUMNS = ["english_id", "spanish_id", "sure", "possible"]


@dataclass(frozen=True)
class GoldPair:
    """The gold links of one sentence pair of the corpus, English-Spanish."""

    english_id: int
    spanish_id: int
    sure: frozenset[Link]
    possible: frozenset[Link]
    """Links that are possible but not sure."""


@dataclass(frozen=True)
class AlignmentScore:
    """Scores of a whole set of pairs, all between 0 and 1 (Och and Ney 2003, section 5)."""

    error_rate: float
    """AER = 1 - (|A∩S| + |A∩P|) / (|A| + |S|), where P includes the sure links: lower is better."""
    precision: float
    """|A∩P| / |A|; 1 when there are no links."""
    recall: float
    """|A∩S| / |S|; 1 when no link is sure."""
    f1: float
    """The harmonic mean of precision and recall."""

    def __str__(self) -> str:
        return f"AER {self.error_rate:.4f}  precision {self.precision:.4f}  recall {self.recall:.4f}  F1 {self.f1:.4f}"


@dataclass(frozen=True)
class Interval:
    """A value and its bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def read_gold(path: str | Path) -> list[GoldPair]:
    """Read a tab-separated file with the header `english_id spanish_id sure possible`, links in Pharaoh form.

    Raises UserError, with the line, for a file that cannot be read or is malformed.
    """
    rows = [line.split("\t") for line in read_lines(path)]
    if not rows or rows[0] != COLUMNS:
        raise UserError(f"{path}, line 1: the header is not the tab-separated columns {', '.join(COLUMNS)}")
    pairs = [_gold_pair(row, f"{path}, line {number}") for number, row in enumerate(rows[1:], 2)]
    if not pairs:
        raise UserError(f"{path} holds a header and no pairs: add a line for each aligned pair")
    return pairs


def _gold_pair(row: list[str], where: str) -> GoldPair:
    if len(row) != len(COLUMNS):
        raise UserError(f"{where}: {len(row)} columns, not the {len(COLUMNS)} {', '.join(COLUMNS)}")
    if not all(re.fullmatch("[0-9]{1,9}", number) for number in row[:2]):
        raise UserError(f"{where}: {row[0]!r} and {row[1]!r} are not two sentence numbers of the corpus")
    sure, possible = (frozenset(parse_links(text, where=where)) for text in row[2:])
    return GoldPair(int(row[0]), int(row[1]), sure, possible - sure)


def score(alignments: Sequence[Collection[Link]], gold: Sequence[GoldPair]) -> AlignmentScore:
    """Score one system's links, in the order of the gold pairs."""
    links, sure, linked_sure, linked_possible = _counts(alignments, gold).sum(axis=0).tolist()
    precision = linked_possible / links if links else 1.0
    recall = linked_sure / sure if sure else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    error_rate = float(_error_rate(np.array([links, sure, linked_sure, linked_possible])))
    return AlignmentScore(error_rate, precision, recall, f1)


def bootstrap(alignments: Sequence[Collection[Link]], gold: Sequence[GoldPair], samples: int = 10_000) -> Interval:
    """The error rate and its 95% bootstrap interval over sentence pairs (Efron and Tibshirani 1993, ch. 13)."""
    counts = _counts(alignments, gold)
    return _interval(float(_error_rate(counts.sum(axis=0))), _error_rate(_resample(counts, samples)))


def bootstrap_difference(
    first: Sequence[Collection[Link]],
    second: Sequence[Collection[Link]],
    gold: Sequence[GoldPair],
    samples: int = 10_000,
) -> Interval:
    """The error rate of the first system minus the second's, both on the same resampled pairs (Koehn 2004)."""
    counts = _counts(first, gold), _counts(second, gold)
    values = [float(_error_rate(one.sum(axis=0))) for one in counts]
    # The same pairs are drawn for both systems.
    resampled = [_error_rate(_resample(one, samples)) for one in counts]
    return _interval(values[0] - values[1], resampled[0] - resampled[1])


def _counts(alignments: Sequence[Collection[Link]], gold: Sequence[GoldPair]) -> np.ndarray:
    """[pairs, 4]: |A|, |S|, |A∩S|, |A∩P|."""
    rows = []
    for links, pair in zip(alignments, gold, strict=True):
        linked = set(links)
        linked_sure, linked_possible = len(linked & pair.sure), len(linked & (pair.sure | pair.possible))
        rows.append((len(linked), len(pair.sure), linked_sure, linked_possible))
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def _error_rate(counts: np.ndarray) -> np.ndarray:
    """[..., 4] -> [...]; 0 without any links and sure links."""
    links, sure, linked_sure, linked_possible = np.moveaxis(counts, -1, 0)
    whole = links + sure
    return np.where(whole > 0, 1 - (linked_sure + linked_possible) / np.maximum(whole, 1), 0.0)


def _resample(counts: np.ndarray, samples: int) -> np.ndarray:
    """[samples, 4]: sums over pairs drawn with replacement, with a fixed seed."""
    drawn = np.random.default_rng(1).integers(len(counts), size=(samples, len(counts)))
    return counts[drawn].sum(axis=1)


def _interval(value: float, resampled: np.ndarray) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(value, float(low), float(high))
