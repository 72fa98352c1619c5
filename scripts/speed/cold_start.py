"""The cold-start claim: time of whole processes, beside importing torch."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from nmt.errors import UserError
from scripts.report import ROOT
from scripts.speed.claim import Claim, Told
from scripts.speed.turns import Figures

ROUNDS = 15
SENTENCE = "Where is the station?"
COMMAND = [sys.executable, "-m", "nmt.cli.translate"]
COMMANDS = {
    "torch": ('`python -c "import torch"`', [sys.executable, "-c", "import torch"]),
    "translate": (f'`nmt-translate "{SENTENCE}"`', [*COMMAND, SENTENCE]),
    "align": ("the same with `--format json`: alignment printed", [*COMMAND, "--format", "json", SENTENCE]),
    "help": ("`nmt-translate --help`", [*COMMAND, "--help"]),
    "import": ('`python -c "import nmt"`', [sys.executable, "-c", "import nmt"]),
    "python": ('`python -c "pass"`', [sys.executable, "-c", "pass"]),
}
"""What each is called in the table, and the command."""


def measure() -> dict:
    """Time each command, in turns; the first round warms the file cache and is dropped."""
    found: dict[str, list[dict]] = {name: [] for name in COMMANDS}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)
    for turn in range(1 + ROUNDS):
        for name, (_, command) in COMMANDS.items():
            started = time.perf_counter()
            ended = subprocess.run(command, capture_output=True, text=True, env=environment)
            if ended.returncode:
                raise UserError(f"{name}: {ended.stderr[-1000:]}")
            if turn:
                found[name].append({"seconds": time.perf_counter() - started})
    return found


def tell(replies: dict) -> Told:
    """Seconds and shares."""
    seconds = {name: Figures.of([reply["seconds"] for reply in found]) for name, found in replies.items()}
    torch = seconds["torch"].median
    rows = [[COMMANDS[name][0], one.text(3), f"{one.median / torch:.2f}"] for name, one in seconds.items()]
    shares = (("align", "a translation with its alignment"), ("help", "`--help`"))
    summary = [
        (f"cold start: {what}, share of importing torch", f"{seconds[name].median / torch:.2f}")
        for name, what in shares
    ]
    return Told(["process", "seconds", "share of importing torch"], rows, summary)


CLAIM = Claim("cold-start", measure, tell)
