"""Contestant: this project's own training loop, without validation.

Arguments: the model's sizes as JSON, and the type of the products' factors, as `training.precision` has it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from nmt.models import build_model
from nmt.training.context import Run
from nmt.training.distributed import ALONE
from nmt.training.loop import run_steps
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import Batch, EncodedPairs
from nmt.training.state import Progress
from scripts import captions
from scripts.report import THREADS
from scripts.speed.flops import training_flops
from scripts.speed.workers.pace import Pace

WARM_UP = 15


class PacedPairs:
    """The training pairs; a step begins when the loop asks for its batch."""

    def __init__(self, pairs: EncodedPairs, pace: Pace, flops) -> None:
        self.pairs, self.pace, self.flops = pairs, pace, flops

    def __getattr__(self, name: str):
        return getattr(self.pairs, name)

    def batch(self, rows, seed=None, kinds=None) -> Batch:
        sources, targets = self.source_lengths[rows], self.target_lengths[rows]
        self.pace.step(tokens=int(targets.sum()), flops=self.flops(sources, targets))
        return self.pairs.batch(rows, seed, kinds)


def main() -> None:
    config = captions.config(**json.loads(sys.argv[1]))
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    corpus = captions.corpus()
    subwords = captions.subwords(corpus)
    pairs, vocabulary = captions.encoded(config)
    model = build_model(config.model, vocabulary)
    settings = config.training.model_copy(update={"validate_every": 10**9, "precision": sys.argv[2]})
    config = config.model_copy(update={"training": settings})
    paced = PacedPairs(pairs, Pace(WARM_UP), lambda *lengths: training_flops(config.model, vocabulary, *lengths))
    with tempfile.TemporaryDirectory() as directory:
        run = Run(config, Path(directory), corpus, subwords, ALONE, torch.device("cpu"))
        optimizer = make_optimizer(model, settings)
        run_steps(run, model, optimizer, paced, Progress(), None)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
