"""Filtering training pairs, with counts of what was dropped and why."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.corpus.origin import SentencePair


@dataclass(frozen=True)
class Filters:
    """Limits on training pairs. Words are separated by white space, so word limits do not suit scripts without spaces.

    Pairs with an empty side are always dropped. `max_length_ratio` is the number of words of the longer side over that
    of the shorter; `max_pairs` (at least 1) keeps the first pairs that pass.
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
        held_out: Callable[[SentencePair], bool] | None = None,
    ) -> Iterator[SentencePair]:
        """Yield the pairs that pass and are not `held_out`; "read", "kept" and "dropped" of `report` grow."""
        for name, none in {"read": 0, "kept": 0, "dropped": {}}.items():
            report.setdefault(name, none)
        for pair in pairs:
            report["read"] += 1
            reason = self.reason_against(pair)
            if reason is None and held_out is not None and held_out(pair):
                reason = "held out"
            if reason is not None:
                report["dropped"][reason] = report["dropped"].get(reason, 0) + 1
                continue
            report["kept"] += 1
            yield pair
            if report["kept"] == self.max_pairs:
                return


ONLY_EMPTY = Filters(min_words=1, max_words=2**62)
"""The filter of dev and test sets: it drops only pairs with an empty side, which cannot be scored."""
