"""The accuracy claim: losses of the fast path beside those of a plain one."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from nmt.batching import BatchSampler
from nmt.inspection.drawing import new_figure, save
from nmt.models import build_model
from nmt.models.dropout import Dropout
from nmt.training.gradients import Replicas
from nmt.training.loss import Objective, StepLoss, batch_loss, plain_cross_entropy
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import BatchPlan, EncodedPairs
from scripts import captions
from scripts.report import COLOURS, THREADS, legend, prepare
from scripts.speed.claim import Claim, Told

STEPS, SEEDS, LAST = 120, 5, 30
BATCH_TOKENS = 1024


def measure() -> dict:
    """Losses of every step by both paths: without dropout with one seed in float64, with dropout with several."""
    torch.set_num_threads(THREADS)
    pairs, vocabulary = captions.encoded(captions.config())
    found: dict[str, list[list[float]]] = {}
    for dropout, used in ((0.0, [1]), (0.3, range(1, SEEDS + 1))):
        for path in ("fast", "plain"):
            found[f"{path}, dropout {dropout}"] = [losses(path, dropout, seed, pairs, vocabulary) for seed in used]
    return found


def losses(path: str, dropout: float, seed: int, pairs, vocabulary: int) -> list[float]:
    """Nats a target piece, label smoothing included, at each of the first steps."""
    config = captions.config(dropout=dropout)
    settings = config.training.model_copy(update={"learning_rate": 2e-3})
    torch.manual_seed(seed)
    model = build_model(config.model, vocabulary)
    if not dropout:
        model.double()  # in float32 what is rounded otherwise grows from step to step and hides what is compared
    with contextlib.ExitStack() as held:
        own = model, settings, pairs
        backward = fast_path(held, *own, seed) if path == "fast" else plain_path(*own)
        optimizer = make_optimizer(model, settings)
        batches = BatchSampler(pairs.source_lengths, pairs.target_lengths, BATCH_TOKENS, seed=1).batches(0)
        curve = []
        for step, rows in enumerate(batches[:STEPS]):
            tokens = int(pairs.target_lengths[rows].sum())
            curve.append(backward(rows, tokens, step) / tokens)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return curve


Backward = Callable[[np.ndarray, int, int], float]
"""Adds the gradients of a batch's loss, given its rows, its tokens and the step; returns its summed loss."""


def fast_path(held: contextlib.ExitStack, model, settings, pairs: EncodedPairs, seed: int) -> Backward:
    """The training loop's path."""
    replicas = Replicas(StepLoss(model, Objective(settings.label_smoothing)), pairs, seed, THREADS)
    held.callback(replicas.close)

    def backward(rows: np.ndarray, tokens: int, step: int) -> float:
        loss, _ = replicas.backward(BatchPlan(rows, 0, None), (step,))
        replicas.scale(1 / tokens)
        return loss

    return backward


def plain_path(model, settings, pairs: EncodedPairs) -> Backward:
    """One network, torch's dropout, and the cross-entropy of all logits at once."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.threshold / 256))
    model.train()

    def backward(rows: np.ndarray, tokens: int, _step: int) -> float:
        loss = batch_loss(model, pairs.batch(rows), Objective(settings.label_smoothing), plain_cross_entropy)
        (loss / tokens).backward()
        return loss.item()

    return backward


def tell(replies: dict) -> Told:
    """Largest difference without dropout; means and their spread with it."""
    exact = np.array(replies["fast, dropout 0.0"]) - np.array(replies["plain, dropout 0.0"])
    paths = ("fast", "plain")
    ends = {path: [float(np.mean(one[-LAST:])) for one in replies[f"{path}, dropout 0.3"]] for path in paths}
    means = {path: statistics.mean(values) for path, values in ends.items()}
    # The standard error of the difference of two means of so many seeds.
    error = sum(statistics.variance(values) / len(values) for values in ends.values()) ** 0.5
    apart = abs(means["fast"] - means["plain"]) / error
    largest = float(np.abs(exact).max())
    rows = [["largest difference of any step's loss, dropout 0, one seed, float64", f"{largest:.1e} nats"]]
    for path, values in ends.items():
        seeds = f"{len(values)} seeds, {min(values):.4f} to {max(values):.4f}"
        rows.append([f"{path} path, dropout 0.3, mean loss of the last {LAST} steps", f"{means[path]:.4f} ({seeds})"])
    summary = [
        ("fast and plain path: largest difference of losses, dropout 0, float64", f"{largest:.3g} nats"),
        ("fast and plain path: difference of the means with dropout, in standard errors", f"{apart:.3g}"),
    ]
    return Told(["", "loss"], rows, summary)


def draw(replies: dict, path: str) -> None:
    """Both paths' mean curves, a panel for each dropout."""
    figure = new_figure(10, 3.2)
    for axes, dropout in zip(figure.subplots(1, 2, sharey=True), ("0.0", "0.3"), strict=True):
        prepare(axes, f"dropout {float(dropout):g}", "step", "nats a piece")
        for name, style in (("fast", "-"), ("plain", "--")):
            curve = np.mean(replies[f"{name}, dropout {dropout}"], axis=0)
            axes.plot(curve, style, color=COLOURS[name == "plain"], linewidth=1.2, label=f"{name} path")
    legend(figure.axes[0])
    figure.tight_layout()
    save(figure, path)


CLAIM = Claim("curves", measure, tell, draw)
