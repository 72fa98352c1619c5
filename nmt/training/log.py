"""The run's record: one JSON object a line in `log.jsonl`, and TensorBoard when it is installed."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from nmt.checkpoint import write_text

LOG = "log.jsonl"


class RunLog:
    """Appends records of kind "train" (step, epoch, loss, learning_rate, tokens_per_second, seconds) and
    "validation" (step, loss, bleu, chrf, seconds). Losses are nats a target piece."""

    def __init__(self, directory: Path, resumed_step: int) -> None:
        """Records after `resumed_step`, which a resumed run writes again, are dropped."""
        kept = [record for record in read_log(directory) if record["step"] <= resumed_step]
        write_text(directory / LOG, "".join(json.dumps(record) + "\n" for record in kept))
        self.file = open(directory / LOG, "a", encoding="utf-8")  # noqa: SIM115
        self.tensorboard = _tensorboard(directory, resumed_step)

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Add one record."""
        try:
            self.file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
            self.file.flush()
        except OSError as error:  # a full disk
            error.filename = self.file.name
            raise
        if self.tensorboard:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self.tensorboard.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Close the files."""
        with contextlib.suppress(OSError):  # a record that could not be written has been reported
            self.file.close()
        if self.tensorboard:
            self.tensorboard.close()


def read_log(directory: str | Path) -> list[dict[str, Any]]:
    """All records of a run; an unfinished last line, and what a crash may leave besides, is left out."""
    path = Path(directory) / LOG
    if not path.exists():
        return []
    with open(path, "rb") as file:
        records = [_record(line) for line in file]
    return [record for record in records if record is not None]


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None


def _tensorboard(directory: Path, resumed_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # The points after the resumed step, which are drawn again, are dropped here too.
    return SummaryWriter(directory / "tensorboard", purge_step=resumed_step + 1)
