"""Filters: which training pairs are worth learning from, and how many were left out and why."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.corpus.origin import SentencePair


@dataclass(frozen=True)
class Filters:
    """Limits on training pairs; words are those between white space, so the word limits do not hold for
    scripts that write none (Chinese, Japanese, Thai).

    A pair without a word on either side is always left out. `max_length_ratio` is the longer side's
    words over the shorter's; `max_pairs` (at least 1) takes the first so many of the pairs that pass.
    """

    min_words: int = 1
    max_words: int = 200
    max_length_ratio: float | None = None
    drop_identical: bool = False
    max_pairs: int | None = None

    def reason_against(self, pair: SentencePair) -> str | None:
        """Why the pair is left out, or None."""
        shorter, longer = sorted((len(pair.source.split()), len(pair.target.split())))
        if shorter == 0:
            return "empty side"
        if shorter < self.min_words:
            return "too short"
        if longer > self.max_words:
            return "too long"
        if self.max_length_ratio is not None and longer > self.max_length_ratio * shorter:
            return "length ratio"
        if self.drop_identical and pair.source.strip() == pair.target.strip():
            return "identical sides"
        return None

    def __call__(
        self,
        pairs: Iterable[SentencePair],
        report: dict[str, Any],
        in_dev: Callable[[SentencePair], bool] | None = None,
    ) -> Iterator[SentencePair]:
        """The pairs that pass, and that are not `in_dev`; `report` gets the counts "read", "kept" and "dropped"."""
        report.update({"read": 0, "kept": 0, "dropped": {}})
        for pair in pairs:
            report["read"] += 1
            reason = self.reason_against(pair)
            if reason is None and in_dev is not None and in_dev(pair):
                reason = "held out for dev"
            if reason is not None:
                report["dropped"][reason] = report["dropped"].get(reason, 0) + 1
                continue
            report["kept"] += 1
            yield pair
            if report["kept"] == self.max_pairs:
                return


# What dev and test sets go through: they are there to be measured on, so only what cannot be measured goes.
ONLY_EMPTY = Filters(min_words=1, max_words=2**62)
