"""A checkpoint with another vocabulary, to go on training from (`training.initial`).

  python -m scripts.new_subwords tatoeba-en-es --output checkpoints/tatoeba-en-es-second subwords.vocabulary_size=8000

The vocabulary is trained as the checkpoint's configuration says with these changes. A new piece's vector is the mean of
those of the pieces that the old vocabulary makes of its text (as Sachidananda et al. 2021 begin new pieces); in the
alignment head, where a word is the sum of its pieces, it is their sum.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from nmt.alignment.head import Aligner
from nmt.checkpoint import (
    ALIGNER,
    CONFIG,
    KNOWN_WORDS,
    SUBWORDS,
    WEIGHTS,
    Checkpoint,
    find_checkpoint,
    load_arrays,
    save_arrays,
    write_checkpoint_metadata,
)
from nmt.cli.common import run
from nmt.config import load_config
from nmt.corpus import load_corpus
from nmt.errors import UserError
from nmt.text.subwords import SPACE, UNKNOWN, Subwords
from nmt.training.preparation import train_subwords

LEFT_OUT = (KNOWN_WORDS, "training", "tensorboard", "README.md", "log.jsonl")


def main(arguments: list[str]) -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="directory, or name of a shipped checkpoint")
    parser.add_argument("changes", nargs="*", metavar="subwords.KEY=VALUE")
    parser.add_argument("--output", type=Path, required=True, help="a new directory")
    options = parser.parse_intermixed_args(arguments)
    if options.output.exists():
        raise UserError(f"{options.output} is there already; name a new directory")
    checkpoint = Checkpoint(find_checkpoint(options.checkpoint))
    config = load_config(checkpoint.path(CONFIG), options.changes)
    old, new = Subwords.load(checkpoint.path(SUBWORDS)), train_subwords(config, load_corpus(config.data))
    new = new.with_slots() if old.has_slots else new
    parts = mixture(old, new)
    made = parts / parts.sum(axis=1, keepdims=True)
    arrays = {
        name: made @ array.astype(np.float32) if len(array) == len(old) else array
        for name, array in load_arrays(checkpoint.path(WEIGHTS)).items()
    }
    shutil.copytree(checkpoint.directory, options.output, ignore=shutil.ignore_patterns(*LEFT_OUT))
    new.save(options.output / SUBWORDS)
    save_arrays(options.output / WEIGHTS, arrays)
    if ALIGNER in checkpoint.files:
        head = Aligner.read(checkpoint.path(ALIGNER), old)
        vectors = {**head.parameters, "embedding": parts @ head.parameters["embedding"]}
        Aligner(vectors, new, head.threshold, head.swapped).save(options.output / ALIGNER)
    write_checkpoint_metadata(options.output, {**checkpoint.metadata.record, "vocabulary_size": len(new)})


def mixture(old: Subwords, new: Subwords) -> np.ndarray:
    """[new, old], float32: how often each old piece is a part of each new one."""
    ids = {piece: number for number, piece in enumerate(old.pieces(range(len(old))))}
    counts = np.zeros((len(new), len(old)), np.float32)
    for number, piece in enumerate(new.pieces(range(len(new)))):
        parts = [ids[piece]] if piece in ids else spelled(old, piece) or [UNKNOWN]
        np.add.at(counts[number], parts, 1)
    return counts


def spelled(old: Subwords, piece: str) -> list[int]:
    """The old pieces of a new one's text."""
    (parts,) = old.encode_ids([piece.replace(SPACE, " ")])
    inside = not piece.startswith(SPACE) and parts and old.pieces(parts[:1]) == [SPACE]
    return parts[1:] if inside else parts


if __name__ == "__main__":
    sys.exit(run("new_subwords.py", main))
