"""`nmt-align --learn`: alignments of pairs that no model knows, learned from the pairs themselves."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from nmt.cli.common import check_writable
from nmt.errors import UserError
from nmt.files import atomic_path, is_empty, remove_scratch, temporary_directory
from nmt.languages import check_language
from nmt.untrusted import MOST_MINUTES

if TYPE_CHECKING:
    from nmt.alignment.head import Aligner
    from nmt.alignment.learned import LearnedAligner
    from nmt.alignment.word_corpus import WordCorpus, WordPairs
    from nmt.text.subwords import Subwords
    from nmt.training.alignment import HeadTraining

Texts = list[tuple[str, str]]
MOST_CELLS = 40_000_000
"""Most cells of word matrices to learn from: about 2 GB of memory."""
FEW_PAIRS = 10_000
PIECES = 8000
RECORD = "training/learning.json"
"""What a run with --save learns from: a resumed one must have the same."""
MINUTES = 2.0
"""How long to learn, unless `--minutes` says."""
UNDETERMINED = "und-und"
"""BCP 47's code for a language that nobody has named."""


def add_learn_arguments(arguments: argparse.ArgumentParser) -> None:
    """--learn and what belongs to it."""
    arguments.add_argument(
        "--learn",
        action="store_true",
        help="learn to align from the pairs themselves, of any two languages, instead of loading a checkpoint; with "
        "--checkpoint its alignment head is where learning starts",
    )
    arguments.add_argument(
        "--minutes", type=_minutes, metavar="M", help=f"about how long to learn, on two cores (default: {MINUTES:g})"
    )
    arguments.add_argument(
        "--corpus",
        metavar="FILE.yaml",
        help="also learn from the training pairs of this configuration; without other pairs, align these",
    )
    arguments.add_argument(
        "--save", metavar="DIR", help="train an alignment head and write it, as a checkpoint for nmt-align --checkpoint"
    )
    arguments.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted run in --save DIR; repeat the rest of its command",
    )
    arguments.add_argument(
        "--languages",
        metavar="XX-YY",
        help=f"language codes to store with --save (default: those of --checkpoint or --gold, else {UNDETERMINED})",
    )


def learn(texts: Iterable[tuple[str, str]], options: argparse.Namespace) -> LearnedAligner:
    """Learn from running text, a head too where `--save` asks for it.

    Ctrl-C ends the stage at work and keeps what it has learned; `--resume` goes on with it. Raises UserError for pairs
    without words, and for a run of other pairs or settings.
    """
    from nmt.training.directory import run_lock

    place: AbstractContextManager = (
        run_lock(Path(options.save)) if options.save else TemporaryDirectory(dir=temporary_directory())
    )
    with place as temporary:
        return _learn(texts, options, Path(options.save or temporary))


def _learn(texts: Iterable[tuple[str, str]], options: argparse.Namespace, directory: Path) -> LearnedAligner:
    from nmt.alignment.learned import LearnedAligner
    from nmt.alignment.word_corpus import WordCorpus, WordPairs
    from nmt.config import AlignerConfig
    from nmt.training.alignment import HeadTraining, digest, teach

    config = AlignerConfig.for_minutes(options.minutes or MINUTES)
    known = _known_head(options)
    sample, left_out = _sample(chain(texts, corpus_pairs(options.corpus) if options.corpus else ()))
    pairs = WordPairs.read(sample, config.longest)
    left_out += len(sample) - len(pairs)
    if len(pairs) < FEW_PAIRS and known is None:
        _say(
            f"{len(pairs):,} pairs are few: expect wrong links for rare words; add text in the same languages "
            "(--corpus), or start from a trained head (--checkpoint)"
        )
    training = HeadTraining(
        config, processes=min(2, os.cpu_count() or 1), on_progress=_report(), keeps_interrupted=True
    )
    begun = {
        "minutes": options.minutes or MINUTES,
        "pairs": digest(sample),
        "head": known and digest(*known.parameters.values()),
    }
    _begin(directory, json.dumps(begun))
    cells = None if known is None else _cells_of(known, pairs, sample)
    subwords = _subwords(directory, known, pairs)
    corpus = WordCorpus.from_pairs(pairs, subwords)
    targets = teach(corpus, training, directory / "training", cells)
    if cells is not None:
        targets = (targets + cells) / 2
    head = known
    if options.save or (left_out and head is None):
        head = _train_head(corpus, subwords, targets, training, directory, known)
    source, target = (options.languages or ("en-es" if options.gold else UNDETERMINED)).split("-")
    matrices = {sample[number]: pairs.matrix_of(row, targets) for row, number in enumerate(pairs.kept)}
    return LearnedAligner(matrices, head, (source, target))


def check_options(options: argparse.Namespace) -> None:
    """Raises UserError for what makes no sense together."""
    if not options.learn and (options.save or options.corpus or options.languages or options.minutes):
        raise UserError("--save, --corpus, --languages and --minutes require --learn")
    if options.resume and not options.save:
        raise UserError("--resume requires --learn and --save DIR")
    if options.learn and not any((options.pairs, options.source, options.gold, options.corpus)):
        raise UserError("--learn reads its pairs twice, so not from standard input: give files, or --corpus")
    for path in (options.pairs, options.source, options.target, options.gold) if options.learn else ():
        if path == "-" or (path and os.path.exists(path) and not os.path.isfile(path)):
            raise UserError(f"--learn reads its pairs twice: give plain files, not {path}")
    if options.languages:
        if not re.fullmatch("[a-z]{2,3}-[a-z]{2,3}", options.languages):
            raise UserError(f"--languages is {options.languages}: write two codes, as in en-es")
        for code in options.languages.split("-"):
            check_language("--languages", code)
    if options.resume and not Path(options.save).is_dir():
        raise UserError(f"there is no run in {options.save} to resume: leave --resume out")
    if options.save and Path(options.save).exists():
        if not options.resume and not is_empty(Path(options.save)):
            raise UserError(f"{options.save} already exists: continue its run with --resume, or name another directory")
    else:
        check_writable(options.save)


def corpus_pairs(path: str) -> Iterator[tuple[str, str]]:
    """The training pairs of a configuration."""
    from nmt.config import load_config
    from nmt.corpus import load_corpus, pairs_of

    yield from pairs_of(load_corpus(load_config(path).data).train)


def _sample(texts: Iterable[tuple[str, str]]) -> tuple[Texts, int]:
    """Sample distinct pairs evenly, up to about `MOST_CELLS` cells; also returns how many are left out."""
    stride, cells, total = 1, 0, 0
    chosen: dict[tuple[str, str], int] = {}
    for number, pair in enumerate(texts):
        total += 1
        if number % stride or pair in chosen:
            continue
        chosen[pair] = number
        cells += _size(pair)
        while cells > MOST_CELLS:
            stride *= 2
            chosen = {pair: place for pair, place in chosen.items() if place % stride == 0}
            cells = sum(map(_size, chosen))
    if stride > 1:
        _say(f"learning from {len(chosen):,} of {total:,} pairs, one in {stride}")
    return list(chosen), total - len(chosen) if stride > 1 else 0


def _size(pair: tuple[str, str]) -> int:
    """About how many cells a pair's matrix has, punctuation counted."""
    source, target = (len(side) // 5 + 1 for side in pair)
    return source * target


def _known_head(options: argparse.Namespace) -> Aligner | None:
    """The head of the checkpoint that learning starts from."""
    if not options.checkpoint:
        return None
    from nmt.translator import Translator

    translator = Translator.load(options.checkpoint)
    if translator.aligner is None:
        raise UserError(f"checkpoint {options.checkpoint} has no alignment head to start from")
    if translator.aligner.swapped:
        raise UserError(
            f"the alignment head of {options.checkpoint} was trained in the other direction: swap source and target"
        )
    options.languages = options.languages or f"{translator.source}-{translator.target}"
    return translator.aligner


def _cells_of(head: Aligner, pairs: WordPairs, texts: Texts) -> np.ndarray:
    """[all cells], float32: the probabilities that a head gives to the pairs."""
    cells = np.zeros(pairs.cell_starts[-1], np.float32)
    for first in range(0, len(pairs), 1024):
        numbers = pairs.kept[first : first + 1024]
        for row, aligned in enumerate(head.align([texts[number] for number in numbers]), first):
            pairs.matrix_of(row, cells)[:] = aligned.probabilities
    return cells


def _begin(directory: Path, begun: str) -> None:
    """Note what the run learns from, or compare it with the note of the run that is resumed. Raises UserError."""
    from nmt.checkpoint import ALIGNER, METADATA, SUBWORDS, write_text
    from nmt.training.directory import LOCK

    for name in (SUBWORDS, ALIGNER, METADATA, "training/*"):
        remove_scratch(directory / name)
    record = directory / RECORD
    if not record.exists():
        if {path.name for path in directory.iterdir()} - {LOCK, record.parent.name}:
            raise UserError(f"{directory} holds no run of --learn to resume: choose another directory for --save")
        write_text(record, begun)
    elif record.read_bytes() != begun.encode():
        raise UserError(
            f"the run in {directory} has other pairs, --minutes or --checkpoint: resume it with its own, or choose "
            "another directory for --save"
        )


def _subwords(directory: Path, known: Aligner | None, pairs: WordPairs) -> Subwords:
    """The known head's, or those that the run has trained; written at first."""
    from nmt.checkpoint import SUBWORDS
    from nmt.text.subwords import Subwords

    path = directory / SUBWORDS
    if not path.exists():
        words = [word for table in pairs.table for word in table]
        with atomic_path(path) as temporary:
            (known.subwords if known else Subwords.train(words, PIECES)).save(temporary)
    return known.subwords if known else Subwords.load(path)


def _train_head(
    corpus: WordCorpus,
    subwords: Subwords,
    targets: np.ndarray,
    training: HeadTraining,
    directory: Path,
    known: Aligner | None,
) -> Aligner:
    from nmt.alignment.head import Aligner
    from nmt.alignment.learned import THRESHOLD
    from nmt.training.alignment import train_head

    if known is not None:
        training = replace(training, config=training.config.model_copy(update=known.sizes))
    start = None if known is None else known.parameters
    parameters = train_head(corpus, targets, training, directory / "training", start)
    return Aligner(parameters, subwords, THRESHOLD)


def save_head(aligner: LearnedAligner, options: argparse.Namespace) -> None:
    """Make `--save`, which has the subwords already, a checkpoint of an alignment head alone."""
    from nmt.alignment.head import LONGEST
    from nmt.checkpoint import ALIGNER, write_checkpoint_metadata

    head, directory = aligner.head, Path(options.save)
    assert head is not None
    head.save(directory / ALIGNER)
    metadata = {"source": aligner.source, "target": aligner.target, "max_length": LONGEST, "alignment_layer": 0}
    write_checkpoint_metadata(
        directory, {**metadata, "decoding": {}, "alignment_head": {"minutes": options.minutes or MINUTES}}
    )
    _say(f"alignment head: {directory}")


def _report():
    started, last = time.monotonic(), [0.0]

    def report(stage: str, step: int, steps: int, _loss: float | None) -> None:
        now = time.monotonic()
        if now - last[0] > 5 or step == 0:
            last[0] = now
            _say(f"{now - started:.0f} s: {stage}, {step} of {steps}")

    return report


def _say(text: str) -> None:
    print(f"nmt-align: {text}", file=sys.stderr, flush=True)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text} is no number of minutes above 0 and below {MOST_MINUTES:,}")
    return minutes
