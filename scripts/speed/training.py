"""The training claim: target tokens a second beside JoeyNMT and a plain loop, and the share of the GEMM peak."""

from __future__ import annotations

import json
import tempfile

import torch

from nmt.training.precision import compute_dtype_of
from scripts import captions, joeynmt
from scripts.report import THREADS
from scripts.speed.claim import Claim, Told
from scripts.speed.turns import Contestant, Figures, contest, rates

SECONDS, ROUNDS = 10, 3
WIDE = {"width": 256, "feed_forward": 1024}


def measure() -> dict:
    """Raw replies of all contestants."""
    pairs = captions.corpus()
    text = joeynmt.write_captions(pairs)
    turn, long_turn = {"seconds": SECONDS}, {"seconds": 4 * SECONDS}  # JoeyNMT's steps take two seconds each
    cores = str(THREADS)
    contestants = [
        Contestant("ours", "ours_training", ["captions", "{}", "float32", cores], turn),
        Contestant("plain", "plain_training", ["{}", "same"], turn),
        Contestant("plain-all-dropout", "plain_training", ["{}", "all"], turn),
        Contestant("ours-wide", "ours_training", ["captions", json.dumps(WIDE), "float32", cores], turn),
        Contestant("gemm", "ours", ["gemm"], {"seconds": 3}),
    ]
    if compute_dtype_of(captions.config().training.model_copy(update={"precision": "auto"}), torch.device("cpu")):
        contestants.append(Contestant("ours-bfloat16", "ours_training", ["captions", "{}", "bfloat16", cores], turn))
    with tempfile.TemporaryDirectory() as directory:
        configuration = json.dumps(joeynmt_training(str(text), directory))
        contestants.insert(1, Contestant("joeynmt", "joeynmt_peer", ["train", configuration], long_turn, True))
        return contest(contestants, ROUNDS)


def joeynmt_training(text: str, directory: str) -> dict:
    """The same model, batches of the same budget, Adam, clipping and warm-up, by JoeyNMT's own loop."""
    config = captions.config()
    settings = config.training
    joey = joeynmt.configuration(config, text, directory, ("train", "dev"))
    joey["training"] = joeynmt.TRAINING | {
        "optimizer": "adamw",
        "learning_rate_warmup": settings.warmup_steps,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_tokens,
        "validation_freq": 10**9,
    }
    return joey


NAMES = {
    "ours": "nmt",
    "joeynmt": "JoeyNMT 2.3.0, its own loop",
    "plain": "nn.Transformer, nn.Dropout, F.cross_entropy; dropout in the same places",
    "plain-all-dropout": "the same, with all of nn.Transformer's dropout",
    "ours-bfloat16": "nmt, products of bfloat16 factors: what `training.precision: auto` is on this processor",
    "ours-wide": "nmt, width 256, feed-forward 1,024",
}
PEERS = {
    "joeynmt": "JoeyNMT",
    "plain-all-dropout": "a plain loop, unmodified nn.Transformer",
    "plain": "a plain loop, nn.Transformer with dropout where nmt has it",
}


def tell(replies: dict) -> Told:
    """The table, the ratios of medians, the share of the peak."""
    speed = {name: rates(replies[name], "tokens") for name in NAMES if name in replies}
    peak = {name: max(reply["peak_bytes"] for reply in replies[name]) for name in speed}
    rows = [[NAMES[name], speed[name].text(), f"{peak[name] / 1e6:,.0f}"] for name in speed]
    # Turns of the same round lie beside each other, so their share drifts less than the machine does.
    shares = [
        (ours["flops"] / ours["seconds"]) / (gemm["flops"] / gemm["seconds"])
        for ours, gemm in zip(replies["ours-wide"], replies["gemm"], strict=True)
    ]
    gemm, wide = rates(replies["gemm"], "flops"), rates(replies["ours-wide"], "flops")
    summary = [
        (f"training: tokens a second, nmt to {name}", f"{speed['ours'].median / speed[peer].median:.2f}x")
        for peer, name in PEERS.items()
        if peer in speed
    ]
    summary.append(("training: share of the GEMM peak at width 256", f"{Figures.of(shares).median:.1%}"))
    summary.append(("training: GFLOP/s at width 256", f"{wide.median / 1e9:.0f}"))
    summary.append(("training: GEMM peak, GFLOP/s", f"{gemm.median / 1e9:.0f}"))
    if "ours-bfloat16" in speed:
        gain = speed["ours-bfloat16"].median / speed["ours"].median
        summary.append(("training: tokens a second, nmt with bfloat16 factors to nmt with float32", f"{gain:.2f}x"))
    return Told(["contestant", "target tokens a second", "peak memory, MB"], rows, summary)


CLAIM = Claim("training", measure, tell)
