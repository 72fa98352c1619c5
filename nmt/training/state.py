"""What a run must remember to go on bit for bit: directories that are whole or absent, each with all that it needs.

training/step-N/
    progress.json              where the run stands
    weights-M.safetensors      the weights of step N, and of every step that the final average may ask for
    optimizer.pt               the optimizer's moments
    config.yaml, subwords.model, log.jsonl    as they were
    checksums.json             the SHA-256 of each

No state leans on another or on the rest of the checkpoint, so that damage to any one file costs one state at most.
"""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch

from nmt.checkpoint import CONFIG, SUBWORDS
from nmt.errors import UserError
from nmt.files import atomic_path, sha256_of
from nmt.models import Model, load_weights, own_weights
from nmt.training.log import LOG
from nmt.training.optimizers import AnyOptimizer

KEPT_STATES = 2
"""Whole states kept, so that damage to the newest loses one interval at most."""
CHECKSUMS, PROGRESS, OPTIMIZER = "checksums.json", "progress.json", "optimizer.pt"
COPIED = (CONFIG, SUBWORDS, LOG)
"""Files of the run that each state has a copy of."""


@dataclass
class Progress:
    """Where a run stands."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """Passes over the corpus that are complete."""
    batch: int = 0
    """Batches taken of the current pass."""
    seconds: float = 0.0
    """Time spent training and validating, pauses between resumptions not counted."""
    target_tokens: int = 0
    """Target pieces trained on."""
    validations: list[list[float]] = field(default_factory=list)
    """[dev loss, step] of every validation."""
    finished: bool = False
    """Whether the budget is spent."""
    corpus: str = ""
    """SHA-256 of the corpus that the run began with."""
    subwords: str = ""
    """SHA-256 of its subword model."""
    skipped: int = 0
    """Steps left out because a number was not finite (they count as steps)."""
    skipped_in_a_row: int = 0
    """How many of them were the latest."""


@dataclass(frozen=True)
class State:
    """A saved state whose files were all found whole."""

    place: Path
    progress: Progress
    damaged: list[str]
    """What was wrong with each newer one."""

    def describe(self) -> str:
        """Which state it is, and why no newer one."""
        return f"resuming from {self.place}" + (f" ({'; '.join(self.damaged)})" if self.damaged else "")

    def restore(self, model: Model, optimizer: AnyOptimizer) -> None:
        """Put weights and optimizer back. All else that a step depends on follows from the seed and the progress."""
        tensors = torch.load(self.place / OPTIMIZER, map_location="cpu", weights_only=True)
        weights = safetensors.torch.load_file(self.place / _weights_name(self.progress.step))
        load_weights(model, weights, self.place)
        optimizer.load_state_dict(tensors["optimizer"])

    def restore_files(self, directory: Path) -> list[str]:
        """Put the run's own files back as they were; returns the names of those that had been lost or altered.

        The log has grown since, so that it is put back without a word.
        """
        changed = []
        for name in COPIED:
            path, copy = directory / name, self.place / name
            if not path.is_file() or sha256_of(path) != sha256_of(copy):
                with atomic_path(path) as temporary:
                    shutil.copyfile(copy, temporary)
                changed += [name] if name != LOG else []
        return changed


def save_state(directory: Path, progress: Progress, model: Model, optimizer: AnyOptimizer, kept: list[int]) -> Path:
    """Write `training/step-N` and drop what is older than the state before it.

    The weights of the steps `kept` are taken over from the states before. Raises UserError when they are lost.
    """
    place = state_directory(directory, progress.step)
    with atomic_path(place) as temporary:
        temporary.mkdir()
        for step in kept:
            if step != progress.step:
                _take_over(directory, _weights_name(step), temporary)
        # The bytes go through memory: a full disk is then an OSError, and not an error of each library's own.
        (temporary / _weights_name(progress.step)).write_bytes(safetensors.torch.save(own_weights(model)))
        content = io.BytesIO()
        torch.save({"optimizer": optimizer.state_dict()}, content)
        (temporary / OPTIMIZER).write_bytes(content.getbuffer())
        (temporary / PROGRESS).write_text(json.dumps(dataclasses.asdict(progress)))
        for name in COPIED:
            shutil.copyfile(directory / name, temporary / name)
        hashes = {path.name: sha256_of(path) for path in temporary.iterdir()}
        (temporary / CHECKSUMS).write_text(json.dumps(hashes))
    older = [state for state in _states(directory) if state < place]
    for old in _states(directory):
        # One that is newer was passed over as damaged when the run was resumed.
        if old != place and old not in older[: KEPT_STATES - 1]:
            shutil.rmtree(old, ignore_errors=True)
    return place


def find_state(directory: Path) -> State | None:
    """The newest whole state, or None when none was saved yet. Raises UserError when every one is damaged."""
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
    """The mean of the weights that the state `place` has of `steps`, summed in double precision.

    Raises UserError when they have been altered since they were written.
    """
    hashes = json.loads((place / CHECKSUMS).read_text())
    total: dict[str, torch.Tensor] = {}
    for step in steps:
        path = place / _weights_name(step)
        if sha256_of(path) != hashes[path.name]:
            raise UserError(f"{path} has been damaged since it was written; go on from the state before with --resume")
        for name, tensor in safetensors.torch.load_file(path).items():
            total[name] = total.get(name, 0) + tensor.double()
    return {name: (tensor / len(steps)).float() for name, tensor in total.items()}


def state_directory(directory: Path, step: int) -> Path:
    """Where the state of a step is kept."""
    return directory / "training" / f"step-{step:08d}"


def _weights_name(step: int) -> str:
    return f"weights-{step:08d}.safetensors"


def _states(directory: Path) -> list[Path]:
    return sorted((directory / "training").glob("step-*"), reverse=True)


def _take_over(directory: Path, name: str, into: Path) -> None:
    """Copy a file of a state before, its checksum looked at: damage must not be signed as whole."""
    for place in _states(directory):
        try:
            wanted = json.loads((place / CHECKSUMS).read_text())[name]
            shutil.copyfile(place / name, into / name)
        except (FileNotFoundError, ValueError, KeyError):
            continue
        if sha256_of(into / name) == wanted:
            return
    raise UserError(f"{name} is damaged or missing in {directory / 'training'}; go on from the state before it")


def _checked_progress(place: Path) -> Progress:
    """The progress of a state that is whole. Raises what its damage raises."""
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
