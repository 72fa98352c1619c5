"""JoeyNMT's configuration of a network and language pair of ours."""

from __future__ import annotations

from benchmark import THREADS
from nmt.model_config import ModelConfig

SPECIAL = {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3}


def configuration(model: ModelConfig, source: str, target: str, text: str, directory: str, **data: str) -> dict:
    """The same architecture over `text`'s subword model and vocabulary; `data` names its splits."""
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
            **data,
            "dataset_type": "plain",
            "special_symbols": SPECIAL,
            "src": {"lang": source, **language},
            "trg": {"lang": target, **language},
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
