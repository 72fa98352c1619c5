#!/usr/bin/env python
"""What heads do: the habits of every head of a trained transformer, and the translator without it.

    python scripts/experiments/heads.py [--quick] [--output DIR]
    NMT_CHECKPOINT=checkpoints/quickstart python scripts/experiments/heads.py --output DIR

Where each head looks on the dev split, how well it aligns the gold pairs, and what BLEU and loss on dev are when it is
taken out (Michel et al. 2019, "Are Sixteen Heads Really Better than One?"), so that a role is tied to a use. The model
is the shipped one, or the transformer that $NMT_CHECKPOINT names.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common import ROOT
from common.bleu import Bleu
from common.effects import kendall_tau
from common.experiment import Experiment
from common.heads import KINDS, Habits, Head, habits, heads_of, removed
from common.page import Picture, Table

from nmt.alignment.error_rate import GoldPair, read_gold, score
from nmt.alignment.gold import find_sentences
from nmt.alignment.links import argmax_links
from nmt.alignment.pieces import over_words
from nmt.batching import batches_for_decoding
from nmt.checkpoint import CONFIG
from nmt.cli.common import run
from nmt.config import DataConfig, load_config
from nmt.corpus import Corpus, load_corpus, references
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.inspection.drawing import INK, colour_map, new_figure, save
from nmt.models import Transformer
from nmt.training.loss import Objective, batch_loss, plain_cross_entropy
from nmt.training.pairs import Batch, make_batch
from nmt.translator import Translator

GOLD = ROOT / "data" / "alignments" / "tatoeba-en-es-dev.tsv"
MARKED = 0.15
"""A habit names a head's role when its share exceeds that of a head that looks everywhere alike by so much."""
SENTENCES = 500
"""Unique dev sentences, drawn at random, that everything but AER is measured on."""
SAMPLES = 2000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Use:
    """What the model loses with a head."""

    bleu: float
    """BLEU without it less BLEU with it."""
    low: float
    high: float
    """The 95% interval of that."""
    loss: float
    """Nats a target piece that the loss rises."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def uses(
    engine: TorchEngine, translate: Callable[[], list[str]], batches: list[Batch], bleu: Bleu
) -> tuple[float, float, dict[Head, Use]]:
    """(BLEU, loss, what each head is worth) of the engine's model."""
    model = engine.model
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
    stacks = []
    for source, target in pairs:
        ahead, back = (translator.subwords.encode(text) for text in (source, target))
        cross = translator.attention(source, target).cross[:, :, :-1]  # [layers, heads, target, source]
        stacks.append(over_words(cross, ahead, back))
    layers, heads = stacks[0].shape[:2]
    rates = [
        score([argmax_links(stack[layer, head]) for stack in stacks], gold).error_rate
        for layer in range(layers)
        for head in range(heads)
    ]
    return np.array(rates).reshape(layers, heads)


def role(of: Habits, everywhere: Habits, kind: str) -> str:
    """The habit that stands out most from looking everywhere alike, or "spread"."""
    names = {"previous": "previous", "same": "same", "next": "next", "punctuation": "punctuation"}
    names["special"] = "<s>" if kind == "decoder" else "</s>"
    excess = {habit: getattr(of, habit) - getattr(everywhere, habit) for habit in names}
    habit = max(excess, key=excess.__getitem__)
    return names[habit] if excess[habit] >= MARKED else "spread"


def gold_pairs(data: DataConfig, corpus: Corpus) -> tuple[list[GoldPair], list[tuple[str, str]]]:
    """The gold links and their sentences; none when the corpus is another than theirs."""
    if (data.corpus, data.source, data.target) != ("tatoeba", "en", "es"):
        return [], []
    gold = read_gold(GOLD)
    return gold, find_sentences(gold, corpus)


def main(arguments: Sequence[str]) -> None:
    """Look, take out, draw, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    if experiment.quick:
        translator = experiment.translator("transformer")
    else:
        translator = Translator.load(engine="torch", threads=1)
    directory, subwords = translator.checkpoint.directory, translator.subwords
    settings = load_config(translator.checkpoint.path(CONFIG))
    if settings.model.type != "transformer":
        raise UserError(f"{directory} is of type {settings.model.type}; this experiment is about a transformer's heads")
    corpus = load_corpus(settings.data)
    every = list(zip(*references(corpus.dev), strict=True))
    chosen = np.random.default_rng(experiment.seed).permutation(len(every))[:SENTENCES]
    sources, targets = [every[row][0] for row in chosen], [every[row][1] for row in chosen]
    pairs = [(source, target) for source, group in zip(sources, targets, strict=True) for target in group]

    gold, aligned = gold_pairs(settings.data, corpus)
    looks = habits(translator.attention(*pair) for pair in pairs)
    rates = error_rates(translator, gold, aligned) if gold else None

    engine = TorchEngine.load(translator.checkpoint, len(subwords), threads=1)
    ids, (ahead, back) = subwords.encode_ids(sources), (subwords.encode_ids(side) for side in zip(*pairs, strict=True))
    lengths = [max(len(source), len(target)) + 1 for source, target in zip(ahead, back, strict=True)]
    batches = [
        make_batch([ahead[row] for row in rows], [back[row] for row in rows])
        for rows in batches_for_decoding(lengths, 2048, 64)
    ]
    search = translator.search_options(beam=1)

    def translate() -> list[str]:
        return [subwords.decode(found[0].pieces) for found in engine.translate(ids, search)]

    bleu = Bleu(targets, 50 if experiment.quick else SAMPLES, experiment.seed)
    intact, loss, worth = uses(engine, translate, batches, bleu)
    draw(worth, {head: role(looks[head], looks[head.kind], head.kind) for head in worth}, experiment.output)
    shown = f"`{directory.relative_to(ROOT)}`" if directory.is_relative_to(ROOT) else f"`{directory.name}`"
    experiment.write(
        "What heads do",
        "Heads are said to specialise (Vaswani et al. 2017, appendix; Voita et al. 2019; Clark et al. 2019), and most "
        "of them to be of little use (Michel et al. 2019). Here every head of a trained model is watched, and then "
        "taken out.",
        [table(worth, looks, rates)],
        [
            Picture(
                "figure.png",
                "The role of each head and what BLEU changes by without it; a star: the 95% interval leaves out zero",
            )
        ],
        seen(intact, worth, looks, rates),
        [
            f"Model: {shown}, {translator.checkpoint.metadata.get('parameters', 0):,} parameters; intact it has "
            f"{intact:.1f} BLEU and a loss of {loss:.3f} nats a piece on {len(sources):,} unique dev sentences "
            f"with all their {len(pairs):,} references, greedy search.",
            "Shares and entropy (nats) are means over these pairs' pieces, teacher-forced, the queries `<s>` and "
            "`</s>` left out; `sentence mark` is the source's `</s>` or, in the decoder's self-attention, `<s>`. "
            "Offsets are positions looked at less the query's own. The rows `everywhere alike` say what no habit at "
            "all gives.",
            f"A role is the habit whose share exceeds `everywhere alike` most, by {MARKED} at least.",
            f"AER: every target word linked to the source word that it attends to most, on {len(gold)} gold pairs "
            f"(`data/alignments`), which are in no training split.",
            f"BLEU's 95% intervals are of the paired bootstrap over sentences ({len(bleu.weights):,} samples). Of "
            f"{len(worth)} intervals about {len(worth) * 0.05:.0f} would leave out zero by chance.",
            f"Corpus, SHA-256: `{corpus.sha256}`.",
        ],
    )


def table(worth: dict[Head, Use], looks: dict[Head | str, Habits], rates: np.ndarray | None) -> Table:
    """A row for every head."""
    columns = ["head", "role", "offset", "previous", "same", "next", "sentence mark", "punctuation", "entropy", "AER"]
    rows: list[list[str | float | None]] = []
    for kind in KINDS:
        for head in [head for head in worth if head.kind == kind]:
            aer = float(rates[head.layer, head.number]) if rates is not None and kind == "cross" else None
            of, use = looks[head], worth[head]
            lost = [use.bleu, f"{use.low:+.2f} to {use.high:+.2f}", f"{use.loss:+.3f}"]
            rows.append([str(head), role(of, looks[kind], kind), *_cells(of), aer, *lost])
        rows.append([f"{kind}, everywhere alike", "", *_cells(looks[kind]), None, None, None, None])
    return Table([*columns, "BLEU without it", "95% interval", "loss without it"], rows)


def _cells(of: Habits) -> list[float]:
    return [of.offset, of.previous, of.same, of.next, of.special, of.punctuation, of.entropy]


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


def seen(intact: float, worth: dict[Head, Use], looks: dict[Head | str, Habits], rates: np.ndarray | None) -> str:
    """The paragraph at the end, from the figures."""
    roles = Counter(role(looks[head], looks[head.kind], head.kind) for head in worth)
    spread = roles.pop("spread", 0)
    counted = ", ".join(f"{count} {name}" for name, count in roles.most_common()) or "none"
    missed = [head for head, use in worth.items() if use.high < 0]
    most = min(worth, key=lambda head: worth[head].bleu)
    by_kind = {kind: [worth[head].loss for head in worth if head.kind == kind] for kind in KINDS}
    losses = ", ".join(f"{kind} {np.mean(values):+.3f}" for kind, values in by_kind.items())
    of_most = role(looks[most], looks[most.kind], most.kind)
    where = ", ".join(f"{sum(head.kind == kind for head in missed)} {kind}" for kind in KINDS)
    own = [head for head in worth if head.kind != "cross"]  # cross-attention's roles are its links
    means = []
    for plain in (False, True):
        group = [worth[one].bleu for one in own if (role(looks[one], looks[one.kind], one.kind) == "spread") == plain]
        means.append(f"{np.mean(group):+.2f}" if group else "nothing, as there are none")
    text = (
        f"{len(worth) - spread} of {len(worth)} heads have a habit that stands out ({counted}); the other {spread} "
        f"spread their attention. Taken out alone, {len(missed)} heads are missed for certain, with an interval below "
        f"zero ({where}), most of all {most} ({of_most}), without which BLEU falls by {-worth[most].bleu:.1f} from "
        f"{intact:.1f}; {len(worth) - len(missed)} can go, one at a time, without a certain loss. That most heads are "
        f"of little use by themselves {'holds' if 2 * len(missed) < len(worth) else 'does not hold'} for this small "
        f"model. In self-attention, BLEU changes on average by {means[0]} without a head that has a habit and by "
        f"{means[1]} without one that spreads. The loss rises, mean over heads, by {losses} nats a piece."
    )
    if rates is not None:
        cross = [head for head in worth if head.kind == "cross"]
        error = np.array([rates[head.layer, head.number] for head in cross])
        tau = kendall_tau(error, np.array([worth[head].loss for head in cross]))
        best = cross[int(error.argmin())]
        text += (
            f" The best aligner is {best} (AER {error.min():.2f}; without it {worth[best].bleu:+.1f} BLEU). Over the "
            f"{len(cross)} heads of cross-attention AER and the rise of the loss have a Kendall's tau of {tau:+.2f}: "
            + ("those that align better are missed more." if tau < -0.3 else "the two hardly go together.")
        )
    return text


if __name__ == "__main__":
    sys.exit(run("heads", main))
