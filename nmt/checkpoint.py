"""A checkpoint directory: configuration, subwords, weights, provenance. Nothing in it can run code.

config.yaml           the run's configuration
subwords.model        the SentencePiece model
weights.safetensors   the translator
aligner.safetensors   the alignment head, when there is one
ctranslate2/          the translator for CTranslate2, when exported
metadata.json         provenance, scores, the SHA-256 of every file above, and its own of all this
log.jsonl, training/  the run's record, and what `--resume` needs
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nmt.errors import UserError
from nmt.files import atomic_path, expanded, sha256_of
from nmt.untrusted import LARGEST_METADATA, check_inside, check_metadata, read_small, tensor_shapes

CONFIG, SUBWORDS, WEIGHTS, ALIGNER, METADATA = (
    "config.yaml",
    "subwords.model",
    "weights.safetensors",
    "aligner.safetensors",
    "metadata.json",
)
CTRANSLATE2 = "ctranslate2"


SHIPPED = ("tatoeba-en-es", "tatoeba-es-en")
"""The checkpoints that come with the project, the default first."""


def shipped_checkpoint(name: str = SHIPPED[0]) -> Path:
    """A shipped checkpoint: in a clone under `checkpoints/`, in an installed wheel beside the code."""
    package = Path(__file__).parent
    inside, beside = package / "shipped" / name, package.parent / "checkpoints" / name
    return beside if beside.exists() else inside


def find_checkpoint(given: str | Path | None = None) -> Path:
    """The directory that is meant: one that there is, or a shipped checkpoint's by its name.

    Without either `$NMT_CHECKPOINT`, which names one in the same way, or else the default.
    """
    given = given if given is not None else os.environ.get("NMT_CHECKPOINT") or SHIPPED[0]
    directory = expanded(given)
    return shipped_checkpoint(str(given)) if str(given) in SHIPPED and not directory.is_dir() else directory


class Checkpoint:
    """A checkpoint directory, opened for reading: every file is checked against `metadata.json` first."""

    def __init__(self, directory: str | Path) -> None:
        """Raises UserError when the directory is not a checkpoint."""
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise UserError(
                f"there is no checkpoint directory {directory}; nmt-train makes one ({', '.join(SHIPPED)} are shipped)"
            )
        path = self.directory / METADATA
        try:
            check_inside(path, self.directory)
            self.metadata: dict[str, Any] = json.loads(read_small(path, LARGEST_METADATA).decode("utf-8"))
            own = self.metadata.pop("sha256", None)
        except OSError as error:
            raise UserError(
                f"{directory} is not a finished checkpoint: cannot read {METADATA} ({error.strerror})"
            ) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is damaged; use another copy of the checkpoint") from error
        if own not in (None, _digest(self.metadata)):  # the checkpoints of early versions have none
            raise UserError(f"{path} does not match its own checksum; use another copy of the checkpoint")
        if wrong := check_metadata(self.metadata):
            raise UserError(f"{path} is damaged (see {wrong}); use another copy of the checkpoint")
        self.files: dict[str, str] = self.metadata["files"]

    def has(self, name: str) -> bool:
        """Whether the checkpoint lists the file."""
        return name in self.files

    def path(self, name: str) -> Path:
        """A listed file, after its hash was checked. Raises UserError when it is missing or altered."""
        path = self.directory / name
        if not self.has(name):
            raise UserError(f"checkpoint {self.directory} has no {name}")
        if not path.is_file():
            raise UserError(f"checkpoint {self.directory} lacks {name}; use another copy of it")
        check_inside(path, self.directory)
        if sha256_of(path) != self.files[name]:
            raise UserError(f"{path} does not match its checksum in {METADATA}; use another copy of the checkpoint")
        return path


def write_checkpoint_metadata(directory: Path, metadata: Mapping[str, Any]) -> None:
    """Write `metadata.json` with the hashes of the checkpoint's files as they now are."""
    names = [CONFIG, SUBWORDS, WEIGHTS, ALIGNER]
    files = [directory / name for name in names] + sorted((directory / CTRANSLATE2).glob("*"))
    hashes = {str(path.relative_to(directory)): sha256_of(path) for path in files if path.is_file()}
    told = {key: value for key, value in metadata.items() if key != "sha256"} | {"files": hashes}
    told["sha256"] = _digest(told)
    write_text(directory / METADATA, json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def _digest(metadata: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()


def add_files(directory: str | Path) -> None:
    """List the files that were added to a finished checkpoint since its metadata was written, in `ctranslate2/`.

    Raises UserError when another file has been altered: its damage must not be signed as whole.
    """
    checkpoint = Checkpoint(directory)
    for name in checkpoint.files:
        if not name.startswith(f"{CTRANSLATE2}/"):
            checkpoint.path(name)
    write_checkpoint_metadata(Path(directory), checkpoint.metadata)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Write named arrays as safetensors, whole or not at all."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Named float32 arrays of a safetensors file, whatever precision they are stored in.

    Raises UserError for a file that is not whole, and for numbers that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    tensor_shapes(path)
    try:
        arrays = {name: array.astype(np.float32, copy=False) for name, array in load_file(path).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}); use another copy of it") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {name} holds numbers that are not finite; use another copy of it")
    return arrays
