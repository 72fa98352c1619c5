"""Models shared by several experiments, and their training corpora."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable

from nmt.checkpoint import WEIGHTS
from nmt.config import RunConfig
from nmt.corpus import load_corpus, pairs_of
from nmt.errors import UserError
from nmt.files import atomic_path
from nmt.translator import Translator
from scripts import captions
from scripts.experiments.common.experiment import Experiment
from scripts.report import ROOT

ARCHITECTURES = ("rnnencdec", "rnnsearch", "transformer")
JOINED = (1, 2, 3, 4, 6, 8, 10)
"""Numbers of sentence pairs joined into one."""
Pair = tuple[str, str]
Pairs = list[Pair]


def any_transformer(experiment: Experiment) -> tuple[Translator, RunConfig, str]:
    """The transformer that $NMT_CHECKPOINT names (default: the shipped one), its configuration and its name.

    The quick form trains a toy one. Raises UserError for another type of model.
    """
    translator = experiment.translator("transformer") if experiment.quick else Translator.load(None, "torch", 1)
    directory, config = translator.checkpoint.directory, translator.checkpoint.config
    if config.model.type != "transformer":
        raise UserError(f"{directory} is of type {config.model.type}; this experiment is about a transformer")
    name = directory.relative_to(ROOT) if directory.is_relative_to(ROOT) else directory.name
    return (
        translator,
        config,
        f"Model: `{name}`, {translator.checkpoint.metadata.record.get('parameters', 0):,} parameters, weights "
        f"`{translator.checkpoint.files[WEIGHTS][:12]}`, shown as attention: {translator.checkpoint.attention_name}.",
    )


def tatoeba_model(experiment: Experiment, architecture: str) -> Translator:
    """One of ARCHITECTURES, trained on Tatoeba English-Spanish with joined sentences."""
    return experiment.translator(architecture, *joined_tatoeba(experiment))


def multi30k_model(experiment: Experiment, architecture: str) -> Translator:
    """One of ARCHITECTURES, trained on Multi30k English-German."""
    return experiment.translator(f"multi30k-{architecture}", *multi30k(experiment))


def multi30k(experiment: Experiment) -> list[str]:
    """Overrides that read Multi30k from local files, if present, instead of the Hub."""
    return [] if experiment.quick else captions.local_files()


def joined_tatoeba(experiment: Experiment) -> list[str]:
    """Overrides for a corpus of Tatoeba's pairs, alone and joined, written on first use.

    Tatoeba's sentences are short. Training has joined pairs too, so models have seen the lengths of the tests.
    """
    if experiment.quick:
        return []  # the toy corpus has long sentences
    return _corpus(experiment, "joined", regrouped, regrouped)


def few_tatoeba(experiment: Experiment, count: int) -> list[str]:
    """Overrides for a random sample of `count` of Tatoeba's training pairs, and all of dev."""
    if experiment.quick:
        return ["data.max_pairs=100"]
    return _corpus(experiment, f"few-{count}", lambda pairs, draw: draw.sample(pairs, count), lambda pairs, _: pairs)


def _corpus(experiment: Experiment, name: str, *choices: Callable[[Pairs, random.Random], Iterable[Pair]]) -> list[str]:
    # Overrides for files of what is chosen from Tatoeba's train and dev; written when they are not there.
    paths = {split: experiment.checkpoints / "corpora" / name / f"{split}.tsv" for split in ("train", "dev")}
    if not all(path.exists() for path in paths.values()):
        corpus = load_corpus(experiment.config("parts").data)
        for (split, path), choose in zip(paths.items(), choices, strict=True):
            chosen = choose(list(pairs_of(getattr(corpus, split))), random.Random(f"{split} {experiment.seed}"))
            with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
                file.writelines(f"{source}\t{target}\n" for source, target in chosen)
    files = [f"data.{split}={json.dumps(str(path))}" for split, path in paths.items()]
    return ["data.corpus=files", *files]


def regrouped(pairs: Pairs, draw: random.Random) -> Iterable[Pair]:
    """Join every pair once, in random order, into groups of the sizes JOINED, each with as many pairs."""
    order = draw.sample(pairs, len(pairs))
    first = 0
    while first < len(order):
        (size,) = draw.choices(JOINED, [1 / size for size in JOINED])
        yield join(order[first : first + size])
        first += size


def join(pairs: Pairs) -> Pair:
    """Join pairs into one."""
    if not pairs:
        raise UserError("there is nothing to join")
    return " ".join(source for source, _ in pairs), " ".join(target for _, target in pairs)
