"""The memory claim: peaks of training and of nmt-translate, children counted."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scripts.speed.claim import Claim, Told
from scripts.speed.decoding import tatoeba_test
from scripts.watch import run_and_watch

STEPS = 300
NAMES = {
    "shipped": "`nmt-train configs/tatoeba-en-es.yaml`",
    "quickstart": "`nmt-train configs/quickstart.yaml`",
    "fast": "`nmt-translate`, default engine",
    "torch": "`nmt-translate --engine torch`",
}


def measure() -> dict:
    """Peaks of short runs: the first steps, a validation, the beginnings of the alignment head."""
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        # The alignment head's networks have their full size from three minutes on, as in the shipped configuration.
        for name, file, minutes in (("shipped", "tatoeba-en-es", 3), ("quickstart", "quickstart", 0.1)):
            settings = [f"training.max_steps={STEPS}", f"training.validate_every={STEPS}", "training.max_minutes=null"]
            settings += [f"checkpoint={directory}/{name}", f"alignment.minutes={minutes}", "training.initial=null"]
            command = [sys.executable, "-m", "nmt.cli.train", f"configs/{file}.yaml", *settings]
            found[name] = [run_and_watch(command)]
        sources = tatoeba_test()[0]
        # Long lines beside short ones: fifteen sentences joined are near the 255 pieces that the model takes.
        text = Path(directory) / "text.en"
        lines = sources * 8 + [" ".join(sources[first : first + 15]) for first in range(0, 600, 15)]
        text.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        for name, engine in (("fast", "auto"), ("torch", "torch")):
            command = [sys.executable, "-m", "nmt.cli.translate", "--engine", engine]
            found[name] = [run_and_watch(command, str(text))]
    return found


def tell(replies: dict) -> Told:
    """Megabytes."""
    peaks = {name: max(reply["peak_bytes"] for reply in found) / 1e6 for name, found in replies.items()}
    rows = [[NAMES[name], f"{peak:,.0f}", f"{replies[name][0]['seconds']:.0f}"] for name, peak in peaks.items()]
    summary = [(f"memory: {title}", f"{peaks[name]:,.0f} MB") for name, title in NAMES.items()]
    return Told(["command", "peak memory, MB", "seconds"], rows, summary)


CLAIM = Claim("memory", measure, tell)
