"""Where a training step's time goes, by operator, from torch's profiler: the table of the profile section."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from benchmark import multi30k
from benchmark.claim import Claim, Told
from nmt.batching import BatchSampler
from nmt.models import build_model
from nmt.training.loop import make_optimizer
from nmt.training.objective import smoothed_cross_entropy
from nmt.training.run import encode_splits
from nmt.training.validation import batch_loss

WARM_UP, STEPS, SHOWN = 5, 10, 15


def measure(quick: bool) -> dict:
    """Milliseconds a step of each operator alone, on one thread."""
    config = multi30k.config()
    corpus = multi30k.corpus()
    subwords = multi30k.subwords(corpus)
    pairs, _ = encode_splits(config, corpus, subwords, print)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = build_model(config.model, len(subwords)).train()
    optimizer = make_optimizer(model, config.training)
    rows = BatchSampler(pairs.source_lengths, pairs.target_lengths, config.training.batch_tokens).batches(0)

    def step(number: int) -> None:
        batch = pairs.batch(rows[number])
        (batch_loss(model, batch, 0.1, smoothed_cross_entropy) / len(batch.labels)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for number in range(WARM_UP):
        step(number)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for number in range(WARM_UP, WARM_UP + (2 if quick else STEPS)):
            step(number)
    steps = 2 if quick else STEPS
    events = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
    return {
        "operators": [
            {"name": event.key, "milliseconds": event.self_cpu_time_total / 1000 / steps, "calls": event.count / steps}
            for event in events
        ]
    }


def tell(replies: dict) -> Told:
    """The costliest operators, and the rest in one line."""
    operators = replies["operators"]
    total = sum(one["milliseconds"] for one in operators)
    rows = [
        [f"`{one['name']}`", f"{one['milliseconds']:.1f}", f"{one['milliseconds'] / total:.0%}", f"{one['calls']:.0f}"]
        for one in operators[:SHOWN]
    ]
    rest = sum(one["milliseconds"] for one in operators[SHOWN:])
    rows.append(["all others", f"{rest:.1f}", f"{rest / total:.0%}", ""])
    notes = ["Multi30k, the network of the training claim, one thread, the profiler's own cost included."]
    return Told(["operator", "ms a step, itself", "share", "calls a step"], rows, (), notes)


CLAIM = Claim("profile", "Where a training step goes", measure, tell)
