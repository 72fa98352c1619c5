"""Parallel corpora in splits: from Tatoeba, the Hugging Face Hub or local files to Arrow data sets."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.corpus.filters import ONLY_EMPTY, Filters
from nmt.corpus.origin import PairSource, SentencePair
from nmt.corpus.splits import hold_out, shares_sentence
from nmt.errors import UserError
from nmt.files import cache_directory

if TYPE_CHECKING:
    import datasets

    from nmt.config import DataConfig

__all__ = ["Corpus", "SentencePair", "load_corpus", "pairs_of", "references"]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A parallel corpus in splits, memory-mapped from Arrow files.

    Attributes:
        train, dev, test: columns "source" and "target" (str), and "source_id" and "target_id" (int)
            where the corpus numbers its sentences. `test` is None when the corpus has none.
        sha256: the hash of the corpus file; with several files or `data.extra`, of the list of their hashes; for a Hub
            data set, of the kept sentences.
        report: "corpus" (one line), "held_out" if dev was taken from train, and "splits": for each split the numbers
            of pairs "read", "kept" and "dropped" by reason, and the "sha256" of its sentences.
    """

    train: datasets.Dataset
    dev: datasets.Dataset
    test: datasets.Dataset | None
    sha256: str
    report: dict[str, Any]

    def __repr__(self) -> str:
        kept = ", ".join(f"{name} {counts['kept']:,}" for name, counts in self.report["splits"].items())
        return f"Corpus({self.report['corpus']}: {kept})"

    def describe(self) -> str:
        """The report as text: one line for the corpus and one for each split."""
        lines = [f"corpus: {self.report['corpus']}"]
        for name, counts in self.report["splits"].items():
            dropped = [f"{count:,} {reason}" for reason, count in counts["dropped"].items()]
            taken = ", taken from train (no data.dev)" if name == "dev" and self.report.get("held_out") else ""
            lines.append(
                f"{name}: {counts['kept']:,} of {counts['read']:,} pairs{taken}"
                + (f" (left out: {', '.join(dropped)})" if dropped else "")
            )
        return "\n".join(lines)


def load_corpus(data: DataConfig) -> Corpus:
    """Load the configured corpus, from the cache if it was read before.

    The filters (`min_words`, `max_words`, `max_length_ratio`, `drop_identical`, `max_pairs`) apply to training pairs;
    dev and test only lose pairs with an empty side, so scores do not depend on how training data was cleaned. Reading
    stops at `max_pairs` training pairs. A Hub or file corpus without dev gets one: see `nmt.corpus.splits.hold_out`.
    The pairs of `data.extra` come last, without those that share a sentence with dev or test.

    Raises UserError for data that cannot be found, fetched or parsed, and for an empty split.
    """
    from nmt.corpus.local import ExtraPairs
    from nmt.corpus.store import key_of, open_or_build, write_split

    cache = cache_directory(data.cache)
    source = _pair_source(data, cache)
    extra = ExtraPairs.of(data)
    filters = Filters(**{field.name: getattr(data, field.name) for field in dataclasses.fields(Filters)})

    def build(directory: Path) -> dict:
        report: dict[str, Any] = {"splits": {}}
        pairs = source.read()
        in_dev = None
        if "dev" not in pairs:
            pairs["dev"], in_dev = hold_out(pairs["train"])
            report["held_out"] = True
        for name in pairs:
            counts: dict[str, Any] = {}
            report["splits"][name] = counts
            kept = filters(pairs[name], counts, in_dev) if name == "train" else ONLY_EMPTY(pairs[name], counts)
            if name == "train" and data.extra:
                held_out = shares_sentence(itertools.chain(pairs["dev"], pairs.get("test", ())))
                all_of_them = dataclasses.replace(filters, max_pairs=None)
                kept = itertools.chain(kept, all_of_them(extra, counts, held_out))
            counts["sha256"] = write_split(directory / f"{name}.arrow", kept, source.numbered)
            if not counts["kept"]:
                raise UserError(_why_empty(name, counts, source.description))
        return report

    with_extra = {"extra": extra.sha256} if data.extra else {}
    key = key_of(identity=source.identity, filters=dataclasses.asdict(filters), **with_extra)
    splits, report = open_or_build(cache / "corpora" / key, build)
    sha256 = source.sha256 or key_of(splits={name: counts["sha256"] for name, counts in report["splits"].items()})
    if data.extra:
        sha256 = hashlib.sha256("\n".join([sha256, *extra.sha256]).encode()).hexdigest()
    report = {"corpus": source.description + extra.description} | report
    return Corpus(splits["train"], splits["dev"], splits.get("test"), sha256, report)


def _pair_source(data: DataConfig, cache: Path) -> PairSource:
    if data.corpus == "tatoeba":
        from nmt.corpus.tatoeba import tatoeba

        return tatoeba(data.source, data.target, cache)
    if data.corpus == "hub":
        from nmt.corpus.hub import hub

        return hub(data, cache)
    from nmt.corpus.local import local

    return local(data)


def _why_empty(name: str, counts: dict[str, Any], description: str) -> str:
    if counts["read"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts["dropped"].items())
        return f"no {name} pair of {description} is left ({reasons}): see to the data and the filters, or add pairs"
    return f"{description}: {name} is empty: put sentence pairs into data.{name}"


def pairs_of(split: datasets.Dataset) -> Iterator[tuple[str, str]]:
    """The (source, target) sentences of a split, read a thousand at a time."""
    for rows in split.iter(batch_size=1000):
        yield from zip(rows["source"], rows["target"], strict=True)


def references(split: datasets.Dataset) -> tuple[list[str], list[list[str]]]:
    """Unique source sentences in order of first occurrence, each with all its target sentences as references.

    Equal target sentences count once.
    """
    targets: dict[str, dict[str, None]] = {}
    for source, target in pairs_of(split):
        targets.setdefault(source, {})[target] = None
    return list(targets), [list(group) for group in targets.values()]
