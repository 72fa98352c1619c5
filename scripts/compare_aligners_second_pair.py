#!/usr/bin/env python
"""How far the alignment head and eflomal agree on a second pair of languages, where nobody has drawn gold links.

    python -m scripts.compare_aligners_second_pair [CONFIG] [--minutes N] [--seed N] [--output FILE.md]

Without a CONFIG it reads Multi30k English-German from shared/multi30k beside the project's directory;
configs/multi30k-en-de.yaml is the same corpus from the Hugging Face Hub. A subword model and the alignment head are
trained on the training split, no translator; eflomal is trained on the training and the dev split, as it is used.
They are compared on dev. Needs a C compiler, for eflomal.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.alignment import Link
from nmt.alignment.error_rate import GoldPair, score
from nmt.alignment.symmetrization import intersection, union
from nmt.cli.common import run
from nmt.config import RunConfig, load_config
from nmt.errors import UserError
from scripts import captions
from scripts.compare_aligners import Row, both_ways, diagonal
from scripts.report import ROOT, fill, table
from scripts.statistical_aligners import EFLOMAL, run_eflomal, write_pairs

Alignment = Sequence[Sequence[Link]]
"""The links of every pair."""


class Agreement(NamedTuple):
    """How an aligner's links relate to the two directions of another."""

    links: int
    f1: float
    """With the other's intersected links."""
    found: float
    """Share of the other's intersected links that the aligner has."""
    supported: float
    """Share of the aligner's links that at least one of the other's directions has."""


def agreement(links: Alignment, forward: Alignment, reverse: Alignment) -> Agreement:
    """Over all pairs at once, with the other aligner's intersection in the place of sure links, and its union in the
    place of possible ones."""
    both = list(zip(forward, reverse, strict=True))
    sure = [frozenset(intersection(*pair)) for pair in both]
    possible = [frozenset(union(*pair)) for pair in both]
    strict = score(links, [GoldPair(0, 0, one, frozenset()) for one in sure])
    wide = score(links, [GoldPair(0, 0, one, other - one) for one, other in zip(sure, possible, strict=True)])
    return Agreement(sum(map(len, links)), strict.f1, wide.recall, wide.precision)


def rows_of(named: Mapping[str, Alignment], forward: Alignment, reverse: Alignment) -> list[list[str]]:
    """A line of the table for each of the named alignments, beside another aligner's two directions."""
    rows = []
    for name, links in named.items():
        of = agreement(links, forward, reverse)
        rows.append([name, f"{of.links:,}", *(f"{share:.3f}" for share in (of.f1, of.found, of.supported))])
    return rows


def default_config() -> RunConfig:
    """Multi30k English-German from local files, with nmt-train's own settings. Raises UserError without the files."""
    overrides = captions.local_files()
    if not overrides:
        raise UserError(f"there is no {captions.FILES}: name a corpus, such as configs/multi30k-en-de.yaml")
    return load_config(ROOT / "configs" / "multi30k-en-de.yaml", [*overrides, "subwords={}", "data.test=null"])


def main(options: argparse.Namespace) -> None:
    """Train both aligners, compare them, print and write the table."""
    from nmt.alignment.head import Aligner
    from nmt.config import AlignerConfig
    from nmt.corpus import load_corpus, pairs_of
    from nmt.training.alignment import HeadTraining, stage_line, train_aligner

    config = load_config(options.config) if options.config else default_config()
    corpus = load_corpus(config.data)
    training, dev = list(pairs_of(corpus.train)), list(pairs_of(corpus.dev))
    recipe = AlignerConfig.for_minutes(options.minutes)

    def report(*progress) -> None:
        print(stage_line(*progress), file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(f"training {EFLOMAL[0]} ...", file=sys.stderr, flush=True)
        eflomal = run_eflomal(write_pairs(directory / "pairs", [*dev, *training]))
        subwords = captions.make_subwords(directory, config, corpus)
        wall, processor = time.monotonic(), time.process_time()
        parameters = train_aligner(
            training, subwords, HeadTraining(recipe, options.seed, on_progress=report), directory
        )
        wall, processor = time.monotonic() - wall, time.process_time() - processor
    forward, reverse = eflomal.forward[: len(dev)], eflomal.reverse[: len(dev)]
    named = {"**alignment head**": [pair.links for pair in Aligner(parameters, subwords).align(dev)]}
    named |= {row.method: row.links for row in both_ways("eflomal, {}", forward, reverse, Row("", [], False))}
    del named["eflomal, intersected"]  # what the others are compared with
    named["diagonal"] = diagonal(dev).links
    given = f" {options.config}" if options.config else ""
    columns = ["links", "number", "F1 with eflomal's intersected"]
    columns += ["share of eflomal's intersected that it has", "share of its own that eflomal has"]
    # With one alignment as both directions, intersection and union are that alignment.
    between = agreement(forward, reverse, reverse).f1
    facts = [
        f"`python -m scripts.compare_aligners_second_pair{given} --minutes {options.minutes:g} --seed {options.seed}`",
        f"{len(dev):,} dev pairs and {len(training):,} training pairs of {corpus.report['corpus']}",
        f"Corpus, SHA-256: `{corpus.sha256}`",
        f"eflomal's forward and reverse links with each other: F1 {between:.3f}",
        f"head: {len(subwords):,} pieces, width {recipe.width}, {recipe.teacher_steps} steps for each teacher, "
        f"{recipe.student_steps} for the head",
        f"head: {processor / 60:.1f} CPU minutes, {wall / 60:.1f} minutes of wall time on {os.cpu_count()} cores",
        f"eflomal, both directions: {eflomal.seconds / 60:.1f} CPU minutes",
    ]
    blocks = {
        "agreement": table(columns, rows_of(named, forward, reverse)),
        "run": "\n".join(f"- {fact}" for fact in facts),
    }
    title = "# The alignment head and eflomal on a second pair of languages"
    print(*blocks.values(), fill(options.output, blocks, title), sep="\n\n")


def make_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="configuration; its data and subwords count")
    parser.add_argument("--minutes", type=float, default=3, metavar="N", help="the head's recipe (default: 3)")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results" / "second-pair.md", metavar="FILE.md")
    return parser


if __name__ == "__main__":
    sys.exit(run("compare_aligners_second_pair", lambda arguments: main(make_parser().parse_args(arguments))))
