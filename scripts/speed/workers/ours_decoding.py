"""Contestants: this project's engines, and CTranslate2 called bare.

Arguments: `torch-pieces`, `torch-text`, `ctranslate2-text` or `bare`; the checkpoint; a file of sentences; the beam;
for `bare` also threads as `inter,intra` and sentences in a batch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from nmt.checkpoint import CTRANSLATE2
from nmt.translator import Translator
from scripts.report import THREADS
from scripts.speed.workers.pace import serve


def main() -> None:
    kind, checkpoint, file, beam, *rest = sys.argv[1:]
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    translator = Translator.load(checkpoint, "torch" if kind.startswith("torch") else "ctranslate2", THREADS)
    options = translator.search_options(beam=int(beam))
    ids = translator.subwords.encode_ids(lines)
    if kind == "bare":
        import ctranslate2

        inter, intra = map(int, rest[0].split(","))
        bare = ctranslate2.Translator(f"{checkpoint}/{CTRANSLATE2}", inter_threads=inter, intra_threads=intra)
        pieces = [[*translator.subwords.pieces(row), "</s>"] for row in ids]
        limit = options.max_length(max(map(len, ids)))

    def once() -> list[str]:
        if kind == "torch-pieces":
            translator._torch.translate(ids, options)
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


if __name__ == "__main__":
    main()
