"""Time of a training step by operator, from torch's profiler: a plain loop and this project."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from nmt.batching import BatchSampler
from nmt.models import build_model
from nmt.training.loss import Objective, batch_loss
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import Batch
from scripts import captions
from scripts.speed.claim import Claim, Told
from scripts.speed.workers import plain_training

WARM_UP, STEPS, SHOWN = 5, 10, 20


def measure() -> dict:
    """Milliseconds a step of each operator alone, on one thread, by both loops over the same batches."""
    config = captions.config()
    pairs, vocabulary = captions.encoded(config)
    rows = BatchSampler(pairs.source_lengths, pairs.target_lengths, config.training.batch_tokens).batches(0)
    batches = [pairs.batch(rows[number]) for number in range(WARM_UP + STEPS)]
    torch.set_num_threads(1)
    torch.manual_seed(1)
    clip_norm = config.training.clip_norm

    plain = plain_training.PlainTransformer(config.model, vocabulary, dropout_everywhere=False)
    plain_optimizer = plain_training.plain_optimizer(plain)
    model = build_model(config.model, vocabulary).train()
    optimizer = make_optimizer(model, config.training)

    def step(batch: Batch) -> None:
        (batch_loss(model, batch, Objective(0.1)) / len(batch.labels)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return {
        "before": operators(lambda batch: plain_training.step(plain, plain_optimizer, batch, clip_norm), batches),
        "after": operators(step, batches),
    }


def operators(step: Callable[[Batch], None], batches: list[Batch]) -> dict[str, float]:
    """Milliseconds a step of every operator itself."""
    for batch in batches[:WARM_UP]:
        step(batch)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for batch in batches[WARM_UP:]:
            step(batch)
    return {event.key: event.self_cpu_time_total / 1000 / STEPS for event in recorded.key_averages()}


def tell(replies: dict) -> Told:
    """The operators that cost most in either loop, and the rest in one line."""
    before, after = replies["before"], replies["after"]
    cost = {name: max(before.get(name, 0.0), after.get(name, 0.0)) for name in before | after}
    shown = sorted(cost, key=lambda name: -cost[name])[:SHOWN]
    sides = [[side.get(name, 0.0) for name in shown] for side in (before, after)]
    rests = [sum(side.values()) - sum(top) for side, top in zip((before, after), sides, strict=True)]
    rows = [[f"`{name}`", f"{one:.1f}", f"{other:.1f}"] for name, one, other in zip(shown, *sides, strict=True)]
    rows.append(["all others", *(f"{rest:.1f}" for rest in rests)])
    rows.append(["together", *(f"{sum(side.values()):.1f}" for side in (before, after))])
    return Told(["operator, itself", "plain loop, ms a step", "nmt, ms a step"], rows)


CLAIM = Claim("profile", measure, tell)
