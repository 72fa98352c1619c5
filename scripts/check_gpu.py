"""Check the package on one CUDA device, in at most eight minutes: training, checkpoints, engines, torchrun, speed.

    python scripts/check_gpu.py
    python scripts/check_gpu.py --device cpu --quick    # what the device is compared with, to try the script

Needs a checkout and pip alone: the package's dependencies are installed if they are missing. No corpus is downloaded:
the checks train on a toy language and time steps on random pieces. Writes docs/speed/gpu.json, prints it, and ends with
status 1 if a check fails. Without a device it says so in one line.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

    from nmt import Translator
    from nmt.config import RunConfig
    from nmt.models import Model
    from nmt.training.pairs import Batch

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LINES = ["Where is the station?", "She brought me a cup of tea.", "My brother works in a hospital."]
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40": 181e12, "L4": 121e12, "T4": 65e12}
"""Dense bfloat16 products a second of a device by a part of its name, from NVIDIA's data sheets (T4: float16)."""


class Bench(NamedTuple):
    """Where and how much is checked."""

    device: torch.device
    quick: bool
    place: Path
    """An empty directory."""


def main(arguments: list[str]) -> int:
    """Run every check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda (default) or cpu")
    parser.add_argument("--quick", action="store_true", help="a small network and few steps")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "speed" / "gpu.json", metavar="FILE")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    install_dependencies()
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing was checked")
        return 0
    device = torch.device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    record = {"device": name, "torch": torch.__version__, "quick": options.quick, "checks": {}}
    with tempfile.TemporaryDirectory(prefix="nmt-gpu-") as place:
        for number, check in enumerate((losses, moved_checkpoint, engines, torchrun, speed)):
            started = time.monotonic()
            try:
                own = Path(place, str(number))
                own.mkdir()
                found = check(Bench(device, options.quick, own))
            except Exception as error:  # the other checks say something all the same
                found = {"passed": False, "error": f"{type(error).__name__}: {error}"}
            record["checks"][check.__name__] = found | {"seconds": round(time.monotonic() - started, 1)}
            print(check.__name__, json.dumps(record["checks"][check.__name__]), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return int(not all(found["passed"] for found in record["checks"].values()))


def install_dependencies() -> None:
    """Install the package with pip if something that it imports is missing; an installed PyTorch stays."""
    needed = "torch numpy yaml pydantic sentencepiece datasets ctranslate2 sacrebleu sentencex"
    if any(importlib.util.find_spec(name) is None for name in needed.split()):
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--editable", str(ROOT)], check=True)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def losses(bench: Bench) -> dict:
    """The same training steps on the CPU in float32 and on the device in float32 and bfloat16.

    A step's loss in float32 may differ by 0.1%, and the mean difference in bfloat16 by 1%.
    """
    steps = 10 if bench.quick else 60
    config = settings(bench.quick)
    reference = list(step_losses(config, "cpu", "float32", steps))
    found = {}
    for precision in ("float32", "bfloat16"):
        own = list(step_losses(config, bench.device, precision, steps))
        found[precision] = [abs(loss / right - 1) for loss, right in zip(own, reference, strict=True)]
    first, mean = max(found["float32"][:10]), sum(found["bfloat16"]) / steps
    return {
        "steps": steps,
        "first and last loss": [round(reference[0], 4), round(reference[-1], 4)],
        "largest difference of the first ten, float32": round(first, 6),
        "mean difference, bfloat16": round(mean, 6),
        "passed": first < 1e-3 and mean < 1e-2 and reference[-1] < reference[0],
    }


def moved_checkpoint(bench: Bench) -> dict:
    """A run that begins on the device, goes on on the CPU and ends on the device, and translates on each."""
    from nmt import Translator

    path = toy_run(bench.place)
    dev, right = [], []
    for part, kind in enumerate((bench.device.type, "cpu", bench.device.type), start=1):
        changes = [f"training.max_steps={part * (50 if bench.quick else 150)}", *(["--resume"] if part > 1 else [])]
        dev.append(train(path, changes, kind))
        translator = moved(Translator.load(bench.place / "run", "torch"), kind)
        right.append(sum(translator.translate(source).text == target for source, target in toy_pairs(50)))
    passed = dev[2] < dev[0] and (bench.quick or right[2] >= 45)
    return {"dev loss after each part": dev, "right of 50 after each part": right, "passed": passed}


def engines(bench: Bench) -> dict:
    """A shipped checkpoint: PyTorch on the device against PyTorch on the CPU, and both against CTranslate2."""
    import numpy as np

    from nmt import Translator

    translator = Translator.load("tatoeba-en-es", "torch")
    ids = [translator.subwords.encode(line).ids for line in LINES]
    found, texts = [], []
    for device in ("cpu", bench.device):
        engine = moved(translator, device).torch_engine
        found.append([maps.cross for maps in engine.attention(ids, ids)])
        texts.append([translation.text for translation in translator.translate(LINES)])
    texts.append([translation.text for translation in Translator.load("tatoeba-en-es").translate(LINES)])
    difference = max(float(np.abs(one - other).max()) for one, other in zip(*found, strict=True))
    return {
        "largest difference of attention": difference,
        "translations": texts[1],
        "passed": difference < 1e-3 and texts[0] == texts[1] == texts[2],
    }


def moved(translator: Translator, device: str | torch.device) -> Translator:
    """The translator, with its network on `device`."""
    import torch

    engine = translator.torch_engine
    engine.model.to(device)
    engine.device = torch.device(device)
    return translator


def torchrun(bench: Bench) -> dict:
    """A run of one process under torchrun ends with the dev loss of the same run without it."""
    found, ranks = [], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    for name, launcher in (("alone", []), ("torchrun", ranks)):
        (bench.place / name).mkdir()
        found.append(train(toy_run(bench.place / name), ["training.max_steps=50"], bench.device.type, launcher))
    return {"dev loss alone and under torchrun": found, "passed": abs(found[0] - found[1]) < 0.01}


def speed(bench: Bench) -> dict:
    """Target tokens a second of training against a plain loop of torch.nn.Transformer, and model FLOPs used.

    Both train the paper's base network on full batches of 25,000 pieces in bfloat16 (section 5.1).
    """
    import numpy as np
    import torch

    from nmt.models import build_model
    from scripts.speed.flops import training_flops

    config = settings(bench.quick)
    vocabulary, length = (500, 20) if bench.quick else (32_000, 32)
    batch = random_batch(vocabulary, length, 8 if bench.quick else 780).to(bench.device)
    size = batch.labels.numel()
    seconds = {
        "nmt": timed(bench, our_step(config, build_model(config.model, vocabulary), bench.device), batch),
        "plain": timed(bench, plain_step(config, vocabulary, bench.device), batch),
    }
    lengths = np.full(len(batch.labels), length)
    flops = training_flops(config.model, vocabulary, lengths, lengths) / seconds["nmt"]
    name = torch.cuda.get_device_name() if bench.device.type == "cuda" else ""
    peak = next((value for part, value in PEAKS.items() if part in name), None)
    return {
        "target tokens a second": {name: round(size / value) for name, value in seconds.items()},
        "nmt to plain": round(seconds["plain"] / seconds["nmt"], 2),
        "TFLOP/s": round(flops / 1e12, 2),
        "share of the peak": round(flops / peak, 3) if peak else None,
        "passed": True,  # a measurement
    }


def settings(quick: bool) -> RunConfig:
    """The paper's base network (table 3), or a small one."""
    from nmt.config import parse_config

    sizes = (2, 32, 64, 4) if quick else (6, 512, 2048, 8)
    layers, width, inner, heads = sizes
    model = {"encoder_layers": layers, "decoder_layers": layers, "width": width, "feed_forward": inner, "heads": heads}
    training = {"optimizer": "muon", "learning_rate": 1e-3, "max_steps": 1}
    tree = {"checkpoint": "none", "model": {**model, "dropout": 0}, "training": training}
    return parse_config(tree, "this check")


def random_batch(vocabulary: int, length: int, sentences: int, seed: int = 1) -> Batch:
    """Sentences of random pieces, `</s>` counted in their length."""
    from nmt.training.pairs import make_batch

    draw = random.Random(seed)
    sides = [[[draw.randrange(4, vocabulary) for _ in range(length - 1)] for _ in range(sentences)] for _ in range(2)]
    return make_batch(*sides)


def step_losses(config: RunConfig, device: str | torch.device, precision: str, steps: int) -> Iterator[float]:
    """The loss of each step per target piece, over five batches again and again."""
    import torch

    from nmt.models import build_model

    own = config.training.model_copy(update={"precision": precision})
    torch.manual_seed(1)
    step = our_step(config.model_copy(update={"training": own}), build_model(config.model, 500), torch.device(device))
    for number in range(steps):
        batch = random_batch(500, 12, 16, seed=number % 5).to(device)
        yield step(batch) / batch.labels.numel()


def our_step(config: RunConfig, model: Model, device: torch.device) -> Callable[[Batch], float]:
    """A training step as the package takes it; returns the summed loss."""
    import torch

    from nmt.training.loss import Objective, StepLoss
    from nmt.training.optimizers import make_optimizer

    loss_of = StepLoss(model.to(device), Objective.of(config, device))
    optimizer = make_optimizer(model, config.training)

    def step(batch: Batch) -> float:
        loss = loss_of(batch)
        (loss / batch.labels.numel()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def plain_step(config: RunConfig, vocabulary: int, device: torch.device) -> Callable[[Batch], None]:
    """A training step of torch.nn.Transformer as tutorials write it, under torch.autocast."""
    import torch

    from scripts.speed.workers.plain_training import PlainTransformer, plain_optimizer, step

    torch.set_default_device(device)  # the loop makes its causal mask there
    model = PlainTransformer(config.model, vocabulary, dropout_everywhere=True)
    torch.set_default_device(None)
    optimizer = plain_optimizer(model)

    def take(batch: Batch) -> None:
        with torch.device(device), torch.autocast(device.type, torch.bfloat16):
            step(model, optimizer, batch, config.training.clip_norm)

    return take


def timed(bench: Bench, step: Callable, batch: Batch) -> float:
    """The median of a step's seconds, after three steps to warm up; a step waits for the device, as it reads a loss."""
    times = []
    for _ in range(5 if bench.quick else 23):
        started = time.perf_counter()
        step(batch)
        times.append(time.perf_counter() - started)
    return sorted(times[3:])[len(times[3:]) // 2]


def train(path: Path, changes: Sequence[str], kind: str, launcher: Sequence[str] = ()) -> float:
    """Train a toy run in a process of its own, which sees no device if `kind` is cpu; returns its dev loss."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"CUDA_VISIBLE_DEVICES": ""} if kind == "cpu" else {})
    command = [sys.executable, *launcher, "-m", "nmt.cli.train", str(path), *changes]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(ended.stderr[-500:])
    return json.loads((path.parent / "run" / "metadata.json").read_text())["dev_loss"]


def toy_run(place: Path) -> Path:
    """Write a toy corpus and its configuration; returns the configuration's path."""
    for name, pairs in (("train", toy_pairs(400, 2)), ("dev", toy_pairs(50))):
        lines = (f"{source}\t{target}\n" for source, target in pairs)
        (place / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    sizes = {"encoder_layers": 2, "decoder_layers": 2, "width": 64, "feed_forward": 128, "heads": 4, "dropout": 0}
    data = {"corpus": "files", "source": "en", "target": "es", "cache": str(place / "cache")}
    tree = {
        "checkpoint": str(place / "run"),
        "data": data | {split: str(place / f"{split}.tsv") for split in ("train", "dev")},
        "subwords": {"vocabulary_size": 310},
        "model": sizes,
        "training": {
            "batch_tokens": 512,
            "optimizer": "muon",
            "learning_rate": 6e-3,
            "warmup_steps": 20,
            "schedule": "constant",
            "max_steps": 1,
            "validate_every": 50,
            "validation_pairs": 10,
            "average": "none",
        },
        "alignment": {"head": False},
    }
    (place / "run.yaml").write_text(json.dumps(tree), encoding="utf-8")  # JSON is YAML
    return place / "run.yaml"


def toy_pairs(count: int, seed: int = 1) -> Sequence[tuple[str, str]]:
    """Digits and their names in reverse, such as ("3 1 4", "four one three"): the targets of seed 1 are few."""
    draw = random.Random(seed)
    sources = [draw.choices(range(10), k=draw.randint(2, 3)) for _ in range(count)]
    return [(" ".join(map(str, one)), " ".join(WORDS[digit] for digit in reversed(one))) for one in sources]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
