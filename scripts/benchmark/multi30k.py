"""Multi30k English-German as every contestant of the training claim reads it: same pairs, same subwords."""

from __future__ import annotations

from pathlib import Path

from benchmark import ROOT, THREADS
from nmt.checkpoint import SUBWORDS
from nmt.config import RunConfig, load_config
from nmt.corpus import Corpus, load_corpus
from nmt.files import atomic_path, cache_directory
from nmt.text.subwords import Subwords
from nmt.training.run import make_subwords

VOCABULARY = 8000
SHARED = ROOT.parent / "shared" / "multi30k"


def place() -> Path:
    """Where the subword model and the peers' text files are kept."""
    return cache_directory() / "benchmark" / "multi30k"


def config(**model: int) -> RunConfig:
    """`configs/multi30k-en-de.yaml` with BPE, from local files where they are; `model` sets other sizes."""
    overrides = ["subwords.model_type=bpe", f"subwords.vocabulary_size={VOCABULARY}"]
    overrides += [f"training.threads={THREADS}", f"checkpoint={place()}"]
    if SHARED.is_dir():
        overrides += ["data.corpus=files", "data.name=null"]
        for split, name in (("train", "train"), ("dev", "val"), ("test", "test_2016_flickr")):
            overrides.append(f"data.{split}=[{SHARED / f'{name}.en.gz'}, {SHARED / f'{name}.de.gz'}]")
    overrides += [f"model.{name}={value}" for name, value in model.items()]
    return load_config(ROOT / "configs" / "multi30k-en-de.yaml", overrides)


def corpus() -> Corpus:
    """The splits."""
    return load_corpus(config().data)


def subwords(pairs: Corpus) -> Subwords:
    """The joint BPE model of the training pairs, trained once."""
    place().mkdir(parents=True, exist_ok=True)
    return make_subwords(place(), config(), pairs)


def write_text_files(pairs: Corpus) -> Path:
    """The training and dev pairs and the vocabulary as text files, for peers that read those; returns their place."""
    pieces = subwords(pairs)
    with atomic_path(place() / "text") as directory:
        directory.mkdir()
        for split, rows in (("train", pairs.train), ("dev", pairs.dev)):
            for side, language in (("source", "en"), ("target", "de")):
                lines = (" ".join(line.split()) + "\n" for line in rows[side][:])
                (directory / f"{split}.{language}").write_text("".join(lines), encoding="utf-8")
        names = pieces.pieces(range(len(pieces)))
        (directory / "vocabulary.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        pieces.save(directory / SUBWORDS)
    return place() / "text"
