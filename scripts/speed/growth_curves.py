"""The growth claim: cost against length, batch, beam, vocabulary and corpus, measured and drawn."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from nmt.errors import UserError
from nmt.inspection.drawing import FAINT, INK, new_figure, save
from scripts.report import COLOURS, ROOT, legend, logarithmic, prepare
from scripts.speed.claim import Claim, Told
from scripts.speed.turns import Contestant, contest

SIZES = (10_000, 100_000, 1_000_000)


def measure() -> dict:
    """Curves of an untrained network, and preparation of generated corpora."""
    curves = contest([Contestant("curves", "ours_growth", (), {"seconds": 2.0})], 1)
    return {**curves, "corpus": [prepare_corpus(size) for size in SIZES]}


def prepare_corpus(size: int) -> dict:
    """Time and peak memory of a process that reads, splits, filters, encodes and batches so many generated pairs."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        chance = random.Random(size)
        words = ["".join(chance.choices("aeioubdlmnrst", k=chance.randint(2, 8))) for _ in range(20_000)]
        for split, count in (("train", size), ("dev", 1000)):
            with open(place / f"{split}.en", "w") as source, open(place / f"{split}.es", "w") as target:
                for number in range(count):
                    line = " ".join(chance.choices(words, k=chance.randint(3, 9)))
                    source.write(f"{line} {split} {number}\n")
                    target.write(f"{number} {split} {line}\n")
        command = [sys.executable, "-m", "scripts.speed.workers.ours_preparation", directory]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if ended.returncode:
            raise UserError(f"{size:,} pairs: {ended.stderr[-1000:]}")
        return {"pairs": size, **json.loads(ended.stdout.splitlines()[-1])}


def tell(replies: dict) -> Told:
    """Every curve's points, then the corpora."""
    rows = [
        [name, "; ".join(f"{int(size):,}: {speed:,.0f}" for size, speed in curve.items()), ""]
        for name, curve in replies["curves"][0]["curves"].items()
    ]
    rows += [
        [
            f"{one['pairs']:,} pairs",
            f"{one['pairs'] / one['seconds']:,.0f} pairs a second prepared ({one['seconds']:,.0f} s)",
            f"{one['peak_bytes'] / 1e6:,.0f} MB, and {one['mapped_bytes'] / 1e6:,.0f} MB of mapped files",
        ]
        for one in replies["corpus"]
    ]
    return Told(["what varies", "size: tokens a second", "peak memory"], rows)


def draw(replies: dict, path: str) -> None:
    """A panel for each thing that varies."""
    curves = replies["curves"][0]["curves"]
    subjects = list(dict.fromkeys(name.split(", ")[1] for name in curves))
    figure = new_figure(10, 5.6)
    for place, subject in enumerate([*subjects, "corpus"]):
        axes = figure.add_subplot(2, 3, place + 1)
        for kind, colour in zip(("training", "decoding"), COLOURS, strict=False):
            if curve := curves.get(f"{kind}, {subject}"):
                axes.plot([int(size) for size in curve], list(curve.values()), "o-", color=colour, label=kind, ms=3)
        if subject == "corpus":
            corpus = replies["corpus"]
            sizes = [one["pairs"] for one in corpus]
            axes.plot(sizes, [one["pairs"] / one["seconds"] for one in corpus], "o-", color=INK, ms=3, label="pairs/s")
            axes.plot(sizes, [one["peak_bytes"] / 1e6 for one in corpus], "s--", color=FAINT, ms=3, label="peak, MB")
        title, unit = ("preparing a corpus", "pairs") if subject == "corpus" else (f"against {subject}", subject)
        prepare(axes, title, unit, "" if subject == "corpus" else "tokens a second")
        logarithmic(axes.xaxis)
        logarithmic(axes.yaxis)
        legend(axes)
    figure.tight_layout()
    save(figure, path)


CLAIM = Claim("growth", measure, tell, draw)
