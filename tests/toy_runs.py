"""Short trainings on the toy corpus, and what they leave."""

import json
from pathlib import Path

from nmt.config import load_config
from nmt.training.log import read_log
from nmt.training.run import train


def fit(place: Path, name: str, *overrides: str, **how: bool) -> Path:
    """Train in this process into `place/name`."""
    return train(load_config(place / "run.yaml", [f"checkpoint={place / name}", *overrides]), **how)


def weights(directory: Path) -> bytes:
    return (directory / "weights.safetensors").read_bytes()


def metadata(directory: Path) -> dict:
    return json.loads((directory / "metadata.json").read_text())


def validations(directory: Path) -> list[dict]:
    """The log's validations without their times."""
    records = [record for record in read_log(directory) if record["kind"] == "validation"]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]
