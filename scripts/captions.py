"""Multi30k: files, test sets, and the configuration that every contestant trains."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from nmt.checkpoint import SUBWORDS
from nmt.config import RunConfig, load_config
from nmt.corpus import Corpus, load_corpus
from nmt.files import atomic_path, cache_directory
from nmt.text.subwords import Subwords
from nmt.training.pairs import EncodedPairs
from nmt.training.preparation import encode_splits, load_subwords, train_subwords
from scripts.report import ROOT, THREADS

VOCABULARY = 8000
TRAINING = ["batch_tokens=4096", "learning_rate=5e-3", "warmup_steps=1000", "schedule=inverse_sqrt"]
TRAINING += ["optimizer=adamw", "r_drop=0", "weight_decay=0"]
MODEL = {"dropout": 0.3}
"""As transformer-tiny is trained (Wu et al. 2021); the configuration's own recipe is for the best score."""
PRECISION = "precision=float32"
"""The peers' precision."""
PLACES = ROOT / "multi30k", ROOT.parent / "shared" / "multi30k"
FILES = next((directory for directory in PLACES if directory.is_dir()), PLACES[0])
"""Directory of the text files of `multi30k/dataset` on GitHub, if present."""


def place() -> Path:
    """Directory of the subword model and the peers' text files."""
    return cache_directory() / "benchmark" / "multi30k"


def config(**model: float) -> RunConfig:
    """`configs/multi30k-en-de.yaml` with BPE and plain training, from local files if present.

    `model` overrides sizes or dropout.
    """
    overrides = ["subwords.model_type=bpe", f"subwords.vocabulary_size={VOCABULARY}"]
    overrides += [f"training.threads={THREADS}", f"checkpoint={place()}"]
    overrides += [f"training.{setting}" for setting in [*TRAINING, PRECISION]] + local_files()
    overrides += [f"model.{name}={value}" for name, value in {**MODEL, **model}.items()]
    return load_config(ROOT / "configs" / "multi30k-en-de.yaml", overrides)


def local_files(target: str = "de") -> list[str]:
    """Overrides that read the corpus from local files, if present."""
    if not FILES.is_dir():
        return []
    names = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
    sides = {split: [FILES / f"{name}.{language}.gz" for language in ("en", target)] for split, name in names.items()}
    files = [f"data.{split}={json.dumps([str(path) for path in paths])}" for split, paths in sides.items()]
    return ["data.corpus=files", "data.name=null", *files]


def test_set(year: int, target: str = "de") -> tuple[list[str], list[str]] | str:
    """English captions and their translations from local files or the Hub, or the reason why they are missing."""
    paths = [FILES / f"test_{year}_flickr.{language}.gz" for language in ("en", target)]
    if all(path.exists() for path in paths):
        source, reference = (gzip.decompress(path.read_bytes()).decode("utf-8") for path in paths)
        return source.rstrip("\n").split("\n"), reference.rstrip("\n").split("\n")
    if (year, target) == (2016, "de"):
        test = load_corpus(config().data).test
        if test is not None:
            return list(test["source"][:]), list(test["target"][:])
    return f"test_{year}_flickr.{target}.gz is not in {FILES}, and not on the Hub as text"


def corpus() -> Corpus:
    """The splits."""
    return load_corpus(config().data)


def subwords(pairs: Corpus) -> Subwords:
    """The joint BPE model of the training pairs, trained once."""
    return make_subwords(place(), config(), pairs)


def make_subwords(directory: Path, config: RunConfig, corpus: Corpus) -> Subwords:
    """Load the directory's SentencePiece model; train and save it first if there is none."""
    path = directory / SUBWORDS
    if not path.exists():
        with atomic_path(path) as temporary:
            train_subwords(config, corpus).save(temporary)
    return load_subwords(directory)


def encoded(settings: RunConfig) -> tuple[EncodedPairs, int]:
    """The training pairs as every contestant reads them, and the number of pieces."""
    pairs = corpus()
    model = subwords(pairs)
    return encode_splits(settings, pairs, model, print)[0], len(model)
