"""What a run must remember to go on bit for bit, in directories that are whole or absent."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nmt.errors import UserError
from nmt.files import atomic_path, sha256_of
from nmt.models import load_weights, own_weights

KEPT_STATES = 2
"""Whole states kept, so that damage to the newest loses one interval at most."""


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


def save_state(
    directory: Path, progress: Progress, model: nn.Module, optimizer: torch.optim.Optimizer, kept: list[int]
) -> Path:
    """Write `training/step-N`: weights, optimizer, random state, progress, checksums; prune older ones.

    The weights kept for the average at the steps `kept` belong to the state: their checksums are among its own.
    """
    place = directory / "training" / f"step-{progress.step:08d}"
    with atomic_path(place) as temporary:
        temporary.mkdir()
        save_file(own_weights(model), temporary / "weights.safetensors")
        random = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            random["cuda"] = torch.cuda.get_rng_state()
        torch.save({"optimizer": optimizer.state_dict(), "random": random}, temporary / "optimizer.pt")
        (temporary / "progress.json").write_text(json.dumps(dataclasses.asdict(progress)))
        hashes = {path.name: sha256_of(path) for path in temporary.iterdir()}
        for path in (_average_file(directory / "training" / "average", step) for step in kept):
            hashes[f"../average/{path.name}"] = sha256_of(path)
        (temporary / "checksums.json").write_text(json.dumps(hashes))
    for old in _states(directory)[KEPT_STATES:]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def load_state(directory: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Progress, str]:
    """Restore the newest whole state; also says in words which it is, and which were damaged.

    With no state at all, which is what an early end leaves, training is to begin. Raises UserError when every
    state is damaged.
    """
    damaged = []
    for place in _states(directory):
        if not _is_whole(place):
            damaged.append(place.name)
            continue
        tensors = torch.load(place / "optimizer.pt", map_location="cpu", weights_only=True)
        load_weights(model, load_file(place / "weights.safetensors"), place)
        optimizer.load_state_dict(tensors["optimizer"])
        torch.set_rng_state(tensors["random"]["cpu"])
        if "cuda" in tensors["random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random"]["cuda"])
        note = f" ({', '.join(damaged)} damaged)" if damaged else ""
        return Progress(**json.loads((place / "progress.json").read_text())), f"resuming from {place}{note}"
    if damaged:
        raise UserError(f"every saved state in {directory / 'training'} is damaged; start anew with --overwrite")
    return Progress(), f"no state was saved in {directory} yet: training from the beginning"


def keep_for_average(directory: Path, step: int, model: nn.Module, wanted: list[int]) -> None:
    """Keep this step's weights for the final average, and drop those that are not `wanted` any more."""
    folder = directory / "training" / "average"
    with atomic_path(_average_file(folder, step)) as temporary:
        save_file(own_weights(model), temporary)
    for path in folder.glob("*.safetensors"):
        if path.name not in {_average_file(folder, number).name for number in wanted}:
            path.unlink()


def average(directory: Path, steps: list[int]) -> dict[str, torch.Tensor]:
    """The mean of the weights kept at `steps`, summed in double precision."""
    folder = directory / "training" / "average"
    total: dict[str, torch.Tensor] = {}
    for step in steps:
        for name, tensor in load_file(_average_file(folder, step)).items():
            total[name] = total.get(name, 0) + tensor.double()
    return {name: (tensor / len(steps)).float() for name, tensor in total.items()}


def _average_file(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}.safetensors"


def _states(directory: Path) -> list[Path]:
    return sorted((directory / "training").glob("step-*"), reverse=True)


def _is_whole(place: Path) -> bool:
    try:
        hashes = json.loads((place / "checksums.json").read_text())
        names = {"weights.safetensors", "optimizer.pt", "progress.json"}
        return names <= set(hashes) and all(sha256_of(place / name) == value for name, value in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False
