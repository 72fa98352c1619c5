"""scripts/nano.py against the package: its translations, and what it learns in five minutes.

  python -m scripts.compare_nano translations
  python -m scripts.compare_nano translations tatoeba-es-en --sentences 200
  python -m scripts.compare_nano training --minutes 5

`translations`: the first test sentences that the package translates without placeholders, which nano.py has not, by
both at their default beam, equal but for the casing of the first letter; and the largest difference of an attention
weight where the pieces of both are the same too. `training`: nano.py trains on Tatoeba for so many minutes,
configs/quickstart.yaml, which also truecases and augments, for as many steps; BLEU of both on the test split.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nmt.checkpoint import CONFIG, Checkpoint, find_checkpoint
from nmt.config import load_config
from nmt.corpus import load_corpus, pairs_of, references
from nmt.evaluation import evaluate
from nmt.translator import Translator
from scripts import nano
from scripts.report import ROOT

QUICKSTART = ROOT / "configs" / "quickstart.yaml"


def main(arguments: list[str]) -> None:
    """Print the comparison that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("translations")
    command.add_argument("checkpoint", nargs="?", default="tatoeba-en-es")
    command.add_argument("--sentences", type=int, default=200)
    command = commands.add_parser("training")
    command.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args(arguments)
    if given.command == "translations":
        translations(given.checkpoint, given.sentences)
    else:
        training(given.minutes)


def translations(name: str, count: int) -> None:
    """Translate `count` test sentences by both."""
    translator = Translator.load(name, "torch")
    data = load_config(Checkpoint(find_checkpoint(name)).path(CONFIG), warn=False).data
    sources, _ = references(load_corpus(data).test)
    plain = (text for text in sources if not translator.subwords.encode(text, apart=True).slots)
    chosen = list(islice(plain, count))
    loaded = nano.load(name)
    same, largest, differing = 0, 0.0, []
    for text in tqdm(chosen, disable=None):
        ours = translator.translate(text, one_sentence=True)
        theirs, _, _, attention = nano.translate(*loaded, text)
        if ours.text.lower() == theirs.lower():
            same += 1
            if translator.subwords.encode(text).ids == loaded[1].encode(nano.usual(loaded[1], text)):
                largest = max(largest, float(np.abs(ours.attention - attention.numpy()).max(initial=0)))
        else:
            differing.append((text, ours.text, theirs))
    print(f"{name}: {same} of {len(chosen)} translations equal, attention within {largest:.1e}")
    for text, ours, theirs in differing:
        print(f"  {text}\n    nmt  {ours}\n    nano {theirs}")


def training(minutes: float) -> None:
    """Train both for equally many steps and score them."""
    corpus = load_corpus(load_config(QUICKSTART).data)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        with open(place / "pairs.tsv", "w", encoding="utf-8") as file:
            file.writelines(f"{source}\t{target}\n" for source, target in pairs_of(corpus.train))
        command = ["scripts/nano.py", "train", str(place / "pairs.tsv"), "--minutes", str(minutes)]
        subprocess.run([sys.executable, *command, "--output", str(place / "nano")], cwd=ROOT, check=True)
        steps = load_config(place / "nano" / CONFIG, warn=False).training.max_steps
        settings = [f"checkpoint={place / 'quickstart'}", "alignment.head=false"]
        settings += [f"training.max_steps={steps}", "training.max_minutes=null"]
        subprocess.run([sys.executable, "-m", "nmt.cli.train", str(QUICKSTART), *settings], cwd=ROOT, check=True)
        print(f"{steps:,} steps")
        for name in ("nano", "quickstart"):
            found = evaluate(Translator.load(place / name, "torch"), *references(corpus.test))
            print(f"  {name}: BLEU {found.bleu:.1f}, chrF {found.chrf:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
