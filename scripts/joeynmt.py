"""JoeyNMT's configuration for one of our networks and language pairs, and its text files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from datasets import Dataset

from nmt.checkpoint import SUBWORDS
from nmt.config import RunConfig
from nmt.corpus import Corpus
from nmt.files import atomic_path
from nmt.text.subwords import Subwords
from scripts import captions
from scripts.report import PEERS, THREADS

NO_PEERS = f"{PEERS} is not there; make the peers' environment with scripts/speed/peers.sh"
Sides = tuple[Iterable[str], Iterable[str]]
TRAINING = {
    "adam_betas": [0.9, 0.98],
    "normalization": "tokens",
    "scheduling": "warmupinversesquareroot",
    "clip_grad_norm": 1.0,
    "label_smoothing": 0.1,
    "batch_type": "token",
    "epochs": 10**6,
    "logging_freq": 100,
}
SEARCH = {"beam_size": 5, "beam_alpha": 1.0, "batch_size": 64, "batch_type": "sentence"}
SPECIAL = {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3}


def configuration(config: RunConfig, text: str, directory: str, splits: Sequence[str]) -> dict:
    """The same architecture on the files in `text`: `splits`, subword model and vocabulary."""
    model = config.model
    language = {
        "level": "bpe",
        "tokenizer_type": "sentencepiece",
        "tokenizer_cfg": {"model_file": f"{text}/subwords.model"},
        "voc_file": f"{text}/vocabulary.txt",
        "max_length": model.max_length,
    }
    stack = {
        "type": "transformer",
        "num_heads": model.heads,
        "hidden_size": model.width,
        "ff_size": model.feed_forward,
        "dropout": model.dropout,
        "layer_norm": model.norm,
        "embeddings": {"embedding_dim": model.width, "scale": True, "dropout": model.dropout},
    }
    return {
        "name": "benchmark",
        "threads": THREADS,
        "model_dir": directory,
        "use_cuda": False,
        "data": {
            **{split: f"{text}/{split}" for split in splits},
            "dataset_type": "plain",
            "special_symbols": SPECIAL,
            "src": {"lang": config.data.source, **language},
            "trg": {"lang": config.data.target, **language},
        },
        "testing": {},
        "training": {"batch_size": 1, "optimizer": "adam"},
        "model": {
            "tied_embeddings": True,
            "tied_softmax": True,
            "initializer": "xavier_uniform",
            "embed_initializer": "xavier_uniform",
            "encoder": {**stack, "num_layers": model.encoder_layers},
            "decoder": {**stack, "num_layers": model.decoder_layers},
        },
    }


def columns(split: Dataset) -> Sides:
    """The source and the target sentences."""
    return split["source"][:], split["target"][:]


def write_corpus(place: Path, splits: Mapping[str, Sides], subwords: Subwords, languages: tuple[str, str]) -> Path:
    """Write the directory `place`: SPLIT.LANGUAGE with a sentence a line, the vocabulary and the subword model."""
    with atomic_path(place) as directory:
        directory.mkdir()
        for split, sides in splits.items():
            for sentences, language in zip(sides, languages, strict=True):
                lines = (" ".join(sentence.split()) + "\n" for sentence in sentences)
                (directory / f"{split}.{language}").write_text("".join(lines), encoding="utf-8")
        write_vocabulary(directory, subwords)
    return place


def write_captions(corpus: Corpus) -> Path:
    """Write Multi30k's training and dev pairs for JoeyNMT; returns their directory."""
    splits = {"train": columns(corpus.train), "dev": columns(corpus.dev)}
    return write_corpus(captions.place() / "text", splits, captions.subwords(corpus), ("en", "de"))


def write_vocabulary(directory: Path, subwords: Subwords) -> None:
    """Write the vocabulary, a piece a line, and the subword model."""
    names = subwords.pieces(range(len(subwords)))
    (directory / "vocabulary.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    subwords.save(directory / SUBWORDS)
