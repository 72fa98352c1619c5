"""The decoding claims: sentences a second beside JoeyNMT and CTranslate2, one network, two test sets, beam 5."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from nmt.checkpoint import METADATA, SUBWORDS, WEIGHTS, Checkpoint, load_arrays
from nmt.config import load_config
from nmt.corpus import load_corpus, references
from nmt.engines.conversion import set_quantization
from nmt.engines.ctranslate2_engine import AT_MOST
from nmt.evaluation import score
from nmt.files import cache_directory
from nmt.text.subwords import Subwords
from scripts import captions, joeynmt
from scripts.report import ROOT
from scripts.speed.claim import Claim, Told
from scripts.speed.turns import Contestant, contest, rates

SHIPPED = ROOT / "checkpoints" / "tatoeba-en-es"
BEAM = 5
SECONDS, ROUNDS = 3, 5
SETS = {"tatoeba": "Tatoeba test, 1,205 sentences", "multi30k": "Multi30k test 2016, 1,000 captions"}
NAMES = {
    "joeynmt": "JoeyNMT 2.3.0, text to text",
    "torch-pieces": "nmt, PyTorch, pieces to pieces",
    "torch-text": "nmt, PyTorch, text to text and alignment",
    "bare-float32": "CTranslate2 bare, float32, pieces to pieces, 2 threads a batch of 64",
    "bare-float32-tuned": "CTranslate2 bare, float32, a thread a batch of 32",
    "bare-default": "CTranslate2 bare, int8, a thread a batch of 32",
    "default": "nmt, default engine (CTranslate2, int8), text to text and alignment",
}
RATIOS = (
    ("nmt, PyTorch, text and alignment, to JoeyNMT", "torch-text", "joeynmt"),
    ("nmt, PyTorch, to CTranslate2 bare, float32", "torch-pieces", "bare-float32"),
    ("the same, CTranslate2 with a thread a batch", "torch-pieces", "bare-float32-tuned"),
    ("nmt, default engine, text and alignment, to JoeyNMT", "default", "joeynmt"),
    ("nmt, default engine, text and alignment, to CTranslate2 bare", "default", "bare-default"),
)


def float32_checkpoint() -> Path:
    """A copy of the shipped checkpoint that CTranslate2 computes in float32."""
    weights = Checkpoint(SHIPPED).files[WEIGHTS]  # their hash: another network is copied anew
    place = cache_directory() / "benchmark" / f"float32-{weights[:12]}"
    if not (place / METADATA).exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(SHIPPED, place)
        set_quantization(place, "float32")
    return place


def tatoeba_test() -> tuple[list[str], list[list[str]]]:
    """The unique sources of the test split, and their references."""
    return references(load_corpus(load_config(SHIPPED / "config.yaml").data).test)


def by_length(lines: list[str]) -> list[int]:
    """Line numbers, shortest line first."""
    return sorted(range(len(lines)), key=lambda number: len(lines[number]))


def measure() -> dict:
    """Measure every contestant on both sets."""
    sources, target = tatoeba_test()
    found = {}
    for name, lines in (("tatoeba", sources), ("multi30k", captions.test_set(2016)[0])):
        with tempfile.TemporaryDirectory() as directory:
            found[name] = contest(_contestants(Path(directory), lines), ROUNDS)
    bleu = {}
    for name, replies in found["tatoeba"].items():
        if replies[0]["texts"]:
            bleu[name] = score(replies[0]["texts"], [target[number] for number in by_length(sources)]).bleu
    for replies in found.values():
        for reply in (reply for one in replies.values() for reply in one):
            del reply["texts"]
    return {**found, "bleu": bleu}


def _contestants(place: Path, lines: list[str]) -> list[Contestant]:
    file = place / "test.en"
    # Sorted, in JoeyNMT's favour: it takes its batches in the file's order. The others sort for themselves.
    sentences = [" ".join(lines[number].split()) for number in by_length(lines)]
    file.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    turn, exact, shipped = {"seconds": SECONDS}, str(float32_checkpoint()), str(SHIPPED)
    common = [str(file), str(BEAM)]

    def ours(name: str, kind: str, checkpoint: str, *rest: str) -> Contestant:
        return Contestant(name, "ours", ["decoding", kind, checkpoint, *common, *rest], turn)

    return [
        Contestant("joeynmt", "joeynmt_peer", ["decode", *_joeynmt(place)], turn, peer=True),
        ours("torch-pieces", "torch-pieces", shipped),
        ours("bare-float32", "bare", exact, "1,2", "64"),
        ours("bare-float32-tuned", "bare", exact, "2,1", str(AT_MOST)),
        ours("torch-text", "torch-text", shipped),
        ours("bare-default", "bare", shipped, "2,1", str(AT_MOST)),
        ours("default", "ctranslate2-text", shipped),
    ]


def _joeynmt(place: Path) -> list[str]:
    shipped = load_config(SHIPPED / "config.yaml")
    joeynmt.write_vocabulary(place, Subwords.load(SHIPPED / SUBWORDS))
    weights = load_arrays(Checkpoint(SHIPPED).path(WEIGHTS))
    np.savez(place / "weights.npz", **{name: array.astype(np.float32) for name, array in weights.items()})
    text = str(place)
    config = joeynmt.configuration(shipped, text, f"{text}/joeynmt", ("test",))
    config["testing"] = joeynmt.SEARCH
    return [json.dumps(config), f"{text}/weights.npz"]


def tell(replies: dict) -> Told:
    """A table over both sets and the ratios."""
    speed = {name: {one: rates(found, "sentences") for one, found in replies[name].items()} for name in SETS}
    rows = []
    for one, title in NAMES.items():
        bleu = replies["bleu"].get(one)
        rows.append([title, *(speed[name][one].text(1) for name in SETS), f"{bleu:.1f}" if bleu else ""])
    summary = []
    for name, title in SETS.items():
        median = {one: figures.median for one, figures in speed[name].items()}
        summary += [
            (f"decoding, {title.split(',')[0]}: {what}", f"{median[one] / median[other]:.2f}x")
            for what, one, other in RATIOS
        ]
    columns = ["contestant", *(f"{title}, sentences a second" for title in SETS.values()), "BLEU"]
    return Told(columns, rows, summary)


CLAIM = Claim("decoding", measure, tell)
