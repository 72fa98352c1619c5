"""Contestant: JoeyNMT's own training loop, without validation. Argument: its configuration as JSON.

Runs in the peers' environment. Its TrainManager runs as it is; only where a step begins it waits for its turn.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from joeynmt import training
from pace import Pace

WARM_UP = 8
PACE = Pace(WARM_UP)


class PacedTrainManager(training.TrainManager):
    """JoeyNMT's, with turns."""

    def _train_step(self, batch):
        PACE.step(tokens=batch.ntokens)
        return super()._train_step(batch)


def main() -> None:
    """Train until the benchmark ends."""
    config = json.loads(sys.argv[1])
    torch.set_num_threads(config.pop("threads"))
    Path(config["model_dir"]).mkdir(parents=True, exist_ok=True)
    training.TrainManager = PacedTrainManager
    training.train(rank=0, world_size=1, cfg=config, skip_test=True)


if __name__ == "__main__":
    main()
