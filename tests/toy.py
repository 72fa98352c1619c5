"""A toy language that a small network learns in seconds: digits to their names, in reverse."""

import random
from pathlib import Path

import yaml

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def toy_pairs(count: int, seed: int = 1, shortest: int = 2, longest: int = 3) -> list[tuple[str, str]]:
    """Different pairs such as ("3 1 4", "four one three")."""
    draw = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        digits = draw.choices(range(10), k=draw.randint(shortest, longest))
        found[" ".join(map(str, digits))] = " ".join(NAMES[digit] for digit in reversed(digits))
    return list(found.items())


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> str:
    """The pairs as a TSV file; returns its path."""
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return str(path)


def toy_config(place: Path, **changes: dict) -> Path:
    """Write the corpus and a configuration that trains on it into `place`; `changes` are merged section by section.

    The run's directory is `place/run`. A recurrent network is given none of the transformer's own keys.
    """
    place.mkdir(parents=True, exist_ok=True)
    pairs = toy_pairs(340)
    tree: dict = {
        "checkpoint": str(place / "run"),
        "data": {
            "corpus": "files",
            "source": "digits",
            "target": "names",
            "train": write_pairs(place / "train.tsv", pairs[60:]),
            "dev": write_pairs(place / "dev.tsv", pairs[:40]),
            "test": write_pairs(place / "test.tsv", pairs[40:60]),
            "cache": str(place / "cache"),
        },
        "subwords": {"vocabulary_size": 310, "character_coverage": 1.0},
        "model": {
            "encoder_layers": 2,
            "decoder_layers": 2,
            "width": 32,
            "feed_forward": 64,
            "heads": 4,
            "dropout": 0.1,
            "max_length": 32,
        },
        "training": {
            "batch_tokens": 128,
            "learning_rate": 0.01,
            "warmup_steps": 20,
            "max_steps": 60,
            "validate_every": 12,
            "validation_pairs": 5,
            "average_count": 2,
            "device": "cpu",
            "threads": 1,
        },
        "decoding": {"beam": 2, "length_penalty": 1.0},
        "alignment": {"head": False},
    }
    for section, values in changes.items():
        tree[section].update(values)
    if tree["model"].get("type", "transformer") != "transformer":
        for key in ("encoder_layers", "decoder_layers", "feed_forward", "heads"):
            del tree["model"][key]
    path = place / "run.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path
