"""The training loop: feed, loss, gradient, step, validation, state, until the budget is spent."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable

import numpy as np
import torch

from nmt.config import TrainingConfig
from nmt.errors import UserError
from nmt.models import Model
from nmt.training.context import Run
from nmt.training.gradients import Gradients
from nmt.training.log import Meter, RunLog, report
from nmt.training.loss import non_finite_reason
from nmt.training.optimizers import AnyOptimizer
from nmt.training.pairs import EncodedPairs, Feed
from nmt.training.schedule import learning_rate
from nmt.training.signals import Interrupted, graceful_signals
from nmt.training.state import Progress, needed_steps, save_state, write_weights
from nmt.training.validation import Scores
from nmt.training.workers import computing_with

NAMED = 5
"""Sentence pairs that a message about a skipped step lists."""


def run_steps(
    run: Run,
    model: Model,
    optimizer: AnyOptimizer,
    pairs: EncodedPairs,
    progress: Progress,
    validate: Callable[[Model], Scores],
) -> None:
    """Train `model` until the budget is spent; advances `progress`.

    All ranks run this function: they share the batches of each step and hold equal weights after it. Raises
    Interrupted after a signal, once the step under way is done and the state is saved.
    """
    settings, ranks = run.config.training, run.ranks
    feed = Feed(pairs, settings.batch_tokens, settings.seed, progress)
    started = time.monotonic() - progress.seconds
    share = spent(settings, progress, feed)
    progress.finished = progress.finished or share >= 1
    if progress.finished:
        return

    with contextlib.ExitStack() as held:
        gradients = held.enter_context(contextlib.closing(Gradients(run, model, pairs)))
        stop = held.enter_context(graceful_signals())
        log = held.enter_context(contextlib.closing(RunLog(run.directory, progress.step))) if ranks.leads else None
        meter = Meter(log, progress, settings.warmup_steps, feed.augmented)
        while not progress.finished:
            rate = learning_rate(settings, progress.step + 1, share)
            for group in optimizer.param_groups:
                group["lr"] = rate
            fed = [feed.next() for _ in range(max(settings.accumulate, ranks.count))]
            with computing_with(gradients.replicas.threads):
                own_loss, tokens = gradients.add(fed, progress.step)
                # Every rank knows the whole loss, uses the clock of rank 0, and stops when any rank received a signal.
                clock = time.monotonic() - started if ranks.leads else 0.0
                loss, stopping, progress.seconds = ranks.sum(own_loss, len(stop), clock)
                norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or float("inf"))
                if reason := non_finite_reason(loss, norm.item()):
                    ranks.tell(skip_step(settings, progress, reason, [pairs.numbers[one.rows] for one in fed]))
                else:
                    optimizer.step()
                    progress.skipped_in_a_row = 0
                optimizer.zero_grad(set_to_none=True)

            progress.step += 1
            progress.target_tokens += tokens
            share = spent(settings, progress, feed)
            meter.add(loss, tokens, rate, share)
            due = progress.step % settings.validate_every == 0 or share >= 1
            if due:
                scores = validate(model)
                check_finite(run, progress, scores)
                progress.validations.append([scores.loss, progress.step])
                progress.seconds = time.monotonic() - started
                progress.finished = share >= 1 or out_of_patience(settings, progress)
                (stopping,) = ranks.sum(len(stop))  # a signal during validation counts too
                if log:
                    report(scores, progress, log)
                    if progress.validations[-1] == min(progress.validations):
                        write_weights(run.directory, run.config, model)
            if due or stopping:
                if ranks.leads:
                    kept = needed_steps(settings, progress.validations)
                    save_state(run.directory, progress, model, optimizer, kept)
                meter.restart()
            if stopping:
                raise Interrupted(f"stopped at step {progress.step}, all saved")
        meter.close()


def spent(settings: TrainingConfig, progress: Progress, feed: Feed) -> float:
    """The share of the budget spent: the largest of its shares in steps, epochs and minutes."""
    shares = [0.0]
    if settings.max_steps:
        shares.append(progress.step / settings.max_steps)
    if settings.max_epochs:
        shares.append(feed.epochs / settings.max_epochs)
    if settings.max_minutes:
        shares.append(progress.seconds / 60 / settings.max_minutes)
    return max(shares)


def out_of_patience(settings: TrainingConfig, progress: Progress) -> bool:
    """Whether `patience` validations have passed since the best dev loss."""
    losses = [loss for loss, _ in progress.validations]
    return settings.patience is not None and len(losses) - 1 - losses.index(min(losses)) >= settings.patience


def skip_step(settings: TrainingConfig, progress: Progress, reason: str, numbers: list[np.ndarray]) -> str:
    """Record a skipped step; returns the message. `numbers` are its pairs in the training split, an array per batch.

    Raises UserError if `training.non_finite` is `stop`, or after `training.non_finite_limit` skipped steps in a row.
    """
    progress.skipped += 1
    progress.skipped_in_a_row += 1
    pairs = sorted(np.concatenate(numbers).tolist())
    named = ", ".join(map(str, pairs[:NAMED]))
    more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    batches = f"batch {progress.batch}" if len(numbers) == 1 else f"batches up to {progress.batch}"
    where = f"step {progress.step + 1} (epoch {progress.epoch}, {batches}, pairs {named}{more}): {reason}"
    if settings.non_finite == "stop":
        raise UserError(
            f"{where}; the last good state is kept: see to these pairs, or start anew with a lower "
            "training.learning_rate or training.non_finite=skip"
        )
    if progress.skipped_in_a_row >= settings.non_finite_limit:
        raise UserError(
            f"{where}, as in {progress.skipped_in_a_row} steps in a row (training.non_finite_limit); "
            "the last good state is kept: start anew with a lower training.learning_rate"
        )
    return f"{where}; step skipped"


def check_finite(run: Run, progress: Progress, scores: Scores) -> None:
    """Raise UserError for a dev loss that is infinite or NaN."""
    if not math.isfinite(scores.loss):
        raise UserError(
            f"the dev loss at step {progress.step} is not finite: start anew with a lower "
            f"training.learning_rate (the state before it is in {run.directory / 'training'})"
        )
