"""nmt and JoeyNMT trained one after the other: same pairs, subwords, threads, wall time, search and scoring.

JoeyNMT is trained once, for the longest of its times, and looked at after each of them: its learning rate does not
depend on the end. nmt's falls to zero at the end, so it is trained once for each of its times.
In JoeyNMT's favour: its time starts when its first step does, and its data is read before; it validates on the same
dev sentences as nmt, and once more outside its budget when looked at; of all its validations until then the best by
BLEU is taken. Its network is nmt's in size, its training as in FAVOURED below; --joeynmt changes any of its settings,
so that they can be chosen on dev. nmt's budget holds its own validations; the mean of its last checkpoints is made
after it. What is not the same: JoeyNMT drops attention weights and the feed-forward networks' hidden units as well
(--joeynmt gives it a lower rate), ends a search after 1.5 times the longest source of a batch (nmt after 2 times each
source), and chooses its best validation by the first reference of each sentence.
A run that is finished is not run again. Stopped in training, nmt goes on where it was, and JoeyNMT begins anew.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from nmt.checkpoint import CONFIG, METADATA, SUBWORDS
from nmt.config import RunConfig, apply_override, load_config
from nmt.corpus import Corpus, load_corpus, references
from nmt.errors import UserError
from nmt.text.subwords import Subwords
from nmt.training.log import read_log
from nmt.translator import Translator
from scripts.captions import local_files
from scripts.joeynmt import NO_PEERS, SEARCH, TRAINING, columns, configuration, write_corpus
from scripts.report import PEERS, ROOT, THREADS, read_json, write_json
from scripts.scoring.metrics import provenance, recipe, scores
from scripts.settings import refuse_fixed

WORKER = ROOT / "scripts" / "speed" / "workers" / "joeynmt_peer.py"
CONFIGS = {"tatoeba": "tatoeba-en-es-plain.yaml", "multi30k": "multi30k-en-de.yaml"}
BEAM = 5
FAVOURED: dict[str, Any] = TRAINING | {
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "learning_rate_warmup": 400,
    "learning_rate_min": 1e-9,
    "batch_size": 1024,
    "validation_freq": 1000,
    "early_stopping_metric": "bleu",
    "print_valid_sents": [],
}
"""Its `training` section. Few steps fit into the time: the rate is high, the warm-up short, a batch half of nmt's. In
short trials these had the best dev BLEU of four settings; no longer ones were made."""


def measure(
    corpus: str, minutes: dict[str, list[float]], seed: int, ours: list[str], theirs: list[str], runs: Path
) -> tuple[str, dict]:
    """Train what is not trained yet, translate the test set after each of the `minutes`, and score.

    `minutes`: after how many of training `nmt` and `joeynmt` are looked at.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that JoeyNMT's process ends with this one
    name = f"joeynmt-{corpus}-{max(minutes['joeynmt']):g}-minutes-seed-{seed}"
    place = runs / name
    configs = {asked: nmt_config(corpus, asked, seed, ours, place) for asked in sorted(minutes["nmt"])}
    config = next(reversed(configs.values()))
    if not PEERS.exists():
        raise UserError(NO_PEERS)
    their_recipe = joeynmt_recipe(config, theirs)  # fails on a bad change before the hours of training
    data = load_corpus(config.data)
    if data.test is None:
        raise UserError(f"the corpus {corpus} has no test split")
    for one in configs.values():
        train_nmt(one)
    settings = {**joeynmt_settings(config, data, place, sorted(minutes["joeynmt"])), **their_recipe}
    train_joeynmt(settings, place)
    sources, targets = references(data.test)
    sides = []
    for asked, config in configs.items():
        translator = Translator.load(config.checkpoint, "torch", THREADS)
        found = scores([one.text for one in translator.stream(sources, one_sentence=True, beam=BEAM)], targets)
        curve = nmt_curve(Path(config.checkpoint))
        sides.append({"side": "nmt", "asked": asked, **found, "training": provenance(translator), "dev": curve})
    joeynmt, dev_targets = place / "joeynmt", dev_set(config, data)[1]
    curve = [json.loads(line) for line in (joeynmt / "log.jsonl").read_text().splitlines()]
    for point in curve:
        point |= _two(scores(read(joeynmt / f"{point['step']}.hyps"), dev_targets))
    for look in read_json(joeynmt / "finished.json"):
        found = scores(read(joeynmt / f"test-{look['asked']:g}.txt"), targets)
        until = [point for point in curve if point["step"] <= look["steps"]]
        sides.append({"side": "JoeyNMT 2.3.0", "asked": look.pop("asked"), **found, "training": look, "dev": until})
    return name, {
        "corpus": corpus,
        "corpus_sha256": data.sha256,
        "seed": seed,
        "threads": THREADS,
        "beam": BEAM,
        "sides": sides,
        "settings": {key: settings[key] for key in ("training", "testing", "model")},
        "recipe": recipe(config),
    }


def nmt_config(corpus: str, minutes: float, seed: int, changes: list[str], place: Path) -> RunConfig:
    """The corpus' configuration for so many minutes, its checkpoint in `place`."""
    overrides = [f"training.max_minutes={minutes}", f"training.seed={seed}", f"training.threads={THREADS}"]
    overrides += ["alignment.head=false", f"checkpoint={json.dumps(str(place / f'nmt-{minutes:g}'))}"]
    refuse_fixed(changes, overrides)
    local = local_files() if corpus == "multi30k" else []
    return load_config(ROOT / "configs" / CONFIGS[corpus], [*local, *changes, *overrides])


def train_nmt(config: RunConfig) -> None:
    """Train, go on, or leave as it is. Raises UserError for a run of another configuration, and when stopped."""
    directory = Path(config.checkpoint)
    begun = (directory / CONFIG).exists()
    if begun and load_config(directory / CONFIG) != config:
        raise UserError(f"{directory} holds a run of another configuration; move it or choose --runs")
    if not (directory / METADATA).exists():
        from nmt.training.run import train
        from nmt.training.signals import Interrupted

        try:
            train(config, resume=begun)
        except Interrupted as reason:
            raise UserError(f"nmt {reason}: run the same command again") from reason


def dev_set(config: RunConfig, corpus: Corpus) -> tuple[list[str], list[list[str]]]:
    """The dev sentences that nmt's training translates at a validation, and their references."""
    return references(corpus.dev.select(range(min(len(corpus.dev), config.training.validation_pairs))))


def joeynmt_recipe(config: RunConfig, changes: list[str]) -> dict[str, Any]:
    """Its sections training, testing and model. Raises UserError for a change that is none of theirs."""
    recipe = {"training": dict(FAVOURED), "testing": SEARCH | {"generate_unk": False, "eval_metrics": ["bleu"]}}
    recipe["model"] = configuration(config, "", "", ())["model"]
    for change in changes:
        if change.split(".")[0] not in recipe:
            raise UserError(f"{change!r}: JoeyNMT's sections are training, testing and model")
        apply_override(recipe, change)
    return recipe


def joeynmt_settings(config: RunConfig, corpus: Corpus, place: Path, minutes: list[float]) -> dict:
    """Write what JoeyNMT reads into `place/text`, and return its configuration but for its recipe."""
    dev, test = dev_set(config, corpus), references(corpus.test)
    splits = {"train": columns(corpus.train)}
    splits |= {name: (one[0], [group[0] for group in one[1]]) for name, one in (("dev", dev), ("test", test))}
    subwords = Subwords.load(Path(config.checkpoint) / SUBWORDS)
    text = write_corpus(place / "text", splits, subwords, (config.data.source, config.data.target))
    settings = configuration(config, str(text), str(place / "joeynmt"), tuple(splits))
    return settings | {"random_seed": config.training.seed, "minutes": minutes}


def train_joeynmt(settings: dict, place: Path) -> None:
    """Train in the peers' environment and translate the test set, unless that is done. Raises UserError."""
    directory = place / "joeynmt"
    kept = directory / "settings.json"
    if (directory / "time.json").exists():  # trained, if not translated
        if read_json(kept) != settings:
            raise UserError(f"{directory} holds a run of other settings; move it or choose --runs")
        if (directory / "finished.json").exists():
            return
    else:
        shutil.rmtree(directory, ignore_errors=True)
        write_json(kept, settings)
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    environment.pop("PYTHONPATH", None)
    print(f"JoeyNMT: see {directory / 'output.txt'}", file=sys.stderr)
    with open(directory / "output.txt", "w", encoding="utf-8") as output:
        ended = subprocess.run(
            [PEERS, WORKER, "timed", kept], stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        )
    if ended.returncode:
        raise UserError(f"JoeyNMT ended early; see {directory / 'output.txt'}")


def nmt_curve(directory: Path) -> list[dict]:
    """nmt's validations: step, seconds, BLEU and chrF of greedy translations."""
    found = [record for record in read_log(directory) if record["kind"] == "validation"]
    return [{key: record[key] for key in ("step", "seconds", "bleu", "chrf")} for record in found]


def read(path: Path) -> list[str]:
    """The lines of a file."""
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _two(found: dict) -> dict:
    return {key: round(found[key], 2) for key in ("bleu", "chrf")}
