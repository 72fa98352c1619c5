#!/usr/bin/env python
"""What heads do: the habits of every head of a trained transformer, and the translator without each.

    python -m scripts.experiments.heads [--quick] [--output DIR]
    NMT_CHECKPOINT=checkpoints/quickstart python -m scripts.experiments.heads --output DIR

Where each head looks on the dev split, how well it aligns the gold pairs, and what BLEU and loss on dev are when it is
taken out (Michel et al. 2019, "Are Sixteen Heads Really Better than One?"), so that a role is tied to a use. The model
is the shipped one, or the transformer that $NMT_CHECKPOINT names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sacrebleu.metrics import BLEU

from nmt.alignment.error_rate import GoldPair, read_gold, score
from nmt.alignment.gold import find_sentences
from nmt.alignment.links import argmax_links
from nmt.batching import batches_for_decoding
from nmt.cli.common import run
from nmt.config import DataConfig
from nmt.corpus import Corpus, load_corpus, references
from nmt.inspection.drawing import INK, colour_map, new_figure, save
from nmt.models import Transformer
from nmt.training.loss import Objective, batch_loss, plain_cross_entropy
from nmt.training.pairs import Batch, make_batch
from nmt.translator import Translator
from scripts.experiments.common.effects import kendall_tau
from scripts.experiments.common.experiment import Experiment
from scripts.experiments.common.habits import KINDS, Habits, Head, habits, heads_of, removed
from scripts.experiments.common.models import any_transformer
from scripts.experiments.common.tables import Table
from scripts.raw_attention import GOLD, over_word_pairs

MARKED = 0.15
"""Least excess over uniform attention for a habit to name a head's role."""
SENTENCES = 500
"""Random unique dev sentences for every measure except AER."""
SAMPLES = 2000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Use:
    """What the model loses without a head."""

    bleu: float
    """BLEU without it minus BLEU with it."""
    low: float
    high: float
    """The 95% interval of that."""
    loss: float
    """Rise of the loss, nats a target piece."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


class Bleu:
    """Corpus BLEU as a sum over sentences, for the bootstrap over sentences."""

    def __init__(self, targets: list[list[str]], samples: int, seed: int) -> None:
        self.targets, self.metric = targets, BLEU(effective_order=True)
        count = len(targets)
        draw = np.random.default_rng(seed)
        self.weights = draw.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)
        """[samples, sentences]: how often each sentence is drawn."""

    def counts(self, texts: list[str]) -> np.ndarray:
        """[sentences, 10]: matching n-grams and all n-grams for n from 1 to 4, length, closest reference's length."""
        scores = [self.metric.sentence_score(text, group) for text, group in zip(texts, self.targets, strict=True)]
        return np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in scores])

    @staticmethod
    def of(counts: np.ndarray) -> float:
        """BLEU of summed counts [10], as sacreBLEU's corpus score."""
        matching, total = (counts[part].tolist() for part in (slice(0, 4), slice(4, 8)))
        return BLEU.compute_bleu(matching, total, int(counts[8]), int(counts[9]), smooth_method="exp").score

    def difference(self, first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
        """BLEU of the first less that of the second, and its 95% interval (paired bootstrap: Koehn 2004)."""
        sums = [self.weights @ counts for counts in (first, second)]  # each [samples, 10]
        resampled = [self.of(ahead) - self.of(behind) for ahead, behind in zip(*sums, strict=True)]
        low, high = np.quantile(resampled, [0.025, 0.975])
        return self.of(first.sum(0)) - self.of(second.sum(0)), float(low), float(high)


def uses(
    model: Transformer, translate: Callable[[], list[str]], batches: list[Batch], bleu: Bleu
) -> tuple[float, float, dict[Head, Use]]:
    """BLEU and loss of the model, and the use of each head."""
    intact, loss = bleu.counts(translate()), mean_loss(model, batches)
    found = {}
    for head in heads_of(model):
        with removed(model, head):
            found[head] = Use(*bleu.difference(bleu.counts(translate()), intact), mean_loss(model, batches) - loss)
        print(f"heads: without {head}: {found[head].bleu:+.2f} BLEU, {found[head].loss:+.3f} nats", file=sys.stderr)
    return bleu.of(intact.sum(0)), loss, found


@torch.inference_mode()
def mean_loss(model: Transformer, batches: list[Batch]) -> float:
    """Cross-entropy in nats a target piece."""
    total = sum(batch_loss(model, batch, Objective(), plain_cross_entropy).item() for batch in batches)
    return total / sum(int((batch.labels != 0).sum()) for batch in batches)


def error_rates(translator: Translator, gold: Sequence[GoldPair], pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """[layers, heads]: AER of each cross-attention head, every target word linked to the word it attends to most."""
    stacks = [over_word_pairs(translator, source, target) for source, target in pairs]
    layers, heads = stacks[0].shape[:2]
    rates = np.zeros((layers, heads))
    for layer, head in np.ndindex(layers, heads):
        rates[layer, head] = score([argmax_links(stack[layer, head]) for stack in stacks], gold).error_rate
    return rates


def role(of: Habits, everywhere: Habits, kind: str) -> str:
    """The habit with the largest excess over uniform attention, or "spread"."""
    names = {"previous": "previous", "same": "same", "next": "next", "punctuation": "punctuation"}
    names["special"] = "<s>" if kind == "decoder" else "</s>"
    excess = {habit: getattr(of, habit) - getattr(everywhere, habit) for habit in names}
    habit = max(excess, key=excess.__getitem__)
    return names[habit] if excess[habit] >= MARKED else "spread"


def gold_pairs(data: DataConfig, corpus: Corpus) -> tuple[list[GoldPair], list[tuple[str, str]]]:
    """The gold links and their sentences; none for another corpus."""
    if (data.corpus, data.source, data.target) != ("tatoeba", "en", "es"):
        return [], []
    gold = read_gold(GOLD)
    return gold, find_sentences(gold, corpus)


def main(arguments: Sequence[str]) -> None:
    """Look, take out, draw, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    translator, settings, model = any_transformer(experiment)
    subwords = translator.subwords
    corpus = load_corpus(settings.data)
    every = list(zip(*references(corpus.dev), strict=True))
    chosen = np.random.default_rng(experiment.seed).permutation(len(every))[:SENTENCES]
    sources, targets = [every[row][0] for row in chosen], [every[row][1] for row in chosen]
    pairs = [(source, target) for source, group in zip(sources, targets, strict=True) for target in group]

    gold, aligned = gold_pairs(settings.data, corpus)
    looks = habits(translator.attention(*pair) for pair in pairs)
    rates = error_rates(translator, gold, aligned) if gold else None

    engine = translator.torch_engine
    encodings = [subwords.encode(source, ()) for source in sources]
    ahead = subwords.encode_ids([source for source, _ in pairs])
    back = subwords.target.encode_ids([target for _, target in pairs])
    lengths = [max(len(source), len(target)) + 1 for source, target in zip(ahead, back, strict=True)]
    batches = [
        make_batch([ahead[row] for row in rows], [back[row] for row in rows])
        for rows in batches_for_decoding(lengths, 2048, 64)
    ]
    search = translator.search_options(beam=1)

    def translate() -> list[str]:
        found = engine.translate([source.ids for source in encodings], search)
        return [
            subwords.decode_with_spans(one[0].pieces, source).text for one, source in zip(found, encodings, strict=True)
        ]

    bleu = Bleu(targets, 50 if experiment.quick else SAMPLES, experiment.seed)
    intact, loss, worth = uses(engine.model, translate, batches, bleu)
    draw(worth, {head: role(looks[head], looks[head.kind], head.kind) for head in worth}, experiment.output)
    facts = [model, f"Corpus, SHA-256: `{corpus.sha256}`."]
    size = f"{len(sources):,} sentences, {len(pairs):,} references"
    facts.append(f"Intact, {size}: {intact:.1f} BLEU, {loss:.3f} nats a piece.")
    if rates is not None:
        cross = [head for head in worth if head.kind == "cross"]
        error = np.array([rates[head.layer, head.number] for head in cross])
        tau = kendall_tau(error, np.array([worth[head].loss for head in cross]))
        facts.append(f"AER against the rise of the loss, {len(cross)} cross-attention heads: tau {tau:+.2f}.")
    experiment.write([table(worth, looks, rates)], facts=facts)


def table(worth: dict[Head, Use], looks: dict[Head | str, Habits], rates: np.ndarray | None) -> Table:
    """A row for every head."""
    columns = ["head", "role", "offset", "previous", "same", "next", "sentence mark", "punctuation", "entropy", "AER"]
    rows: list[list[str | float | None]] = []
    for kind in KINDS:
        for head in [head for head in worth if head.kind == kind]:
            aer = float(rates[head.layer, head.number]) if rates is not None and kind == "cross" else None
            of, use = looks[head], worth[head]
            lost = [use.bleu, f"{use.low:+.2f} to {use.high:+.2f}", f"{use.loss:+.3f}"]
            rows.append([str(head), role(of, looks[kind], kind), *of, aer, *lost])
        rows.append([f"{kind}, everywhere alike", "", *looks[kind], None, None, None, None])
    return Table([*columns, "BLEU without it", "95% interval", "loss without it"], rows)


def draw(worth: dict[Head, Use], roles: dict[Head, str], directory: Path) -> None:
    """A grid of layers and heads for each kind, shaded by the BLEU lost."""
    most = max(0.1, max(-use.bleu for use in worth.values()))
    figure = new_figure(11, 3.4)
    for axes, kind in zip(figure.subplots(1, 3), KINDS, strict=True):
        heads = [head for head in worth if head.kind == kind]
        layers, numbers = (max(values) + 1 for values in zip(*(head[1:] for head in heads), strict=True))
        lost = np.array([-worth[head].bleu for head in heads]).reshape(layers, numbers)
        axes.imshow(np.clip(lost, 0, None), cmap=colour_map(), vmin=0, vmax=most, aspect="auto")
        for head in heads:
            dark = -worth[head].bleu > most / 2
            axes.text(
                head.number,
                head.layer,
                f"{roles[head]}\n{worth[head].bleu:+.2f}{'*' if worth[head].certain else ''}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else INK,
                parse_math=False,
            )
        title = f"{kind} self-attention" if kind != "cross" else "cross-attention"
        axes.set_title(title, fontsize=9, color=INK, loc="left")
        axes.set_xticks(range(numbers), range(1, numbers + 1), fontsize=8)
        axes.set_yticks(range(layers), range(1, layers + 1), fontsize=8)
        axes.set_xlabel("head", fontsize=8, color=INK)
        axes.set_ylabel("layer", fontsize=8, color=INK)
    figure.subplots_adjust(wspace=0.2)
    save(figure, directory / "figure.png")


if __name__ == "__main__":
    sys.exit(run("heads", main))
