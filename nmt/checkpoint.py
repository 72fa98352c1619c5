"""A checkpoint directory: configuration, subwords, weights, provenance. Nothing in it is executable.

config.yaml           the run's configuration
subwords.model        the SentencePiece model
weights.safetensors   the translator
aligner.safetensors   the alignment head, if there is one
known-words.txt       the source words of the training pairs, if the translator has placeholders
metadata.json         provenance, scores, the SHA-256 of every file above and of its own content
log.jsonl, training/  the run's record, and what `--resume` needs
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt.errors import UserError
from nmt.files import atomic_path, expanded, sha256_of
from nmt.untrusted import LARGEST_METADATA, check_inside, check_metadata, read_small, tensor_shapes

if TYPE_CHECKING:
    from nmt.config import RunConfig
    from nmt.config.model import ModelConfig

CONFIG, SUBWORDS, WEIGHTS, ALIGNER, METADATA = (
    "config.yaml",
    "subwords.model",
    "weights.safetensors",
    "aligner.safetensors",
    "metadata.json",
)
KNOWN_WORDS = "known-words.txt"
"""One a line, where names and numbers have placeholders."""
SHIPPED = ("tatoeba-en-es", "tatoeba-es-en")
"""Shipped checkpoints, the default first."""


def shipped_checkpoint(name: str = SHIPPED[0]) -> Path:
    """Directory of a shipped checkpoint: `checkpoints/` in a clone, inside the package in a wheel."""
    package = Path(__file__).parent
    inside, beside = package / "shipped" / name, package.parent / "checkpoints" / name
    return beside if beside.exists() else inside


def find_checkpoint(given: str | Path | None = None) -> Path:
    """Resolve a checkpoint given as a directory or as a shipped checkpoint's name.

    Without one, `$NMT_CHECKPOINT`, then the default.
    """
    given = given if given is not None else os.environ.get("NMT_CHECKPOINT") or SHIPPED[0]
    directory = expanded(given)
    return shipped_checkpoint(str(given)) if str(given) in SHIPPED and not directory.is_dir() else directory


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The content of `metadata.json`, typed."""

    source: str
    target: str
    """Codes of the two languages."""
    max_length: int
    """Most subword pieces of a sentence, `</s>` counted."""
    alignment_layer: int | None
    """Decoder layer whose cross-attention is shown; None for a network without attention."""
    alignment_heads: list[int] | None = None
    """Guided heads of that layer, whose mean is shown; None for all heads, unguided."""
    decoding: dict[str, float]
    """Defaults of `SearchOptions`."""
    quantization: str = "float32"
    """Weight type for CTranslate2."""
    confidence: dict[str, float] | None = None
    """Weights of `nmt.confidence.Calibration`; None for translations without confidence."""
    number_words: dict[str, str] | None = None
    """Number words of the source language that get placeholders, and those that these become."""
    titles: dict[str, str] | None = None
    """Titles before names in the source language, and those that these become."""
    record: dict[str, Any]
    """The whole object without its checksum; how the checkpoint was trained is here, if known."""


class Checkpoint:
    """A checkpoint directory opened for reading; files are verified against `metadata.json`."""

    def __init__(self, directory: str | Path) -> None:
        """Raises UserError when the directory is not a checkpoint."""
        self.directory = Path(directory)
        if not self.directory.is_dir():
            near = get_close_matches(str(directory), SHIPPED, 1, 0.9)
            mend = f"did you mean {near[0]}?" if near else f"nmt-train makes one ({', '.join(SHIPPED)} are shipped)"
            raise UserError(f"there is no checkpoint directory {directory}; {mend}")
        path = self.directory / METADATA
        try:
            check_inside(path, self.directory)
            record = json.loads(read_small(path, LARGEST_METADATA).decode("utf-8"))
            own = record.pop("sha256", None)
        except OSError as error:
            raise UserError(
                f"{directory} is not a finished checkpoint: cannot read {METADATA} ({error.strerror})"
            ) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is damaged; use another copy of the checkpoint") from error
        if own not in (None, _digest(record)):  # optional: old checkpoints and scripts/nano.py write none
            raise UserError(f"{path} does not match its own checksum; use another copy of the checkpoint")
        if wrong := check_metadata(record):
            raise UserError(f"{path} is damaged (see {wrong}); use another copy of the checkpoint")
        typed = {field.name: record[field.name] for field in fields(Metadata) if field.name in record}
        self.metadata = Metadata(**typed | {"record": record})
        # Early versions kept CTranslate2's network too.
        self.files = {name: value for name, value in record["files"].items() if not name.startswith("ctranslate2/")}
        self._checked: set[str] = set()

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.directory)!r})"

    def path(self, name: str) -> Path:
        """Path of a listed file, verified once. Raises UserError if it is missing or altered."""
        path = self.directory / name
        if name in self._checked:
            return path
        if name not in self.files and {ALIGNER, WEIGHTS} & set(self.files) == {ALIGNER}:
            raise UserError(f"{self.directory} holds an aligner alone: use nmt-align --checkpoint, or Aligner.load")
        if name not in self.files:
            raise UserError(f"checkpoint {self.directory} has no {name}")
        if not path.is_file():
            raise UserError(f"checkpoint {self.directory} lacks {name}; use another copy of it")
        check_inside(path, self.directory)
        if sha256_of(path) != self.files[name]:
            raise UserError(f"{path} does not match its checksum in {METADATA}; use another copy of the checkpoint")
        self._checked.add(name)
        return path

    @cached_property
    def config(self) -> RunConfig:
        """The configuration of its run."""
        from nmt.config import load_config

        return load_config(self.path(CONFIG), warn=False)

    @cached_property
    def model_config(self) -> ModelConfig:
        """The network's configuration. Raises UserError when the metadata contradict it."""
        config, layer = self.config.model, self.metadata.alignment_layer
        if config.max_length != self.metadata.max_length:
            raise UserError(f"{self.directory}: {CONFIG} and {METADATA} differ in max_length; use another copy")
        if layer is not None and layer >= config.decoder_layers:
            raise UserError(f"{self.directory}: it has no alignment layer {layer}; use another copy")
        if max(self.metadata.alignment_heads or [0]) >= config.heads:
            raise UserError(f"{self.directory}: its alignment heads are not there; use another copy")
        return config

    @property
    def shown_heads(self) -> list[int]:
        """Heads of the alignment layer whose mean is shown as attention: the guided ones, else all."""
        return self.metadata.alignment_heads or list(range(self.model_config.heads))

    @property
    def attention_name(self) -> str:
        """Description of the attention shown; layers and heads count from 1."""
        layer, guided = (self.metadata.alignment_layer or 0) + 1, self.metadata.alignment_heads
        if not guided:
            return f"cross-attention, layer {layer}, mean of heads"
        numbers = ", ".join(str(head + 1) for head in guided)
        shown = f"head {numbers}" if len(guided) == 1 else f"mean of heads {numbers}"
        return f"cross-attention, layer {layer}, {shown} (guided)"


def write_checkpoint_metadata(directory: Path, metadata: Mapping[str, Any]) -> None:
    """Write `metadata.json` with the current hashes of the checkpoint's files."""
    names = [name for name in (CONFIG, SUBWORDS, KNOWN_WORDS, WEIGHTS, ALIGNER) if (directory / name).is_file()]
    hashes = {name: sha256_of(directory / name) for name in names}
    told = {key: value for key, value in metadata.items() if key != "sha256"} | {"files": hashes}
    told["sha256"] = _digest(told)
    write_text(directory / METADATA, json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def _digest(metadata: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Write named arrays as safetensors, atomically."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file as float32 arrays, whatever precision it stores.

    Raises UserError for a damaged file and for numbers that are not finite.
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
