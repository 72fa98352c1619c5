"""Train an alignment head alone for an existing vocabulary, and write it as a file of a checkpoint.

  python -m scripts.train_alignment_head configs/tatoeba-en-es.yaml --subwords joint.model --output aligner.safetensors
  python -m scripts.train_alignment_head configs/quickstart.yaml --subwords ... --output ... --minutes 1 --processes 2

Only the configuration's `data` part counts. Figures and the recipe: docs/results/alignment-head.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from nmt.cli.common import run


def main(arguments: list[str]) -> None:
    """Read the corpus, train, write."""
    options = make_parser().parse_args(arguments)
    from nmt.alignment.head import Aligner
    from nmt.checkpoint import ALIGNER, METADATA, Checkpoint, write_checkpoint_metadata
    from nmt.config import AlignerConfig, load_config
    from nmt.corpus import load_corpus, pairs_of
    from nmt.text.subwords import Subwords
    from nmt.training.alignment import HeadTraining, stage_line, train_aligner

    output = Path(options.output)
    checkpoint = Checkpoint(output.parent) if output.name == ALIGNER and (output.parent / METADATA).exists() else None
    for name in checkpoint.files if checkpoint else ():
        if name != ALIGNER:
            checkpoint.path(name)  # refuses a damaged one, before the minutes of training
    subwords = Subwords.load(options.subwords)
    config = AlignerConfig() if options.minutes is None else AlignerConfig.for_minutes(options.minutes)
    pairs = list(pairs_of(load_corpus(load_config(options.config).data).train))
    started = time.monotonic()

    def report(*progress) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {stage_line(*progress)}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as scratch:
        training = HeadTraining(config, options.seed, options.processes, report)
        parameters = train_aligner(pairs, subwords, training, scratch)
    Aligner(parameters, subwords).save(output)
    seconds = time.monotonic() - started
    if checkpoint:
        how = {"minutes": round(seconds / 60, 1), "processes": options.processes, "seed": options.seed}
        checkpoint.metadata.record["alignment_head"] = {**config.model_dump(), **how}
        write_checkpoint_metadata(output.parent, checkpoint.metadata.record)
    print(f"{config}\n{len(pairs)} pairs, seed {options.seed}, {seconds:.0f} s", file=sys.stderr)


def make_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="configuration that names the corpus")
    parser.add_argument("--subwords", required=True, help="the checkpoint's SentencePiece model")
    parser.add_argument("--output", required=True, help="file to write; CHECKPOINT/aligner.safetensors belongs to it")
    parser.add_argument("--minutes", type=float, help="a smaller or larger recipe (default: the shipped one)")
    parser.add_argument("--processes", type=int, default=1, choices=(1, 2), help="2 trains both teachers at once")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(run("train_alignment_head", main))
