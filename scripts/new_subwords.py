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
import sentencepiece

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
    write_text,
)
from nmt.cli.common import run
from nmt.config import dump_config, load_config
from nmt.corpus import load_corpus
from nmt.errors import UserError
from nmt.text.subwords import SPACE, TRUECASED, UNKNOWN, Subwords
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
    parts = made_of(old, new)
    arrays = {
        name: np.stack([array[own].mean(axis=0, dtype=np.float32) for own in parts])
        if len(array) == len(old)
        else array
        for name, array in load_arrays(checkpoint.path(WEIGHTS)).items()
    }
    shutil.copytree(checkpoint.directory, options.output, ignore=shutil.ignore_patterns(*LEFT_OUT))
    new.save(options.output / SUBWORDS)
    write_text(options.output / CONFIG, dump_config(config))
    save_arrays(options.output / WEIGHTS, arrays)
    if ALIGNER in checkpoint.files:
        head = Aligner.read(checkpoint.path(ALIGNER), old)
        embedding = np.stack([head.parameters["embedding"][own].sum(axis=0) for own in parts])
        parameters = {**head.parameters, "embedding": embedding}
        Aligner(parameters, new, head.threshold, head.swapped).save(options.output / ALIGNER)
    kept = {key: value for key, value in checkpoint.metadata.record.items() if key not in ("confidence", "dev_loss")}
    write_checkpoint_metadata(options.output, {**kept, "initial": checkpoint.files[WEIGHTS]})


def made_of(old: Subwords, new: Subwords) -> list[list[int]]:
    """For each new piece the old pieces of its text."""
    ids = {piece: number for number, piece in enumerate(old.pieces(range(len(old))))}
    processor = sentencepiece.SentencePieceProcessor(model_proto=old.model)
    parts = []
    for piece in new.pieces(range(len(new))):
        spelled = processor.encode(piece.replace(SPACE, " "))
        inside = not piece.startswith(SPACE) and spelled[:1] == [ids[SPACE]]
        parts.append([ids[piece]] if piece in ids else spelled[inside:] if piece != TRUECASED else [UNKNOWN])
    return [own or [UNKNOWN] for own in parts]


if __name__ == "__main__":
    sys.exit(run("new_subwords.py", main))
