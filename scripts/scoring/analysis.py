"""What lies behind one score: length, word frequency, examples chosen by rule, and whether test leaked into train."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from sacrebleu.metrics import CHRF

from nmt.text.words import split_words
from scripts.scoring.metrics import scores

LENGTHS = (1, 4, 6, 8, 11, 16)
"""First length of each bucket, in whitespace words of the source."""
FREQUENCIES = (0, 1, 10, 100, 1000, 10000)
"""First frequency of each bucket, in occurrences in the training targets."""

Pairs = Iterable[tuple[str, str]]


def bucket(value: int, starts: Sequence[int]) -> int:
    """The number of the bucket that a value falls into; what lies below all falls into the first."""
    return max(0, sum(start <= value for start in starts) - 1)


def name_of(number: int, starts: Sequence[int]) -> str:
    """`4 to 5`, or `16 and more`."""
    if number + 1 == len(starts):
        return f"{starts[number]:,} and more"
    first, last = starts[number], starts[number + 1] - 1
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def by_length(sources: list[str], texts: list[str], references: list[list[str]]) -> list[dict]:
    """Scores of the sentences of each bucket of source lengths; empty buckets are left out."""
    rows: dict[int, list[int]] = {}
    for number, source in enumerate(sources):
        rows.setdefault(bucket(len(source.split()), LENGTHS), []).append(number)
    return [
        {"words": name_of(which, LENGTHS), **scores([texts[row] for row in found], [references[row] for row in found])}
        for which, found in sorted(rows.items())
    ]


def nearest(texts: list[str], references: list[list[str]]) -> list[str]:
    """For each translation the reference with the best sentence chrF."""
    chrf = CHRF()
    return [
        max(group, key=lambda one: chrf.sentence_score(text, [one]).score)  # noqa: B023
        for text, group in zip(texts, references, strict=True)
    ]


def words(sentence: str) -> list[str]:
    """Word and punctuation tokens, lower-cased."""
    return [word.text.lower() for word in split_words(sentence)]


def by_frequency(training: Iterable[str], texts: list[str], references: list[str]) -> list[dict]:
    """Recall, precision and F1 of words by how often training has them (after compare-mt: Neubig et al. 2019).

    A word of a translation is right as often as its reference has it too. Each text has one reference.
    """
    seen = Counter(word for sentence in training for word in words(sentence))
    right, wanted, given = Counter[int](), Counter[int](), Counter[int]()
    for text, reference in zip(texts, references, strict=True):
        ours, theirs = Counter(words(text)), Counter(words(reference))
        for total, counts in ((given, ours), (wanted, theirs), (right, ours & theirs)):
            for word, count in counts.items():
                total[bucket(seen[word], FREQUENCIES)] += count
    return [
        {
            "frequency": name_of(which, FREQUENCIES),
            "reference_words": wanted[which],
            "translation_words": given[which],
            "right": right[which],
            "recall": right[which] / max(1, wanted[which]),
            "precision": right[which] / max(1, given[which]),
            "f1": 2 * right[which] / max(1, wanted[which] + given[which]),
        }
        for which in range(len(FREQUENCIES))
    ]


def sample(count: int, wanted: int = 20, step: int = 100) -> range:
    """Every 100th of `count` numbers from 0; the step is halved until there are as many as `wanted`, if it can be."""
    while step > 1 and len(range(0, count, step)) < wanted:
        step //= 2
    return range(0, count, step)


def examples(sources: list[str], texts: list[str], references: list[list[str]], each: int = 10) -> dict:
    """The best and the worst of `sample` by sentence chrF against all references; ties by number."""
    chrf, chosen = CHRF(), sample(len(sources), 2 * each)
    rows = [
        {
            "number": row,
            "source": sources[row],
            "translation": texts[row],
            "references": references[row],
            "chrf": chrf.sentence_score(texts[row], references[row]).score,
        }
        for row in chosen
    ]
    rows.sort(key=lambda row: (-row["chrf"], row["number"]))
    each = min(each, len(rows) // 2)
    return {"step": chosen.step, "good": rows[:each], "bad": rows[len(rows) - each :][::-1]}


def bare(sentence: str) -> str:
    """Case folded, without punctuation, single spaces."""
    folded = unicodedata.normalize("NFKC", sentence).casefold()
    kept = "".join(letter for letter in folded if not unicodedata.category(letter).startswith("P"))
    return re.sub(r"\s+", " ", kept).strip()


def leaks(train: Pairs, test: Pairs) -> dict:
    """How many test pairs are in training, and how many unique test sources, also when only `bare` is compared."""
    pairs, sources, folded = set(), set(), set()
    for source, target in train:
        pairs.add((source, target))
        sources.add(source)
        folded.add(bare(source))
    tests = list(test)
    unique = dict.fromkeys(source for source, _ in tests)
    return {
        "test_pairs": len(tests),
        "pairs_in_training": sum(pair in pairs for pair in tests),
        "test_sources": len(unique),
        "sources_in_training": sum(source in sources for source in unique),
        "bare_sources_in_training": sum(bare(source) in folded for source in unique),
    }
