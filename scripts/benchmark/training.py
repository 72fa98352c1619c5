"""The training claim: target tokens a second beside JoeyNMT and a plain loop, and the share of the GEMM peak."""

from __future__ import annotations

import json
import tempfile

import torch

from benchmark import joeynmt, multi30k
from benchmark.claim import Claim, Goal, Told
from benchmark.contest import Contestant, Figures, contest, rates
from benchmark.flops import FORMULA
from nmt.training.precision import compute_dtype_of

SECONDS, ROUNDS = 10, 3
QUICK_SECONDS, QUICK_ROUNDS = 8, 3
WIDE = {"width": 256, "feed_forward": 1024}


def measure(quick: bool) -> dict:
    """Raw replies of all contestants; the quick form is ours and the plain loop alone."""
    pairs = multi30k.corpus()
    text = multi30k.write_text_files(pairs)
    seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if quick else (SECONDS, ROUNDS)
    turn, long_turn = {"seconds": seconds}, {"seconds": 4 * seconds}  # JoeyNMT's steps take two seconds each
    contestants = [
        Contestant("ours", "ours_training.py", ["{}", "float32"], turn),
        Contestant("plain", "plain_training.py", ["{}", "same"], turn),
        Contestant("plain-all-dropout", "plain_training.py", ["{}", "all"], turn),
        Contestant("ours-wide", "ours_training.py", [json.dumps(WIDE), "float32"], turn),
        Contestant("gemm", "gemm.py", (), {"seconds": 3}),
    ]
    if compute_dtype_of(multi30k.config().training.model_copy(update={"precision": "auto"}), torch.device("cpu")):
        contestants.append(Contestant("ours-bfloat16", "ours_training.py", ["{}", "bfloat16"], turn))
    if quick:
        contestants = [one for one in contestants if one.name != "plain-all-dropout"]
    with tempfile.TemporaryDirectory() as directory:
        if not quick:
            configuration = json.dumps(joeynmt_training(str(text), directory))
            contestants.insert(1, Contestant("joeynmt", "joeynmt_training.py", [configuration], long_turn, True))
        return contest(contestants, rounds)


def joeynmt_training(text: str, directory: str) -> dict:
    """The same model, batches of the same budget, Adam, clipping and warm-up, by JoeyNMT's own loop."""
    config = multi30k.config()
    settings = config.training
    joey = joeynmt.configuration(config.model, "en", "de", text, directory, train=f"{text}/train", dev=f"{text}/dev")
    joey["training"] = {
        "optimizer": "adamw",
        "normalization": "tokens",
        "adam_betas": [settings.beta1, settings.beta2],
        "scheduling": "warmupinversesquareroot",
        "learning_rate_warmup": settings.warmup_steps,
        "learning_rate": settings.learning_rate,
        "clip_grad_norm": settings.clip_norm,
        "label_smoothing": settings.label_smoothing,
        "batch_size": settings.batch_tokens,
        "batch_type": "token",
        "epochs": 10**6,
        "validation_freq": 10**9,
        "logging_freq": 100,
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
    goals = [
        Goal(f"training: tokens a second, nmt to {name}", speed["ours"].median / speed[peer].median, goal)
        for peer, name, goal in (
            ("joeynmt", "JoeyNMT", 6.0),
            ("plain-all-dropout", "a plain loop, nn.Transformer as it comes", 2.2),
            ("plain", "a plain loop, nn.Transformer with dropout where nmt has it", 2.2),
        )
        if peer in speed
    ]
    goals.append(Goal("training: share of the GEMM peak at width 256", Figures.of(shares).median, 0.55, "%"))
    if "ours-bfloat16" in speed:
        gain = speed["ours-bfloat16"].median / speed["ours"].median
        goals.append(Goal("training: tokens a second, nmt with bfloat16 factors to nmt with float32", gain, 1.5))
    gemm, wide = rates(replies["gemm"], "flops"), rates(replies["ours-wide"], "flops")
    notes = [
        f"Multi30k English-German, {multi30k.VOCABULARY:,} joint BPE pieces; 4+4 layers, width 128, feed-forward 256, "
        "4 heads, pre-norm, dropout 0.3, label smoothing 0.1, tied embeddings; batches of at most 4,096 padded pieces "
        "of the longer side (JoeyNMT draws its batches by chance and pads more: that is its loop). Tokens are target "
        "pieces with `</s>`, without padding. No validation, no saving. All multiply float32, but for the row that "
        "says otherwise.",
        f"At width 256 and feed-forward 1,024: {wide.median / 1e9:.0f} GFLOP/s of a GEMM peak of "
        f"{gemm.median / 1e9:.0f} (products of [2048, 2048] matrices in float32); the "
        f"share above is the median over turns side by side. {FORMULA}",
    ]
    return Told(["contestant", "target tokens a second", "peak memory, MB"], rows, goals, notes)


CLAIM = Claim("training", "Training", measure, tell)
