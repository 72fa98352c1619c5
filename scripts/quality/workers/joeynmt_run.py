"""JoeyNMT trained for so many minutes, and the test set translated by its best checkpoint.

Runs in the peers' environment, without this project. Argument: its configuration as a JSON file, with `minutes`.
Its TrainManager runs as it is; only when the time is over it validates once more and ends. Validations are written to
log.jsonl, the translations to test.txt, and finished.json last.
"""

import copy
import json
import sys
import time
from pathlib import Path

import torch
from joeynmt import training
from joeynmt.config import parse_global_args
from joeynmt.data import load_data
from joeynmt.helpers import load_checkpoint
from joeynmt.model import build_model
from joeynmt.prediction import predict


class TimedTrainManager(training.TrainManager):
    """JoeyNMT's, with a clock from its first step on."""

    minutes = 0.0
    started = None
    dev = None

    finished = False

    def train_and_validate(self, train_data, valid_data):
        """Train, and note that all of the time was used once everything is saved."""
        self.dev = valid_data
        super().train_and_validate(train_data, valid_data)
        if self.finished:
            write(self.model_dir / "time.json", {"steps": self.stats.steps, "minutes": self.ended / 60})

    def _train_step(self, batch):
        self.started = self.started or time.monotonic()
        if self.seconds() >= 60 * self.minutes:
            # KeyboardInterrupt is how its loop is stopped; it saves and returns.
            self.ended = self.seconds()
            self._validate(self.dev)
            self.finished = True
            raise KeyboardInterrupt
        self.model.train()
        return super()._train_step(batch)

    def seconds(self):
        """Since the first step."""
        return time.monotonic() - self.started

    def _add_report(self, valid_scores, new_best=False):
        super()._add_report(valid_scores, new_best)
        record = {"step": self.stats.steps, "seconds": round(self.seconds(), 2)}
        with (self.model_dir / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def write(path, value):
    """A JSON file, whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(value, indent=1), encoding="utf-8")
    beside.replace(path)


def main():
    """Train and translate."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(settings.pop("threads"))
    TimedTrainManager.minutes = settings.pop("minutes")
    directory = Path(settings["model_dir"])
    training.TrainManager = TimedTrainManager
    if not (directory / "time.json").exists():
        training.train(rank=0, world_size=1, cfg=copy.deepcopy(settings), skip_test=True)
    if not (directory / "time.json").exists():
        sys.exit("stopped before its time was over")

    args = parse_global_args(settings, rank=0, mode="train")
    source, target, _, _, data = load_data(cfg=args.data, datasets=["test"])
    model = build_model(settings["model"], source, target)
    best = (directory / "best.ckpt").resolve()
    model.load_state_dict(load_checkpoint(best, map_location=args.device)["model_state"])
    found = predict(
        model=model, data=data, device=args.device, n_gpu=0, args=args.test, autocast=args.autocast, compute_loss=False
    )
    (directory / "test.txt").write_text("".join(f"{text}\n" for text in found[2]), encoding="utf-8")
    size = sum(parameter.numel() for parameter in model.parameters())
    trained = json.loads((directory / "time.json").read_text(encoding="utf-8"))
    write(directory / "finished.json", {**trained, "best_step": int(best.stem), "parameters": size})


if __name__ == "__main__":
    main()
