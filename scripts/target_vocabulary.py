"""Leave a trained network outputs for the pieces of target sentences alone, as a new run has from its first step.

  python -m scripts.target_vocabulary checkpoints/mine --output checkpoints/smaller

Pieces move to the places that `Subwords.for_targets` gives them, with their rows of every matrix. What the removed
outputs had of the probability goes to the others in proportion.
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
from nmt.corpus import load_corpus, pairs_of
from nmt.errors import UserError
from nmt.text.subwords import Subwords
from nmt.training.augment import plain


def main(arguments: list[str]) -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a directory, or the name of a shipped checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="a new directory")
    options = parser.parse_args(arguments)
    checkpoint = Checkpoint(find_checkpoint(options.checkpoint))
    corpus = load_corpus(checkpoint.config.data)
    targets = [target for _, target in map(plain, pairs_of(corpus.train))]
    cased = targets + [target.lower() for target in targets]  # augmentation takes capitals away
    leave_targets(checkpoint, cased, options.output)


def leave_targets(checkpoint: Checkpoint, texts: list[str], output: Path) -> None:
    """Write `checkpoint` with outputs for the pieces of the target sentences `texts` alone.

    Raises UserError for a checkpoint that is so already, and for an output that exists.
    """
    known = checkpoint.path(KNOWN_WORDS) if KNOWN_WORDS in checkpoint.files else None
    old = Subwords.load(checkpoint.path(SUBWORDS), known)
    if old.target_size < len(old):
        raise UserError(f"{checkpoint.directory} has outputs for target pieces alone already")
    if output.exists():
        raise UserError(f"{output} is there already; name a new directory")
    new = old.for_targets(texts)
    places = {piece: place for place, piece in enumerate(old.pieces(range(len(old))))}
    order = [places.get(piece, len(old)) for piece in new.pieces(range(len(new)))]  # one past the end: the mark

    def moved(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows, np.zeros_like(rows[:1])])[order]

    weights = load_arrays(checkpoint.path(WEIGHTS))
    for name in ("output_weight", "source_embedding.weight", "target_embedding.weight"):
        if name in weights:
            weights[name] = moved(weights[name])
    weights["output_bias"] = moved(weights["output_bias"])[: new.target_size]
    if not checkpoint.model_config.tied_embeddings:
        weights["output_weight"] = weights["output_weight"][: new.target_size]
    shutil.copytree(checkpoint.directory, output, ignore=shutil.ignore_patterns("training", "tensorboard"))
    new.save(output / SUBWORDS)
    dtype = np.dtype(checkpoint.config.training.weights)
    save_arrays(output / WEIGHTS, {name: array.astype(dtype) for name, array in weights.items()})
    if ALIGNER in checkpoint.files:
        head = Aligner.read(checkpoint.path(ALIGNER), old)
        parameters = {**head.parameters, "embedding": moved(head.parameters["embedding"])}
        Aligner(parameters, new, head.threshold, head.swapped).save(output / ALIGNER)
    parameters = sum(array.size for array in weights.values())
    write_checkpoint_metadata(output, {**checkpoint.metadata.record, "parameters": parameters})
    print(f"{output}: {len(new):,} pieces, {new.target_size:,} of them in target sentences", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run("target_vocabulary.py", main))
