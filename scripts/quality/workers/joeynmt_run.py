"""JoeyNMT trained for so many minutes, and the test set translated by the checkpoint that was best after so many.

Runs in the peers' environment, without this project. Argument: its configuration as a JSON file, with `minutes`, the
times at which it is looked at. Its TrainManager runs as it is; only at these times it validates once more, with the
clock stopped, and it ends at the last. Validations are written to log.jsonl, the translations to test-MINUTES.txt, and
finished.json last.
"""

import copy
import json
import shutil
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

    minutes = []
    started = stopped = None
    dev = None

    def train_and_validate(self, train_data, valid_data):
        """Train, and note that all of the time was used once everything is saved."""
        self.dev, self.looks = valid_data, []
        super().train_and_validate(train_data, valid_data)
        if len(self.looks) == len(self.minutes):
            write(self.model_dir / "time.json", self.looks)

    def _train_step(self, batch):
        self.started = self.started or time.monotonic()
        if self.seconds() >= 60 * self.minutes[len(self.looks)]:
            self.look()
            if len(self.looks) == len(self.minutes):
                raise KeyboardInterrupt  # is how its loop is stopped; it saves and returns
        return super()._train_step(batch)

    def look(self):
        """Validate with the clock stopped, and keep the best checkpoint so far."""
        self.stopped = self.seconds()
        self._validate(self.dev)
        best = (self.model_dir / "best.ckpt").resolve()
        asked = self.minutes[len(self.looks)]
        shutil.copyfile(best, self.model_dir / f"best-{asked:g}.pt")
        look = {"asked": asked, "minutes": self.stopped / 60, "steps": self.stats.steps, "best_step": int(best.stem)}
        self.looks.append(look)
        self.started, self.stopped = time.monotonic() - self.stopped, None

    def seconds(self):
        """Since the first step, without those of looks."""
        return time.monotonic() - self.started if self.stopped is None else self.stopped

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
    looks = json.loads((directory / "time.json").read_text(encoding="utf-8"))
    for look in looks:
        model = build_model(settings["model"], source, target)
        best = directory / f"best-{look['asked']:g}.pt"
        model.load_state_dict(load_checkpoint(best, map_location=args.device)["model_state"])
        found = predict(
            model=model,
            data=data,
            device=args.device,
            n_gpu=0,
            args=args.test,
            autocast=args.autocast,
            compute_loss=False,
        )
        texts = "".join(f"{text}\n" for text in found[2])
        (directory / f"test-{look['asked']:g}.txt").write_text(texts, encoding="utf-8")
        look["parameters"] = sum(parameter.numel() for parameter in model.parameters())
    write(directory / "finished.json", looks)


if __name__ == "__main__":
    main()
