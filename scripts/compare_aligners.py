#!/usr/bin/env python
"""One table of word aligners on two sets of gold links: a diagonal, eflomal, fast_align, and this project's methods.

    python -m scripts.compare_aligners [--minutes N ...] [--checkpoint DIR]

The sets are Tatoeba's, short everyday sentences, and XL-WA's, sentences of Wikipedia, where its file is at hand
(--outside). The statistical aligners and `nmt-align --learn` are trained on Tatoeba's training split plus the gold
pairs without their links, as they are used; the statistical aligners' links are kept in the cache (--fresh trains
again). The shipped head never sees the gold pairs. Needs a C compiler, for eflomal; fast_align takes part where it is
on the PATH.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nmt.alignment import Link
from nmt.alignment.error_rate import bootstrap, bootstrap_difference, score
from nmt.alignment.gold import english_spanish_corpus
from nmt.alignment.links import argmax_links, transpose
from nmt.alignment.symmetrization import grow_diag_final_and, intersection
from nmt.cli.align import make_parser as align_parser
from nmt.cli.common import run
from nmt.cli.learn import learn
from nmt.corpus import pairs_of
from nmt.files import cache_directory
from nmt.text.words import split_words
from nmt.translator import Translator
from scripts import gold_sets
from scripts.gold_sets import GoldSet
from scripts.raw_attention import over_word_pairs, select_by_prediction
from scripts.report import ROOT, fill, read_json, table, write_json
from scripts.statistical_aligners import Alignments, make_eflomal_priors, run_eflomal, run_fast_align, write_pairs

SPEED_PAIRS = (150, 1_500, 10_000)
DEV_PAIRS = 500
"""Dev pairs on which a head is chosen, without gold links."""
MINUTES = (0.5, 2.0, 10.0, 30.0)
PUBLISHED = [("SimAlign, pretrained", 0.142), ("awesome-align, pretrained", 0.120), ("OmniAlign, pretrained", 0.107)]
"""AER on the test split of XL-WA English-Spanish, as OmniAlign's authors report it."""

Pairs = Sequence[tuple[str, str]]


class Speed(NamedTuple):
    """How long aligning some pairs takes, in seconds of processor time."""

    aligner: str
    pairs: int
    seconds: float


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    method: str
    links: list[list[Link]]
    """Of every gold pair, the sets one after another, between this project's tokens; or of the first set's alone."""
    ours: bool
    minutes: float | None = None
    """Training, both directions, in minutes of processor time; None where nothing is trained for aligning."""


def diagonal(pairs: Pairs) -> Row:
    """Each target word with the source word at the same relative place, first with first and last with last."""
    links = []
    for source, target in pairs:
        words, length = len(split_words(source)), len(split_words(target))
        links.append([(round(place * (words - 1) / max(length - 1, 1)), place) for place in range(length)])
    return Row("diagonal", links, ours=False)


def both_ways(name: str, forward: list[list[Link]], reverse: list[list[Link]], like: Row) -> list[Row]:
    """Rows of two directions and of both together; `name` has a place for the method."""
    both = list(zip(forward, reverse, strict=True))
    links = {"forward": forward, "reverse": reverse, "intersected": [intersection(*pair) for pair in both]}
    links["grow-diag-final-and"] = [grow_diag_final_and(*pair) for pair in both]
    return [replace(like, method=name.format(method), links=one) for method, one in links.items()]


# The statistical aligners


def statistical_rows(gold: Pairs, training: Pairs, fresh: bool) -> tuple[list[Row], list[Speed]]:
    """The rows of eflomal and fast_align, and how fast eflomal aligns."""
    with tempfile.TemporaryDirectory() as directory:
        path = write_pairs(Path(directory) / "corpus", [*gold, *training])
        key = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        kept = cache_directory() / "aligners" / "runs" / key
        rows, speeds = [], []
        for name, run in (("fast_align", run_fast_align), ("eflomal", run_eflomal)):
            found = _kept(kept / f"{name}.json", run, path, len(gold), fresh)
            if found is None:
                print(f"{name} is not on the PATH and takes no part", file=sys.stderr)
                continue
            rows += both_ways(f"{name}, {{}}", found.forward, found.reverse, Row("", [], False, found.seconds / 60))
            speeds.append(Speed(f"{name}, training and aligning in one run", len(gold) + len(training), found.seconds))
        record = kept / "speeds.json"
        if fresh or not record.exists():
            write_json(record, _eflomal_speeds(path, [*gold, *training]))
        return rows, speeds + [Speed(*speed) for speed in read_json(record)]


def _kept(
    record: Path, run: Callable[[Path], Alignments | None], path: Path, count: int, fresh: bool
) -> Alignments | None:
    """The first `count` pairs' links from an earlier run, else from a run now."""
    if fresh or not record.exists():
        print(f"training {record.stem} on {path.name}, once: some minutes", file=sys.stderr, flush=True)
        found = run(path)
        if found is None:
            return None
        write_json(record, [found.forward[:count], found.reverse[:count], found.seconds])
    forward, reverse, seconds = read_json(record)
    sides = [[[(source, target) for source, target in links] for links in side] for side in (forward, reverse)]
    return Alignments(sides[0], sides[1], seconds)


def _eflomal_speeds(path: Path, pairs: Pairs) -> list[Speed]:
    """One run over the whole file, and runs over some pairs with what it learned, without the time to start."""
    # Its links are beside the file when it has been trained just now.
    if not path.with_suffix(".forward").exists():
        run_eflomal(path)
    priors = make_eflomal_priors(path)
    start = run_eflomal(write_pairs(path.with_name("one"), pairs[:1]), priors).seconds
    speeds = []
    for count in SPEED_PAIRS:
        some = write_pairs(path.with_name(f"some{count}"), pairs[:count])
        speeds.append(Speed("eflomal with priors", count, run_eflomal(some, priors).seconds - start))
    return speeds


# Raw cross-attention


def raw_rows(gold: Pairs, dev: Pairs, translator: Translator) -> list[Row]:
    """What the translator's cross-attention says without any training for alignment."""
    stacks = [over_word_pairs(translator, *pair) for pair in gold]
    shifted = [over_word_pairs(translator, *pair, shift=True) for pair in gold]
    found = {"mean of all heads": [stack.mean(axis=(0, 1)) for stack in stacks]}
    for layer in range(len(stacks[0])):
        found[f"layer {layer + 1}"] = [stack[layer].mean(axis=0) for stack in stacks]
        found[f"layer {layer + 1}, Shift-Att"] = [stack[layer].mean(axis=0) for stack in shifted]
    held_out = [over_word_pairs(translator, *pair) for pair in dev]
    words = [[[word.text for word in split_words(pair[side])] for pair in dev] for side in (0, 1)]
    flat = [stack.reshape(-1, *stack.shape[2:]) for stack in held_out]
    layer, head = divmod(select_by_prediction(flat, *words), stacks[0].shape[1])
    found[f"best head by prediction on dev ({layer + 1}.{head + 1})"] = [stack[layer, head] for stack in stacks]
    return [Row(f"attention, {name}", list(map(argmax_links, read)), ours=True) for name, read in found.items()]


# Our alignment head, and what is learned from the pairs themselves


def head_rows(gold: Pairs, translator: Translator) -> list[Row]:
    """The alignment head: first the links that every command returns, then full ones and those of its directions."""
    pairs = translator.align(gold)
    forward = [argmax_links(pair.matrix) for pair in pairs]
    reverse = [sorted(transpose(argmax_links(pair.reverse_matrix))) for pair in pairs]
    record = translator.checkpoint.metadata.record.get("alignment_head")
    minutes = record and record["minutes"] * record.get("processes", 2)  # wall time; --save notes no processes
    returned = "**alignment head** (as `nmt-translate` and `nmt-align` return it)"
    own = Row(returned, [pair.links for pair in pairs], True, minutes)
    full = replace(own, method="alignment head, `--links full`", links=[pair.full_links for pair in pairs])
    return [own, full, *both_ways("alignment head, {}", forward, reverse, own)]


def learned_rows(gold: Pairs, training: Pairs, *given: str) -> list[Row]:
    """`nmt-align --learn` with the options `given`, on the gold pairs and the training pairs."""
    options = align_parser().parse_args(["--learn", *given])
    started = sum(os.times()[:4])  # of this process and those that it has waited for
    aligner = learn(iter([*gold, *training]), options)
    minutes = (sum(os.times()[:4]) - started) / 60
    pairs = aligner.align(gold)
    name = f"`nmt-align --learn {' '.join(given)}{{}}`"
    precise = Row(name.format(""), [pair.links for pair in pairs], True, minutes)
    return [precise, Row(name.format(" --links full"), [pair.full_links for pair in pairs], True, minutes)]


def head_speeds(pairs: Pairs, translator: Translator) -> list[Speed]:
    """Aligning by the loaded head, in this process."""
    translator.align(pairs[:10])
    speeds = []
    for count in SPEED_PAIRS:
        started = time.process_time()
        translator.align(pairs[:count])
        speeds.append(Speed("alignment head", count, time.process_time() - started))
    return speeds


# The table


def part_of(row: Row, sets: Sequence[GoldSet], name: str) -> tuple[GoldSet, list[list[Link]]] | None:
    """A set and the row's links of it, between the set's own words; None where the row has none."""
    first = 0
    for gold in sets:
        if gold.name == name and len(row.links) > first:
            return gold, gold.over_words(row.links[first : first + len(gold.gold)])
        first += len(gold.gold)
    return None


def cells(row: Row, sets: Sequence[GoldSet]) -> list[str]:
    """A line of the table."""
    line = [row.method]
    for name in (gold.name for gold in sets):
        part = part_of(row, sets, name)
        if part is None:
            line += [""] * 4
            continue
        gold, links = part
        result, interval = score(links, gold.gold), bootstrap(links, gold.gold)
        line += [f"{result.error_rate:.3f}", f"{interval.low:.3f} to {interval.high:.3f}"]
        line += [f"{result.precision:.3f}", f"{result.recall:.3f}"]
    return [*line, "" if row.minutes is None else f"{row.minutes:.1f}"]


def published(sets: Sequence[GoldSet]) -> list[list[str]]:
    """Lines of aligners that are not run here."""
    if len(sets) < 2:
        return []
    return [[f"{name} (test split, as published)", *[""] * 4, f"{rate:.3f}", *[""] * 4] for name, rate in PUBLISHED]


def difference(ours: Row, rows: Sequence[Row], sets: Sequence[GoldSet], name: str) -> str:
    """One of our rows, named beforehand, less the statistical row that is best on this set: AER."""
    parts = {row.method: part_of(row, sets, name) for row in [ours, *(row for row in rows if not row.ours)]}
    found = {method: part[1] for method, part in parts.items() if part}
    gold = next(gold.gold for gold in sets if gold.name == name)
    others = [method for method in found if method != ours.method]
    best = min(others, key=lambda method: score(found[method], gold).error_rate)
    less = bootstrap_difference(found[ours.method], found[best], gold)
    interval = f"95% interval {less.low:+.3f} to {less.high:+.3f}"
    return f"- {name}: {ours.method} less {best}: AER {less.value:+.3f} ({interval})"


def main(arguments: argparse.Namespace) -> None:
    """Align the gold pairs by every method, print the tables and write them to a file."""
    sets = [gold_sets.tatoeba()]
    sets += [gold_sets.xl_wa(arguments.outside)] if arguments.outside.is_file() else []
    corpus = english_spanish_corpus()
    pairs = [pair for gold in sets for pair in gold.pairs]
    training, dev = list(pairs_of(corpus.train)), list(pairs_of(corpus.dev))
    translator = Translator.load(arguments.checkpoint, engine="torch", threads=1)
    statistical, speeds = statistical_rows(pairs, training, arguments.fresh)
    rows = [diagonal(pairs), *statistical, *raw_rows(sets[0].pairs, dev[:DEV_PAIRS], translator)]
    for minutes in arguments.minutes:
        rows += learned_rows(pairs, training, "--minutes", f"{minutes:g}")
    ours = rows[-1]
    if translator.aligner is not None:
        checkpoint = arguments.checkpoint or "tatoeba-en-es"
        rows += learned_rows(pairs, training, "--minutes", f"{arguments.minutes[0]:g}", "--checkpoint", checkpoint)
        ours, *others = head_rows(pairs, translator)
        rows += [ours, *others]
        speeds += head_speeds([*pairs, *training], translator)
    system = f"{platform.machine()}, Python {platform.python_version()}"
    columns = ["aligner"]
    for gold in sets:
        columns += [f"{gold.name}: AER", "95% interval", "precision", "recall"]
    columns.append("training, minutes of one core")
    speed = [[s.aligner, f"{s.pairs:,}", f"{s.seconds:.2f}", f"{s.pairs / s.seconds:,.0f}"] for s in speeds]
    sizes = ", ".join(f"{len(gold.gold)} gold pairs of {gold.name}" for gold in sets)
    differences = [difference(ours, rows, sets, gold.name) for gold in sets]
    blocks = {
        "aligners": table(columns, [*(cells(row, sets) for row in rows), *published(sets)]),
        "run": "\n".join([*differences, f"- {sizes}; {len(training):,} training pairs; {system}"]),
        "speed": table(["aligning", "pairs", "seconds of one core", "pairs a second"], speed),
    }
    print(*blocks.values(), fill(arguments.output, blocks, "# Word aligners compared"), sep="\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", metavar="DIR", help="default: tatoeba-en-es, shipped")
    parser.add_argument("--outside", type=Path, default=gold_sets.XL_WA, metavar="TSV", help="a file of XL-WA")
    parser.add_argument("--minutes", type=float, nargs="+", default=MINUTES, help="budgets of --learn")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results" / "aligners.md", metavar="FILE.md")
    parser.add_argument("--fresh", action="store_true", help="train the statistical aligners again")
    sys.exit(run("compare_aligners", lambda _: main(parser.parse_args())))
