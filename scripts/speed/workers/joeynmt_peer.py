"""JoeyNMT, in its own environment and without this project.

    joeynmt_peer.py decode CONFIG WEIGHTS   translates the test file with our weights (an .npz file) whenever asked
    joeynmt_peer.py train CONFIG            its own training loop without validation, in turns
    joeynmt_peer.py timed FILE              its own training for so many minutes, then the test set translated

CONFIG is its configuration as JSON, FILE a file of it with `minutes`, the times at which the run is looked at: it
validates once more with the clock stopped, and ends at the last. Validations go to log.jsonl, translations by the
best checkpoint until then to test-MINUTES.txt, and finished.json is written last.
"""

import copy
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from joeynmt import training
from joeynmt.config import parse_global_args
from joeynmt.data import load_data
from joeynmt.helpers import load_checkpoint
from joeynmt.model import build_model
from joeynmt.prediction import predict
from pace import Pace, serve

WARM_UP = 8


class PacedTrainManager(training.TrainManager):
    """JoeyNMT's, which waits for its turn where a step begins."""

    pace = Pace(WARM_UP)

    def _train_step(self, batch):
        self.pace.step(tokens=batch.ntokens)
        return super()._train_step(batch)


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
    """Write a JSON file, whole or not at all."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(value, indent=1), encoding="utf-8")
    beside.replace(path)


class Translator:
    """A model of a configuration, and its test file."""

    def __init__(self, config):
        self.args = parse_global_args(config, rank=0, mode="train")
        source, target, _, _, self.data = load_data(cfg=self.args.data, datasets=["test"])
        self.model = build_model(config["model"], source, target)

    def texts(self):
        """The translations of the test file."""
        self.model.eval()
        shared = {"device": self.args.device, "n_gpu": 0, "args": self.args.test, "autocast": self.args.autocast}
        return predict(model=self.model, data=self.data, compute_loss=False, normalization="none", **shared)[2]


def load_weights(model, weights):
    """Copy our arrays into JoeyNMT's modules.

    Layer normalisation gets our epsilon (1e-5; its own is 1e-6), the output layer our bias (it has none).
    """

    def copy(module, name, rows=slice(None)):
        module.weight.copy_(torch.from_numpy(weights[f"{name}.weight"][rows]))
        module.bias.copy_(torch.from_numpy(weights[f"{name}.bias"][rows]))

    def attention(module, name):
        width = module.output_layer.weight.shape[0]
        copy(module.q_layer, f"{name}.query")
        copy(module.k_layer, f"{name}.key_value", slice(0, width))
        copy(module.v_layer, f"{name}.key_value", slice(width, None))
        copy(module.output_layer, f"{name}.output")

    def feed_forward(module, name):
        copy(module.layer_norm, f"{name}.around_feed_forward.norm")
        copy(module.pwff_layer[0], f"{name}.feed_forward.inner")
        copy(module.pwff_layer[3], f"{name}.feed_forward.outer")

    # JoeyNMT's vocabulary begins with <unk> <pad>, ours with <pad> <unk>.
    order = np.arange(len(weights["output_weight"]))
    order[:2] = 1, 0
    bias = np.pad(weights["output_bias"], (0, len(order) - len(weights["output_bias"])), constant_values=-1e4)
    with torch.no_grad():
        model.src_embed.lut.weight.copy_(torch.from_numpy(weights["output_weight"][order]))
        model.decoder.output_layer.bias = torch.nn.Parameter(torch.from_numpy(bias[order]))
        for side, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
            copy(stack.layer_norm, f"{side}_norm")
            for number, layer in enumerate(stack.layers):
                name = f"{side}_layers.{number}"
                if side == "encoder":
                    copy(layer.layer_norm, f"{name}.around_self.norm")
                    attention(layer.src_src_att, f"{name}.self_attention")
                else:
                    copy(layer.x_layer_norm, f"{name}.around_self.norm")
                    copy(layer.dec_layer_norm, f"{name}.around_cross.norm")
                    attention(layer.trg_trg_att, f"{name}.self_attention")
                    attention(layer.src_trg_att, f"{name}.cross_attention")
                feed_forward(layer.feed_forward, name)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-5


def decode(config, weights):
    """Translate whenever asked."""
    translator = Translator(config)
    load_weights(translator.model, dict(np.load(weights)))

    def work(_request):
        started = time.perf_counter()
        texts = translator.texts()
        return {"seconds": time.perf_counter() - started, "sentences": len(texts), "texts": texts}

    serve(work)


def train(config):
    """Train until the benchmark ends."""
    Path(config["model_dir"]).mkdir(parents=True, exist_ok=True)
    training.TrainManager = PacedTrainManager
    training.train(rank=0, world_size=1, cfg=config, skip_test=True)


def timed(config):
    """Train for so many minutes and translate."""
    TimedTrainManager.minutes = config.pop("minutes")
    directory = Path(config["model_dir"])
    training.TrainManager = TimedTrainManager
    if not (directory / "time.json").exists():
        training.train(rank=0, world_size=1, cfg=copy.deepcopy(config), skip_test=True)
    if not (directory / "time.json").exists():
        sys.exit("stopped before its time was over")
    translator, looks = Translator(config), json.loads((directory / "time.json").read_text(encoding="utf-8"))
    for look in looks:
        best = load_checkpoint(directory / f"best-{look['asked']:g}.pt", map_location=translator.args.device)
        translator.model.load_state_dict(best["model_state"])
        texts = "".join(f"{text}\n" for text in translator.texts())
        (directory / f"test-{look['asked']:g}.txt").write_text(texts, encoding="utf-8")
        look["parameters"] = sum(parameter.numel() for parameter in translator.model.parameters())
    write(directory / "finished.json", looks)


if __name__ == "__main__":
    command, given, *rest = sys.argv[1:]
    settings = json.loads(Path(given).read_text(encoding="utf-8") if command == "timed" else given)
    torch.set_num_threads(settings.pop("threads"))
    {"decode": decode, "train": train, "timed": timed}[command](settings, *rest)
