"""Contestants that answer whenever asked: decoding, latency, and the machine's matrix products. Argument: which."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from nmt.engines.conversion import export_to_ctranslate2
from nmt.translator import Translator
from scripts.report import ROOT, THREADS
from scripts.speed.workers.pace import serve

SIZE = 2048


def decoding(kind: str, checkpoint: str, file: str, beam: str, *rest: str) -> None:
    """This project's engines, and CTranslate2 called bare.

    `kind`: torch-pieces, torch-text, ctranslate2-text or bare. `rest`, for bare: threads as `inter,intra`, sentences
    of a batch.
    """
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    translator = Translator.load(checkpoint, "torch" if kind.startswith("torch") else "ctranslate2", THREADS)
    options = translator.search_options(beam=int(beam))
    ids = translator.subwords.encode_ids(lines)
    if kind == "bare":
        import ctranslate2

        inter, intra = map(int, rest[0].split(","))
        with tempfile.TemporaryDirectory() as place:
            model = export_to_ctranslate2(checkpoint, f"{place}/model")
            bare = ctranslate2.Translator(str(model), inter_threads=inter, intra_threads=intra)
        pieces = [[*translator.subwords.pieces(row), "</s>"] for row in ids]
        limit = options.max_length(max(map(len, ids)))

    def once() -> list[str]:
        if kind == "torch-pieces":
            translator.torch_engine.translate(ids, options)
        elif kind == "bare":
            bare.translate_batch(
                pieces, max_batch_size=int(rest[1]), beam_size=int(beam), max_decoding_length=limit, length_penalty=1
            )
        else:
            # The alignment is part of every translation; the text alone is kept here.
            return [one.text for one in translator.stream(lines, beam=int(beam)) if one.alignment is not None]
        return []

    def work(request: dict) -> dict:
        passes, started = 0, time.perf_counter()
        while passes == 0 or time.perf_counter() - started < request["seconds"]:
            texts = once()
            passes += 1
        return {"seconds": time.perf_counter() - started, "sentences": passes * len(lines), "texts": texts}

    work({"seconds": 0})
    serve(work)


def latency(engine: str, file: str) -> None:
    """Single sentences of a file, one after the other, in a warm process."""
    translator = Translator.load(ROOT / "checkpoints" / "tatoeba-en-es", engine, THREADS)  # type: ignore[arg-type]
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    for line in lines[:20]:
        translator.translate(line, beam=4)

    def work(_request: dict) -> dict:
        seconds = []
        for line in lines:
            started = time.perf_counter()
            translator.translate(line, beam=4)
            seconds.append(time.perf_counter() - started)
        return {"each": seconds}

    serve(work)


def gemm() -> None:
    """No contestant: the machine's speed at float32 matrix products, [SIZE, SIZE] by [SIZE, SIZE]."""
    torch.set_num_threads(THREADS)
    x, y, out = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), torch.empty(SIZE, SIZE)

    def work(request: dict) -> dict:
        products, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < request["seconds"]:
            torch.mm(x, y, out=out)
            products += 1
        return {"seconds": elapsed, "flops": 2.0 * SIZE**3 * products}

    work({"seconds": 0.5})
    serve(work)


if __name__ == "__main__":
    {"decoding": decoding, "latency": latency, "gemm": gemm}[sys.argv[1]](*sys.argv[2:])
