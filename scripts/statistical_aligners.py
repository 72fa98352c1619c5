"""The statistical aligners to compare with: eflomal in an environment of its own, fast_align where installed.

Both are trained on the lower-cased word and punctuation tokens of all pairs they are given, in both directions.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from nmt.alignment import Link
from nmt.alignment.pharaoh import read_pharaoh
from nmt.errors import UserError
from nmt.files import cache_directory
from nmt.text.words import split_words

EFLOMAL = ["eflomal==2.0.0", "numpy==2.3.5"]


@dataclass(frozen=True)
class Alignments:
    """What an aligner made of a list of pairs."""

    forward: list[list[Link]]
    """Each target word chooses a source word."""
    reverse: list[list[Link]]
    """Each source word chooses a target word; the links are (source, target) all the same."""
    seconds: float
    """Processor time of both directions on one core, starting the program and reading its files included."""


def write_pairs(path: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """Write `source ||| target` lines of lower-cased tokens. An aligner takes no empty side, so `_` stands for it."""
    with open(path, "w", encoding="utf-8") as file:
        for pair in pairs:
            sides = [" ".join(word.text.lower() for word in split_words(side)) or "_" for side in pair]
            file.write(" ||| ".join(sides) + "\n")
    return path


def install_eflomal() -> Path:
    """The directory of eflomal's programs; made once in the cache, compiled there by pip.

    Raises:
        UserError: when pip cannot fetch or build it.
    """
    directory = cache_directory() / "aligners" / EFLOMAL[0].replace("==", "-")
    programs, finished = directory / "bin", directory / "installed"
    if not finished.is_file():
        print(f"installing {' '.join(EFLOMAL)} in {directory}", file=sys.stderr, flush=True)
        venv.create(directory, clear=True, with_pip=True)
        command = [str(programs / "python"), "-m", "pip", "install", "--quiet", *EFLOMAL]
        run = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if run.returncode:
            complaint = (run.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"pip cannot install {EFLOMAL[0]} ({complaint}): it needs the network and a C compiler")
        finished.touch()
    return programs


def run_eflomal(pairs_file: Path, priors: Path | None = None) -> Alignments:
    """Align all pairs of a file, one thread (eflomal's defaults: IBM 1, HMM and fertility; three samplers)."""
    links = [pairs_file.with_suffix(suffix) for suffix in (".forward", ".reverse")]
    command = [str(install_eflomal() / "eflomal-align"), "--overwrite", "-i", str(pairs_file)]
    command += ["-f", str(links[0]), "-r", str(links[1])] + (["-p", str(priors)] if priors else [])
    seconds = _run(command)
    return Alignments(list(read_pharaoh(links[0])), list(read_pharaoh(links[1])), seconds)


def make_eflomal_priors(pairs_file: Path) -> Path:
    """What eflomal learned from the file it has just aligned, for aligning other pairs with."""
    priors = pairs_file.with_suffix(".priors")
    command = [str(install_eflomal() / "eflomal-makepriors"), "-i", str(pairs_file), "-p", str(priors)]
    _run([*command, "-f", str(pairs_file.with_suffix(".forward")), "-r", str(pairs_file.with_suffix(".reverse"))])
    return priors


def run_fast_align(pairs_file: Path) -> Alignments | None:
    """Align all pairs of a file as its authors advise (`-d -o -v`); None where there is no fast_align on the PATH."""
    program = shutil.which("fast_align")
    if not program:
        return None
    links, seconds = [], 0.0
    for direction, options in (("forward", []), ("reverse", ["-r"])):
        path = pairs_file.with_suffix(f".fast_align.{direction}")
        with open(path, "w") as output:
            seconds += _run([program, "-i", str(pairs_file), "-d", "-o", "-v", *options], output)
        links.append(list(read_pharaoh(path)))
    return Alignments(links[0], links[1], seconds)


def _run(command: list[str], output: TextIO | int = subprocess.DEVNULL) -> float:
    """Run a program on one thread; its processor time in seconds, which does not depend on what else runs."""
    started = os.times()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, env=environment, text=True)
    if run.returncode:
        complaint = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{Path(command[0]).name} ended with status {run.returncode}: {complaint}")
    ended = os.times()
    return ended.children_user + ended.children_system - started.children_user - started.children_system
