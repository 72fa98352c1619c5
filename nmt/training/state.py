"""Saved states, from which a run resumes bit for bit. Each is a self-contained directory, written atomically.

training/step-N/
    progress.json              position in the corpus, clock, validations
    weights-M.safetensors      weights of step N and of every step that the final average may need
    optimizer.pt               the optimizer's state
    config.yaml, subwords.model, log.jsonl    copies; also of known-words.txt and a guiding aligner.safetensors
    checksums.json             SHA-256 of each file

A state depends on no other file, so damage to a file costs at most one state.
"""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from nmt.checkpoint import ALIGNER, CONFIG, KNOWN_WORDS, SUBWORDS, WEIGHTS, save_arrays, write_text
from nmt.config import RunConfig, TrainingConfig
from nmt.errors import UserError
from nmt.files import atomic_path, sha256_of
from nmt.models import Model, load_weights, own_weights
from nmt.training.log import LOG
from nmt.training.optimizers import AnyOptimizer

KEPT_STATES = 2
"""States kept, so that damage to the newest costs at most one validation interval."""
CHECKSUMS, PROGRESS, OPTIMIZER = "checksums.json", "progress.json", "optimizer.pt"
COPIED = (CONFIG, SUBWORDS, LOG)
"""Files of the run that each state copies."""
OPTIONAL = (KNOWN_WORDS, ALIGNER)
"""Copied if the run has them."""


@dataclass
class Progress:
    """How far a run has got."""

    step: int = 0
    """Steps done, skipped ones included."""
    epoch: int = 0
    """Completed passes over the corpus."""
    batch: int = 0
    """Batches of the current pass taken so far."""
    seconds: float = 0.0
    """Time spent training and validating, without the pauses before resumptions."""
    target_tokens: int = 0
    """Target pieces trained on."""
    validations: list[list[float]] = field(default_factory=list)
    """[dev loss, step] of every validation."""
    finished: bool = False
    """Whether the budget is spent."""
    corpus: str = ""
    """SHA-256 of the corpus."""
    subwords: str = ""
    """SHA-256 of the subword model."""
    initial: str = ""
    """SHA-256 of the weights that the run started from (`training.initial`)."""
    skipped: int = 0
    """Steps skipped because loss or gradient was not finite."""
    skipped_in_a_row: int = 0
    """Skipped steps since the last step taken."""


@dataclass(frozen=True)
class State:
    """A saved state whose files match their checksums."""

    place: Path
    progress: Progress
    damaged: list[str]
    """The damage found in each newer state."""

    def describe(self) -> str:
        """One line: which state, and why no newer one."""
        return f"resuming from {self.place}" + (f" ({'; '.join(self.damaged)})" if self.damaged else "")

    def restore(self, model: Model, optimizer: AnyOptimizer) -> None:
        """Load weights and optimizer. Everything else that a step depends on follows from seed and progress."""
        tensors = torch.load(self.place / OPTIMIZER, map_location="cpu", weights_only=True)
        weights = safetensors.torch.load_file(self.place / _weights_name(self.progress.step))
        load_weights(model, weights, self.place)
        optimizer.load_state_dict(tensors["optimizer"])

    def restore_files(self, directory: Path) -> list[str]:
        """Restore the run's files; returns the names of the missing or altered ones, except the log, which grows."""
        changed = []
        for name in (*COPIED, *OPTIONAL):
            path, copy = directory / name, self.place / name
            if name in OPTIONAL and not copy.exists():
                continue
            if not path.is_file() or sha256_of(path) != sha256_of(copy):
                with atomic_path(path) as temporary:
                    shutil.copyfile(copy, temporary)
                changed += [name] if name != LOG else []
        return changed

    def change_alignment(self, configuration: str) -> None:
        """Replace the copied configuration and drop the copied alignment head, which is trained anew."""
        write_text(self.place / CONFIG, configuration)
        hashes = json.loads((self.place / CHECKSUMS).read_text())
        hashes[CONFIG] = sha256_of(self.place / CONFIG)
        hashes.pop(ALIGNER, None)
        write_text(self.place / CHECKSUMS, json.dumps(hashes))
        (self.place / ALIGNER).unlink(missing_ok=True)


def save_state(directory: Path, progress: Progress, model: Model, optimizer: AnyOptimizer, kept: list[int]) -> Path:
    """Write `training/step-N` and remove all but the `KEPT_STATES` newest states.

    The weights of the steps `kept` are copied from earlier states. Raises UserError when they are lost.
    """
    place = state_directory(directory, progress.step)
    with atomic_path(place) as temporary:
        temporary.mkdir()
        for step in kept:
            if step != progress.step:
                _take_over(directory, _weights_name(step), temporary)
        # Written through memory, so that a full disk raises OSError rather than each library's own error.
        (temporary / _weights_name(progress.step)).write_bytes(safetensors.torch.save(own_weights(model)))
        content = io.BytesIO()
        torch.save({"optimizer": optimizer.state_dict()}, content)
        (temporary / OPTIMIZER).write_bytes(content.getbuffer())
        (temporary / PROGRESS).write_text(json.dumps(dataclasses.asdict(progress)))
        for name in (*COPIED, *OPTIONAL):
            if name in COPIED or (directory / name).exists():
                shutil.copyfile(directory / name, temporary / name)
        hashes = {path.name: sha256_of(path) for path in temporary.iterdir()}
        (temporary / CHECKSUMS).write_text(json.dumps(hashes))
    older = [state for state in _states(directory) if state < place]
    for old in _states(directory):
        # A newer one was found damaged when the run was resumed.
        if old != place and old not in older[: KEPT_STATES - 1]:
            shutil.rmtree(old, ignore_errors=True)
    return place


def find_state(directory: Path) -> State | None:
    """The newest undamaged state; None if there is no state. Raises UserError if all are damaged."""
    damaged: list[str] = []
    for place in _states(directory):
        try:
            return State(place, _checked_progress(place), damaged)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            damaged.append(f"{place.name} is damaged: {_reason(error)}")
    if damaged:
        raise UserError(
            f"no saved state in {directory / 'training'} is whole ({'; '.join(damaged)}); start anew with --overwrite"
        )
    return None


def average(place: Path, steps: list[int]) -> dict[str, torch.Tensor]:
    """The mean of the weights of `steps` stored in the state `place`, in double precision.

    Raises UserError when they do not match their checksums.
    """
    hashes = json.loads((place / CHECKSUMS).read_text())
    total: dict[str, torch.Tensor] = {}
    for step in steps:
        path = place / _weights_name(step)
        if sha256_of(path) != hashes[path.name]:
            raise UserError(f"{path} was damaged after it was written; resume from the previous state with --resume")
        for name, tensor in safetensors.torch.load_file(path).items():
            total[name] = total.get(name, 0) + tensor.double()
    return {name: (tensor / len(steps)).float() for name, tensor in total.items()}


def averaged_steps(settings: TrainingConfig, validations: list[list[float]]) -> list[int]:
    """Steps to average if training ended after these validations, each [dev loss, step]."""
    if settings.average == "none":
        return [int(min(validations)[1])]
    ranked = sorted(validations) if settings.average == "best" else validations[::-1]
    return [int(step) for _, step in ranked[: settings.average_count]]


def needed_steps(settings: TrainingConfig, validations: list[list[float]]) -> list[int]:
    """Steps whose weights the end of training needs: those to average, and the best."""
    if not validations:
        return []
    return sorted({*averaged_steps(settings, validations), int(min(validations)[1])})


def write_weights(directory: Path, config: RunConfig, model: Model) -> None:
    """Write the model's weights to the checkpoint, in the type of `training.weights`."""
    kind = np.dtype(config.training.weights)
    save_arrays(directory / WEIGHTS, {name: tensor.numpy().astype(kind) for name, tensor in own_weights(model).items()})


def state_directory(directory: Path, step: int) -> Path:
    """The directory of a step's state."""
    return directory / "training" / f"step-{step:08d}"


def _weights_name(step: int) -> str:
    return f"weights-{step:08d}.safetensors"


def _states(directory: Path) -> list[Path]:
    return sorted((directory / "training").glob("step-*"), reverse=True)


def _take_over(directory: Path, name: str, into: Path) -> None:
    """Copy a file from an earlier state after checking it, so that no damaged file gets a new checksum."""
    for place in _states(directory):
        try:
            wanted = json.loads((place / CHECKSUMS).read_text())[name]
            shutil.copyfile(place / name, into / name)
        except (FileNotFoundError, ValueError, KeyError):
            continue
        if sha256_of(into / name) == wanted:
            return
    raise UserError(f"{name} is damaged or missing in {directory / 'training'}; resume from the previous state")


def _checked_progress(place: Path) -> Progress:
    """The progress of a state, after checking its files. Raises various errors for damage."""
    hashes = json.loads((place / CHECKSUMS).read_text())
    if foreign := [path.name for path in place.iterdir() if path.is_symlink() or not path.is_file()]:
        raise ValueError(f"{foreign[0]} is not a plain file")
    present = {path.name for path in place.iterdir()} - {CHECKSUMS}
    if odd := sorted(present ^ set(hashes)):
        raise ValueError(f"{odd[0]} is missing" if odd[0] in hashes else f"{CHECKSUMS} does not list {odd[0]}")
    if altered := [name for name, value in sorted(hashes.items()) if sha256_of(place / name) != value]:
        raise ValueError(f"{altered[0]} does not match its checksum")
    progress = Progress(**json.loads((place / PROGRESS).read_text()))
    if lacking := [name for name in (*COPIED, OPTIMIZER, _weights_name(progress.step)) if name not in hashes]:
        raise ValueError(f"{lacking[0]} is missing")
    return progress


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{Path(error.filename or '').name}: {error.strerror}"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | AttributeError):
        return f"{CHECKSUMS} cannot be read"
    if isinstance(error, TypeError):
        return f"{PROGRESS} is of another version"
    return str(error)
