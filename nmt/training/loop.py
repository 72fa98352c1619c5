"""The training loop: batches, steps, validations, until the budget is spent."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from nmt.batching import BatchSampler
from nmt.checkpoint import WEIGHTS, save_arrays
from nmt.config import RunConfig, TrainingConfig
from nmt.errors import UserError
from nmt.models import Model, own_weights
from nmt.text.subwords import PADDING
from nmt.training.distributed import ALONE, Ranks, device_of_rank
from nmt.training.finite import fault_of, leave_out_step
from nmt.training.log import RunLog
from nmt.training.objective import smoothed_cross_entropy
from nmt.training.optimizers import AnyOptimizer
from nmt.training.pairs import Batch, EncodedPairs
from nmt.training.precision import mixed_precision, type_of_factors
from nmt.training.replicas import Replicas
from nmt.training.schedule import learning_rate
from nmt.training.state import Progress, save_state
from nmt.training.validation import Scores, batch_loss


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop (Ctrl-C, SIGTERM); everything so far is saved."""


def run_steps(
    config: RunConfig,
    directory: Path,
    model: Model,
    optimizer: AnyOptimizer,
    pairs: EncodedPairs,
    progress: Progress,
    log: RunLog | None,
    validation: Callable[[], Scores],
    stop: list[int],
    ranks: Ranks = ALONE,
) -> None:
    """Steps until the budget is spent; changes `progress` and the model.

    A signal's number in `stop` ends it with Interrupted, after the step under way and with the state saved. Every
    rank runs this function; they share the batches of each step, and hold equal weights after it.
    """
    settings = config.training
    device = next(model.parameters()).device
    factors = type_of_factors(settings, device)
    feed = Feed(
        BatchSampler(pairs.source_lengths, pairs.target_lengths, settings.batch_tokens, settings.seed), progress
    )
    step_loss = ranks.parallel(StepLoss(model, settings.label_smoothing, settings.consistency, factors))
    replicas = Replicas(step_loss, settings.seed, torch.get_num_threads() if ranks.count == 1 else 1)
    batches_a_step = max(settings.accumulate, ranks.count)
    meter = Meter(log, progress)
    started = time.monotonic() - progress.seconds
    share = spent(settings, progress, feed)
    progress.finished = progress.finished or share >= 1

    while not progress.finished:
        rate = learning_rate(settings, progress.step + 1, share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        fed = [feed.next() for _ in range(batches_a_step)]
        batches = [pairs.batch(rows, seed).to(device) for rows, seed in ranks.share(fed)]
        tokens = int(*ranks.sum(sum(int((batch.labels != PADDING).sum()) for batch in batches)))
        own_loss = 0.0
        for number, batch in enumerate(batches):
            with ranks.communicating(step_loss, wanted=batch is batches[-1]):
                # Ranks' gradients are averaged: times their number, it is the sum over the step's batches.
                position = (progress.step, ranks.rank, number)
                own_loss += replicas.backward(batch, ranks.count / tokens, position)
        # All ranks know the whole loss, go by the clock of rank 0, and stop when one of them is to.
        clock = time.monotonic() - started if ranks.leads else 0.0
        total_loss, stopping, progress.seconds = ranks.sum(own_loss, len(stop), clock)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or float("inf"))
        if fault := fault_of(total_loss, norm.item()):
            taken = [number for rows, _ in fed for number in pairs.numbers[rows]]
            leave_out_step(fault, taken, batches_a_step, settings, progress, ranks.tell)
        else:
            optimizer.step()
            progress.skipped_in_a_row = 0
        optimizer.zero_grad(set_to_none=True)

        progress.step += 1
        progress.target_tokens += tokens
        share = spent(settings, progress, feed)
        meter.add(total_loss, tokens, rate, share)
        due = progress.step % settings.validate_every == 0 or share >= 1
        if due:
            scores = validation()
            if not math.isfinite(scores.loss):
                raise UserError(
                    f"the dev loss at step {progress.step} is not finite: start anew with a lower "
                    f"training.learning_rate (the state before it is in {directory / 'training'})"
                )
            progress.seconds = time.monotonic() - started
            progress.finished = share >= 1 or out_of_patience(settings, progress)
            (stopping,) = ranks.sum(len(stop))  # asked meanwhile
            if log:
                report(scores, progress, log)
                if progress.validations[-1] == min(progress.validations):
                    write_weights(directory, config, model)
        if due or stopping:
            if ranks.leads:
                save_state(directory, progress, model, optimizer, needed_steps(settings, progress.validations))
            meter.restart()
        if stopping:
            raise Interrupted(f"stopped at step {progress.step}, all saved")
    meter.bar.close()


class StepLoss(nn.Module):
    """The summed loss of a batch as a module, so that what computes gradients in parallel sees all of it."""

    def __init__(
        self, model: Model, smoothing: float, consistency: float = 0.0, factors: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.model, self.smoothing, self.consistency, self.factors = model, smoothing, consistency, factors

    def forward(self, batch: Batch) -> torch.Tensor:
        """The sum over target pieces, in nats."""
        loss = partial(smoothed_cross_entropy, factors=self.factors)
        with mixed_precision(self.factors, batch.source.device):
            return batch_loss(self.model, batch, self.smoothing, loss, self.consistency)


class Feed:
    """One batch after the other, from where `progress` stands, which it moves on."""

    def __init__(self, sampler: BatchSampler, progress: Progress) -> None:
        self.sampler, self.progress = sampler, progress
        self.batches = sampler.batches(progress.epoch)

    def next(self) -> tuple[np.ndarray, int]:
        """The rows of the next batch, and the seed of its subword sampling."""
        progress = self.progress
        if progress.batch == len(self.batches):
            progress.epoch, progress.batch = progress.epoch + 1, 0
            self.batches = self.sampler.batches(progress.epoch)
        rows = self.batches[progress.batch]
        seed = (self.sampler.seed * 1_000_003 + progress.epoch * 10_007 + progress.batch) % 2**31
        progress.batch += 1
        return rows, seed

    @property
    def epochs(self) -> float:
        """Passes over the corpus so far."""
        return self.progress.epoch + self.progress.batch / len(self.batches)


class Meter:
    """The progress bar and the log's "train" records: means over the steps since the last record. Mute without log."""

    EVERY = 20

    def __init__(self, log: RunLog | None, progress: Progress) -> None:
        self.log, self.progress = log, progress
        form = "{percentage:5.1f}%|{bar}|{elapsed}<{remaining}{postfix}"
        self.bar = tqdm(total=100.0, unit="%", disable=None if log else True, bar_format=form)
        self.restart()

    def restart(self) -> None:
        """Forget the steps since the last record, so that a validation's time is not counted as training."""
        self.loss = self.tokens = self.scored = 0.0
        self.since = time.monotonic()

    def add(self, loss: float, tokens: int, rate: float, share: float) -> None:
        """Count a step: summed loss in nats, target pieces, learning rate, share of the budget spent."""
        self.tokens += tokens
        if math.isfinite(loss):
            self.loss += loss
            self.scored += tokens
        if self.log is None or self.progress.step % self.EVERY:
            return
        mean = self.loss / self.scored if self.scored else math.nan
        speed = self.tokens / (time.monotonic() - self.since)
        step = self.progress.step
        self.bar.set_postfix_str(f"step {step}, loss {mean:.3f}, {speed:,.0f} tokens/s, rate {rate:.1e}")
        self.bar.update(100 * min(1.0, share) - self.bar.n)
        self.log.write(
            "train",
            step,
            epoch=self.progress.epoch,
            loss=round(mean, 5) if self.scored else None,
            learning_rate=rate,
            tokens_per_second=round(speed),
            seconds=round(self.progress.seconds, 2),
        )
        self.restart()


def spent(settings: TrainingConfig, progress: Progress, feed: Feed) -> float:
    """The share of the budget that is spent: the largest over steps, epochs and minutes."""
    shares = [0.0]
    if settings.max_steps:
        shares.append(progress.step / settings.max_steps)
    if settings.max_epochs:
        shares.append(feed.epochs / settings.max_epochs)
    if settings.max_minutes:
        shares.append(progress.seconds / 60 / settings.max_minutes)
    return max(shares)


def out_of_patience(settings: TrainingConfig, progress: Progress) -> bool:
    """Whether the best dev loss lies `patience` validations back."""
    losses = [loss for loss, _ in progress.validations]
    return settings.patience is not None and len(losses) - 1 - losses.index(min(losses)) >= settings.patience


def averaged_steps(settings: TrainingConfig, validations: list[list[float]]) -> list[int]:
    """The steps whose weights the final average is made of, were training to end after these [dev loss, step]."""
    if settings.average == "none":
        return [int(min(validations)[1])]
    ranked = sorted(validations) if settings.average == "best" else validations[::-1]
    return [int(step) for _, step in ranked[: settings.average_count]]


def needed_steps(settings: TrainingConfig, validations: list[list[float]]) -> list[int]:
    """The steps whose weights the end of training may ask for: those of the average, and the best."""
    if not validations:
        return []
    return sorted({*averaged_steps(settings, validations), int(min(validations)[1])})


def write_weights(directory: Path, config: RunConfig, model: Model) -> None:
    """Make the model's weights the checkpoint's own, in the type that `training.weights` asks for."""
    kind = np.dtype(config.training.weights)
    save_arrays(directory / WEIGHTS, {name: tensor.numpy().astype(kind) for name, tensor in own_weights(model).items()})


def report(scores: Scores, progress: Progress, log: RunLog) -> None:
    """Write a validation to the log and to standard error."""
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


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` takes CUDA, then MPS, then the CPU. Raises UserError when it is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available[name]:
        raise UserError(f"this machine has no {name} device; set training.device to auto")
    return device_of_rank(torch.device(name))


@contextlib.contextmanager
def graceful_signals() -> Iterator[list[int]]:
    """Within the block, SIGINT, SIGTERM and a closed terminal's SIGHUP (unless nohup ignores it) are noted in the list
    instead of stopping the process at once."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        if received:  # asked twice: do not wait for the step to end
            raise KeyboardInterrupt
        received.append(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    kept = {number: signal.signal(number, note) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
