"""The run's record: one JSON object a line in `log.jsonl`, and TensorBoard when it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class RunLog:
    """Appends records of kind "train" (step, epoch, loss, learning_rate, tokens_per_second, seconds) and
    "validation" (step, loss, bleu, chrf, seconds). Losses are nats a target piece."""

    def __init__(self, directory: Path, resumed_step: int) -> None:
        """Records after `resumed_step`, which a resumed run writes again, are dropped."""
        self.path = directory / "log.jsonl"
        kept = [line for line in _whole_lines(self.path) if json.loads(line)["step"] <= resumed_step]
        self.file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115
        self.file.writelines(kept)
        self.tensorboard = _tensorboard(directory)

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add one record."""
        self.file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        self.file.flush()
        if self.tensorboard:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self.tensorboard.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Close the files."""
        self.file.close()
        if self.tensorboard:
            self.tensorboard.close()


def read_log(directory: str | Path) -> list[dict[str, Any]]:
    """All records of a run; an unfinished last line is left out."""
    return [json.loads(line) for line in _whole_lines(Path(directory) / "log.jsonl")]


def _whole_lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as file:
        return [line for line in file if line.endswith("\n")]


def _tensorboard(directory: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(directory / "tensorboard")
