"""The training log: JSON lines in `log.jsonl`, TensorBoard if installed, and the progress bar."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from nmt.checkpoint import write_text

if TYPE_CHECKING:
    from nmt.config import RunConfig
    from nmt.training.state import Progress
    from nmt.training.validation import Scores

LOG = "log.jsonl"


class RunLog:
    """Appends records of two kinds: "train" (step, epoch, loss, learning_rate, tokens_per_second, seconds, and
    `augmented`: the pairs of each kind of `data.augment` since the last record) and "validation" (step, loss, bleu,
    chrf, seconds). Losses are nats per target piece."""

    def __init__(self, directory: Path, resumed_step: int) -> None:
        """Drops records after `resumed_step`, which a resumed run writes again."""
        kept = [record for record in read_log(directory) if record["step"] <= resumed_step]
        write_text(directory / LOG, "".join(json.dumps(record) + "\n" for record in kept))
        self.file = open(directory / LOG, "a", encoding="utf-8")  # noqa: SIM115
        self.tensorboard = _tensorboard(directory, resumed_step)

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one record."""
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
        with contextlib.suppress(OSError):  # the failed write was reported already
            self.file.close()
        if self.tensorboard:
            self.tensorboard.close()


def describe_budget(config: RunConfig, has_head: bool = False) -> str:
    """One line: the budgets of translator and alignment head, unless it `has_head`, in the order of their training."""
    budget = config.training
    parts = ((budget.max_steps, "steps"), (budget.max_epochs, "epochs"), (budget.max_minutes, "minutes"))
    limits = [f"{most:,.10g} {unit}" for most, unit in parts if most is not None]
    translator = f"{' or '.join(limits)} for the translator"
    if has_head or not config.alignment.head:
        return f"budget: {translator}"
    recipe = config.alignment.recipe
    limit = f"{recipe.student_steps:,} steps" if recipe else f"about {config.head_minutes:g} minutes of two idle cores"
    head = f"{limit} for the alignment head"
    first, second = (head, translator) if config.alignment.guide_weight else (translator, head)
    return f"budget: {first}, then {second}"


class Meter:
    """Progress bar and "train" records, which average over the steps since the last record. Silent without a log."""

    EVERY = 20
    """Steps from one record to the next."""
    SECONDS = 30.0
    """From one printed record to the next where no bar is drawn: standard error is no terminal."""

    def __init__(
        self, log: RunLog | None, progress: Progress, warmup_steps: int = 0, augmented: Mapping[str, int] | None = None
    ) -> None:
        """Warns of a warm-up of `warmup_steps` that the budget will not reach. `augmented` goes on counting."""
        self.log, self.progress, self.warmup_steps = log, progress, warmup_steps
        self.augmented = {} if augmented is None else augmented
        self.recorded: Counter[str] = Counter()
        form = "{percentage:5.1f}%|{bar}|{elapsed}<{remaining}{postfix}"
        self.bar = tqdm(total=100.0, unit="%", disable=None if log else True, bar_format=form)
        self.printed = time.monotonic()
        self.restart()

    def restart(self) -> None:
        """Start a new average, so that validation time does not count as training."""
        self.loss = self.tokens = self.scored = 0.0
        self.since = time.monotonic()

    def add(self, loss: float, tokens: int, rate: float, share: float) -> None:
        """Add a step: summed loss in nats, target pieces, learning rate, share of the budget spent."""
        self.tokens += tokens
        if math.isfinite(loss):
            self.loss += loss
            self.scored += tokens
        if self.log is None:
            return
        self.bar.update(100 * min(1.0, share) - self.bar.n)
        if self.progress.step % self.EVERY:
            return
        if self.warmup_steps * share > self.progress.step:
            expected = round(self.progress.step / share)
            warnings.warn(
                f"at this speed the budget is about {expected:,} steps, fewer than the warm-up of "
                f"{self.warmup_steps:,}: the learning rate never reaches its peak; training.warmup_steps="
                f"{max(1, expected // 10)} would let it, or a larger budget",
                stacklevel=2,
            )
            self.warmup_steps = 0
        mean = self.loss / self.scored if self.scored else math.nan
        speed = self.tokens / (time.monotonic() - self.since)
        step = self.progress.step
        told = f"step {step}, loss {mean:.3f}, {speed:,.0f} tokens/s, rate {rate:.1e}"
        self.bar.set_postfix_str(told)
        if self.bar.disable and time.monotonic() - self.printed >= self.SECONDS:
            self.printed = time.monotonic()
            print(f"{share:.0%} of the budget, {told}", file=sys.stderr, flush=True)
        counts = Counter(self.augmented)
        more = {"augmented": dict(counts - self.recorded)} if counts else {}
        self.recorded = counts
        self.log.write(
            "train",
            step,
            epoch=self.progress.epoch,
            loss=round(mean, 5) if self.scored else None,
            learning_rate=rate,
            tokens_per_second=round(speed),
            seconds=round(self.progress.seconds, 2),
            **more,
        )
        self.restart()

    def close(self) -> None:
        """Close the bar, and print how many pairs were augmented."""
        self.bar.close()
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.augmented.items() if count)
        if self.log and kinds:
            tqdm.write(f"augmented pairs: {kinds}", file=sys.stderr)


def report(scores: Scores, progress: Progress, log: RunLog) -> None:
    """Write a validation's scores to the log and to standard error."""
    log.write(
        "validation",
        progress.step,
        loss=round(scores.loss, 5),
        bleu=round(scores.bleu, 2),
        chrf=round(scores.chrf, 2),
        seconds=round(progress.seconds, 2),
    )
    tqdm.write(
        f"step {progress.step}, epoch {progress.epoch}, {progress.seconds / 60:.1f} minutes: "
        f"dev loss {scores.loss:.3f}, BLEU {scores.bleu:.1f}, chrF {scores.chrf:.1f}",
        file=sys.stderr,
    )
    for source, translation, reference in scores.examples:
        tqdm.write(f"    {source}\n    -> {translation}\n    == {reference}", file=sys.stderr)


def read_log(directory: str | Path) -> list[dict[str, Any]]:
    """All records of a run, except lines that a crash left incomplete."""
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
    return SummaryWriter(directory / "tensorboard", purge_step=resumed_step + 1)
