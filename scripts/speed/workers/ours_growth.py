"""Cost against size: training steps and searches of an untrained network; prints no reply but its curves."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from nmt.config.model import ModelConfig
from nmt.engines.torch_engine import TorchEngine
from nmt.models import build_model
from nmt.search.options import SearchOptions
from nmt.training.loss import Objective, batch_loss
from nmt.training.pairs import make_batch
from scripts.report import THREADS
from scripts.speed.workers.pace import serve

CONFIG = ModelConfig(max_length=600)
TOKENS = 4096


def per_second(work: Callable[[], int], seconds: float) -> float:
    """What `work` counts, a second, after one call to warm up."""
    work()
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        done += work()
    return done / elapsed


def training(length: int, tokens: int, vocabulary: int) -> Callable[[], int]:
    """Steps over batches of `tokens` pieces a side in sentences of `length`."""
    model = build_model(CONFIG, vocabulary).train()
    sentences = max(1, tokens // length)
    batch = make_batch([[5] * (length - 1)] * sentences, [[6] * (length - 1)] * sentences)

    def step() -> int:
        model.zero_grad(set_to_none=True)
        batch_loss(model, batch, Objective(0.1)).backward()
        return sentences * length

    return step


def decoding(length: int, sentences: int, beam: int, vocabulary: int) -> Callable[[], int]:
    """Searches whose sources and translations all have `length` pieces."""
    engine = TorchEngine(build_model(CONFIG, vocabulary))
    options = SearchOptions(beam, min_length=length - 1, max_length_factor=0.0, max_length_extra=length)

    def search() -> int:
        engine.translate([[5] * (length - 1)] * sentences, options, sentences)
        return sentences * length

    return search


def main() -> None:
    torch.set_num_threads(THREADS)

    def work(request: dict) -> dict:
        seconds = request["seconds"]
        lengths, beams, vocabularies = (16, 32, 64, 128, 256, 512), (1, 2, 4, 8, 16), (1000, 4000, 16000, 64000)
        curves = {
            "training, length": {n: per_second(training(n, TOKENS, 6000), seconds) for n in lengths},
            "training, batch": {
                n: per_second(training(16, n, 6000), seconds) for n in (256, 512, 1024, 2048, 4096, 8192)
            },
            "training, vocabulary": {n: per_second(training(16, TOKENS, n), seconds) for n in vocabularies},
            "decoding, length": {n: per_second(decoding(n, 8, 5, 6000), seconds) for n in lengths},
            "decoding, batch": {n: per_second(decoding(16, n, 5, 6000), seconds) for n in (1, 4, 16, 64, 256)},
            "decoding, beam": {n: per_second(decoding(16, 64, n, 6000), seconds) for n in beams},
            "decoding, vocabulary": {n: per_second(decoding(16, 64, 5, n), seconds) for n in vocabularies},
        }
        return {"curves": curves}

    serve(work)


if __name__ == "__main__":
    main()
