"""Contestant: single sentences, one after the other, in a warm process. Arguments: engine, file of sentences."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from nmt.translator import Translator
from scripts.report import ROOT, THREADS
from scripts.speed.workers.pace import serve


def main() -> None:
    translator = Translator.load(ROOT / "checkpoints" / "tatoeba-en-es", sys.argv[1], THREADS)  # type: ignore[arg-type]
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
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


if __name__ == "__main__":
    main()
