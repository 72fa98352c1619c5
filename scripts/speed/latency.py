"""The latency claim: one sentence at a time, beam 4, alignment included, in a warm process."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from scripts.speed.claim import Claim, Told
from scripts.speed.decoding import tatoeba_test
from scripts.speed.turns import Contestant, contest

SENTENCES, ROUNDS = 200, 3
NAMES = {"ctranslate2": "default (CTranslate2, int8)", "torch": "PyTorch"}


def measure() -> dict:
    """The seconds of each sentence, by both engines in turns."""
    sources = tatoeba_test()[0][:: 1205 // SENTENCES][:SENTENCES]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "test.en"
        file.write_text("".join(f"{line}\n" for line in sources), encoding="utf-8")
        contestants = [Contestant(name, "ours", ["latency", name, str(file)]) for name in NAMES]
        return contest(contestants, ROUNDS)


def tell(replies: dict) -> Told:
    """Median and 99th percentile over all sentences and turns."""
    rows = []
    for name, title in NAMES.items():
        milliseconds = 1000 * np.concatenate([reply["each"] for reply in replies[name]])
        rows.append([title, *(f"{np.percentile(milliseconds, share):.1f}" for share in (50, 99))])
    return Told(["engine", "median, ms", "99th percentile, ms"], rows)


CLAIM = Claim("latency", measure, tell)
