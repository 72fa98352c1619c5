"""Contestant: this project's own training loop, without validation.

Arguments: `captions` or the name of a configuration, the captions' model's sizes as JSON, the type of the products'
factors, as `training.precision` has it, and the cores.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from nmt.config import RunConfig, load_config
from nmt.corpus import Corpus, load_corpus
from nmt.models import build_model
from nmt.text.subwords import Subwords
from nmt.training import loop
from nmt.training.context import Run
from nmt.training.distributed import ALONE
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import BatchPlan, EncodedPairs, Feed
from nmt.training.preparation import encode_splits, new_subwords
from nmt.training.state import Progress
from scripts import captions
from scripts.report import ROOT
from scripts.speed.flops import training_flops
from scripts.speed.workers.pace import Pace

WARM_UP = 15
PLAIN = ["alignment.guide_weight=0", "alignment.head=false"]
"""No alignment head is learned first."""


def paced_feed(model, vocabulary: int) -> type[Feed]:
    """A feed whose steps wait for their turn."""
    pace = Pace(WARM_UP)

    class PacedFeed(Feed):
        def next(self) -> BatchPlan:
            plan = super().next()
            lengths = self.pairs.source_lengths[plan.rows], self.pairs.target_lengths[plan.rows]
            pace.step(tokens=int(lengths[1].sum()), flops=training_flops(model, vocabulary, *lengths))
            return plan

    return PacedFeed


def made_of(name: str, sizes: str) -> tuple[RunConfig, Corpus, Subwords]:
    """The configuration of that name, its corpus, and its subword model."""
    if name == "captions":
        corpus = captions.corpus()
        return captions.config(**json.loads(sizes)), corpus, captions.subwords(corpus)
    config = load_config(ROOT / "configs" / f"{name}.yaml", PLAIN)
    corpus = load_corpus(config.data)
    return config, corpus, new_subwords(config, corpus)


def main() -> None:
    name, sizes, precision, cores = sys.argv[1:]
    torch.set_num_threads(int(cores))
    torch.manual_seed(1)
    config, corpus, subwords = made_of(name, sizes)
    pairs: EncodedPairs = encode_splits(config, corpus, subwords, print)[0]
    model = build_model(config.model, len(subwords))
    settings = config.training.model_copy(update={"validate_every": 10**9, "precision": precision})
    config = config.model_copy(update={"training": settings})
    loop.Feed = paced_feed(config.model, len(subwords))  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as directory:
        run = Run(config, Path(directory), corpus, subwords, ALONE, torch.device("cpu"))
        optimizer = make_optimizer(model, settings)
        loop.run_steps(run, model, optimizer, pairs, Progress(), None)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
