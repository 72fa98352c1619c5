#!/usr/bin/env python
"""How far the alignment head and eflomal agree on a second pair of languages, where nobody has drawn gold links.

    python scripts/compare_aligners_second_pair.py [CONFIG] [--minutes N] [--seed N] [--output FILE.md]

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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # from a clone that is not installed

from compare_aligners import diagonal  # noqa: E402
from statistical_aligners import EFLOMAL, run_eflomal, write_pairs  # noqa: E402

from nmt.alignment import Link  # noqa: E402
from nmt.alignment.error_rate import GoldPair, score  # noqa: E402
from nmt.alignment.symmetrization import grow_diag_final_and, intersection, union  # noqa: E402
from nmt.cli.common import run  # noqa: E402
from nmt.config import RunConfig, load_config, parse_config  # noqa: E402
from nmt.errors import UserError  # noqa: E402
from nmt.files import atomic_path  # noqa: E402

MULTI30K = ROOT.parent / "shared" / "multi30k"

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


def table(rows: Mapping[str, Alignment], forward: Alignment, reverse: Alignment) -> str:
    """Markdown, a line for each of the named alignments, and how far the two directions agree with each other."""
    lines = [
        "| links | number | F1 with eflomal's intersected "
        "| share of eflomal's intersected that it has | share of its own that eflomal has |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, links in rows.items():
        of = agreement(links, forward, reverse)
        lines.append(f"| {name} | {of.links:,} | {of.f1:.3f} | {of.found:.3f} | {of.supported:.3f} |")
    # With one alignment as both directions, intersection and union are that alignment.
    between = agreement(forward, reverse, reverse).f1
    return "\n".join([*lines, "", f"eflomal's forward and reverse links agree with each other: F1 {between:.3f}."])


def default_config() -> RunConfig:
    """Multi30k English-German from local files, with nmt-train's own settings.

    Raises:
        UserError: where the files are not.
    """
    data: dict[str, object] = {"corpus": "files", "source": "en", "target": "de"}
    for split, name in (("train", "train"), ("dev", "val")):
        paths = [MULTI30K / f"{name}.{language}.gz" for language in ("en", "de")]
        for path in paths:
            if not path.is_file():
                raise UserError(f"there is no {path}: name a corpus, such as configs/multi30k-en-de.yaml")
        data[split] = [str(path) for path in paths]
    # Of a run, only the corpus and the subword model are wanted here.
    return parse_config({"checkpoint": "unused", "data": data, "training": {"max_steps": 1}}, "Multi30k")


def main(options: argparse.Namespace) -> None:
    """Train both aligners, compare them, print and write the table."""
    from nmt.alignment.aligner import Aligner
    from nmt.corpus import load_corpus
    from nmt.models.aligner import AlignerConfig
    from nmt.training.aligner import train_aligner
    from nmt.training.run import make_subwords

    config = load_config(options.config) if options.config else default_config()
    corpus = load_corpus(config.data)
    training, dev = (list(zip(split["source"], split["target"], strict=True)) for split in (corpus.train, corpus.dev))
    recipe = AlignerConfig.for_minutes(options.minutes)

    def report(stage: str, step: int, steps: int, loss: float) -> None:
        print(f"{stage} {step}/{steps}, loss {loss:.3f}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(f"training {EFLOMAL[0]} ...", file=sys.stderr, flush=True)
        eflomal = run_eflomal(write_pairs(directory / "pairs", [*dev, *training]))
        subwords = make_subwords(directory, config, corpus)
        wall, processor = time.monotonic(), time.process_time()
        parameters = train_aligner(
            training, subwords, recipe, seed=options.seed, directory=directory, processes=1, on_progress=report
        )
        wall, processor = time.monotonic() - wall, time.process_time() - processor
    forward, reverse = eflomal.forward[: len(dev)], eflomal.reverse[: len(dev)]
    both = list(zip(forward, reverse, strict=True))
    rows = {
        "**alignment head**": [pair.links for pair in Aligner(parameters, subwords).align(dev)],
        "eflomal, forward": forward,
        "eflomal, reverse": reverse,
        "eflomal, grow-diag-final-and": [grow_diag_final_and(*pair) for pair in both],
        "diagonal": diagonal(dev).links,
    }
    given = f" {options.config}" if options.config else ""
    text = f"""# The alignment head and eflomal on a second pair of languages

`python scripts/compare_aligners_second_pair.py{given} --minutes {options.minutes:g} --seed {options.seed}`

It reads Multi30k from `shared/multi30k` beside this directory; where that is not, name a corpus:
`configs/multi30k-en-de.yaml` takes it from the Hub.

There are no gold links here: this checks sanity and does not measure quality. Two aligners that share nothing but the
words are compared on the {len(dev):,} dev pairs of {corpus.report["corpus"]}.

{table(rows, forward, reverse)}

- The last two columns are shares: of eflomal's intersected links, those that the row has; of the row's own links,
  those that at least one direction of eflomal has. In eflomal's own rows they are 1 by construction, and the F1 shows
  what leaving the intersection costs. The diagonal is the floor.
- The head ({len(subwords):,} pieces) is trained on the {len(training):,} training pairs and never sees dev;
  {EFLOMAL[0].replace("==", " ")} is trained on both. Both read lower-cased words and punctuation marks.
- Head: `--minutes {options.minutes:g}`, that is {recipe.teacher_steps} steps for each of two teachers and \
{recipe.student_steps} for the head, width {recipe.width}; seed {options.seed}.
  {processor / 60:.1f} minutes of processor time on one core of {os.cpu_count()}, \
{wall / 60:.1f} minutes of wall time beside other work.
- eflomal, both directions: {eflomal.seconds / 60:.1f} minutes of processor time on one core.
  It samples with a seed of its own, so its rows differ a little from run to run; the head's links do not.
- Corpus: SHA-256 `{corpus.sha256}`.
"""
    print(text)
    with atomic_path(options.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


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
