#!/usr/bin/env python
"""Is attention an explanation? Its order of the source words against what leaving each word out does to the output.

    python scripts/experiments/explanation.py [--quick] [--output DIR]
    NMT_CHECKPOINT=checkpoints/quickstart python scripts/experiments/explanation.py --output DIR

Jain and Wallace (2019, "Attention is not Explanation") for translation: the model translates dev sentences; then each
source word is removed in turn and the model scores its own translation again. Kendall's tau compares, for every
target word, the order of the source words by a method with their order by that effect. The model is the shipped one, or
the transformer that $NMT_CHECKPOINT names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from common import ROOT
from common.effects import Sentence, agreement, interval, rollout
from common.experiment import Experiment
from common.page import COLOURS, Picture, Table, prepare

from nmt.alignment.pieces import over_words
from nmt.checkpoint import CONFIG
from nmt.cli.common import run
from nmt.config import load_config
from nmt.corpus import load_corpus, references
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.inspection.drawing import new_figure, save
from nmt.text.subwords import Encoding
from nmt.text.words import split_words
from nmt.translation import AttentionMaps
from nmt.translator import Translator

SENTENCES = 200
"""Measured, after CHOOSING others on which the best head is chosen."""
CHOOSING = 100
FEWEST = 4
"""Source words of a sentence: an order of fewer says nothing."""
OTHER = "another measure: the word's embeddings set to zero"
HEAD = "alignment head"
ROLLOUT = "attention, rolled out through the encoder"
DIAGONAL = "nearness to the diagonal"


def scores_by_method(
    maps: AttentionMaps, source: Encoding, target: Encoding, draw: np.random.Generator
) -> dict[str, np.ndarray]:
    """What needs no further pass of the model: [target words, source words] for every reading of attention."""
    sizes = len(source.words), len(target.words)

    def read(attention: np.ndarray) -> np.ndarray:
        # [..., target pieces + `</s>`, source pieces + `</s>`] -> [..., target words, source words]
        return over_words(attention[..., :-1, :], source, target)[..., :-1]

    cross = read(maps.cross)  # [layers, heads, target words, source words]
    found = {f"attention, layer {layer + 1}": heads.mean(axis=0) for layer, heads in enumerate(cross)}
    found["attention, mean of all heads"] = cross.mean(axis=(0, 1))
    found |= {f"head {layer + 1}.{head + 1}": cross[layer, head] for layer, head in np.ndindex(cross.shape[:2])}
    found[ROLLOUT] = read(rollout(maps.encoder, maps.cross))
    across, down = ((np.arange(size) + 0.5) / size for size in sizes)
    found[DIAGONAL] = -np.abs(across[None, :] - down[:, None])
    found["chance"] = draw.random((sizes[1], sizes[0]))
    return found


def measure(translator: Translator, texts: list[str], seed: int) -> dict[str, np.ndarray]:
    """Every method's agreement with the effects of leaving out: [2, sentences], Kendall's tau and the same choice.

    Sentences that the model has nothing to say to are left out.
    """
    subwords = translator.subwords
    engine = TorchEngine.load(translator.checkpoint, len(subwords), threads=1)
    draw = np.random.default_rng(seed)
    sources = [subwords.encode(text) for text in texts]
    best = engine.translate([source.ids for source in sources], translator.search_options())
    found: dict[str, list[tuple[float, float]]] = {}
    for source, hypotheses in zip(sources, best, strict=True):
        target = subwords.decode_with_spans(hypotheses[0].pieces)
        if not target.words:
            continue
        pair = Sentence(engine.model, source, target)
        (maps,) = engine.attention([source.ids], [target.ids], subwords.pieces)
        scores = scores_by_method(maps, source, target, draw)
        scores["gradient × input"] = np.abs(pair.gradient_times_input())
        if translator.aligner is not None:
            scores[HEAD] = translator.align([(source.text, target.text)])[0].probabilities
        scores[OTHER] = np.abs(pair.silenced())
        effects = np.abs(pair.left_out())
        for method, one in scores.items():
            found.setdefault(method, []).append(agreement(one, effects))
    return {method: np.array(values).T for method, values in found.items()}


def main(arguments: Sequence[str]) -> None:
    """Translate, leave out, compare, write."""
    experiment = Experiment.start(__file__, __doc__, arguments)
    if experiment.quick:
        translator = experiment.translator("transformer")
    else:
        translator = Translator.load(engine="torch", threads=1)
    directory = translator.checkpoint.directory
    settings = load_config(translator.checkpoint.path(CONFIG))
    if settings.model.type != "transformer":
        raise UserError(f"{directory} is of type {settings.model.type}; this experiment is about a transformer")
    corpus = load_corpus(settings.data)
    texts = [text for text in references(corpus.dev)[0] if len(split_words(text)) >= FEWEST]
    chosen = np.random.default_rng(experiment.seed).permutation(len(texts))
    chosen = chosen[: 20 if experiment.quick else CHOOSING + SENTENCES]
    for_choice = len(chosen) // 3
    first = measure(translator, [texts[row] for row in chosen[:for_choice]], experiment.seed)
    found = measure(translator, [texts[row] for row in chosen[for_choice:]], experiment.seed)

    heads = [method for method in found if method.startswith("head ")]
    best = max(heads, key=lambda head: np.nanmean(first[head][0]))
    rows = {method: values for method, values in found.items() if method not in heads}
    place = list(rows).index(ROLLOUT)
    rows = dict([*list(rows.items())[:place], (f"attention, {best}", found[best]), *list(rows.items())[place:]])
    draw_figure(rows, experiment.output / "figure.png")
    shown = f"`{directory.relative_to(ROOT)}`" if directory.is_relative_to(ROOT) else f"`{directory.name}`"
    sentences = len(next(iter(rows.values()))[0])
    experiment.write(
        "Is attention an explanation?",
        "An attention map looks as if it said which source words a target word was made from. If it did, the words "
        "that it marks would be those without which the model would no longer say the word. Jain and Wallace (2019) "
        "found that it is not so for recurrent classifiers. Here the question is put to translation.",
        [table(rows)],
        [Picture("figure.png", "Agreement of each method with the effect of leaving words out")],
        seen(rows, sentences),
        [
            f"Model: {shown}. {sentences} dev sentences of at least {FEWEST} words; the best head was chosen on "
            f"{for_choice} others.",
            "Effect: how much the log-probability of a target word of the model's own translation changes, up or "
            "down, when the pieces of a source word are removed from the source.",
            "Kendall's tau-b is taken over the source words for each target word, then the mean over the target words "
            "of a sentence, then over sentences. `same most important word`: the share of target words whose most "
            "important source word is the same by both. Intervals: 95%, bootstrap over sentences.",
            "`gradient × input` is the gradient of the log-probability along the source embeddings times these; its "
            f"size counts. `{OTHER}` removes the same word in another way: two measures of one thing, so that no "
            "method can be blamed for what they themselves disagree on. `nearness to the diagonal` knows the two "
            "lengths and nothing else.",
            f"Corpus, SHA-256: `{corpus.sha256}`.",
        ],
    )


def table(rows: dict[str, np.ndarray]) -> Table:
    """A row for every method."""
    lines = []
    for method, values in rows.items():
        cells: list[float | str] = []
        for one in values:
            mean, low, high = interval(one)
            cells += [mean, f"{low:.3f} to {high:.3f}"]
        lines.append([method, *cells])
    columns = ["method", "Kendall's tau", "interval of tau", "same most important word", "interval of the share"]
    return Table(columns, lines, digits=3)


def draw_figure(rows: dict[str, np.ndarray], path: Path) -> None:
    """Both agreements of every method, with intervals."""
    figure = new_figure(10, 0.6 + 0.34 * len(rows))
    axes = figure.subplots(1, 2, sharey=True)
    for number, (place, title) in enumerate(zip(axes, ("Kendall's tau", "same most important word"), strict=True)):
        prepare(place, f"{title}, with 95% intervals", title, "")
        for height, (method, values) in enumerate(rows.items()):
            mean, low, high = interval(values[number])
            colour = COLOURS[1] if method == HEAD else COLOURS[0] if method.startswith("attention") else "#6a737d"
            place.errorbar(mean, height, xerr=[[mean - low], [high - mean]], fmt="o", color=colour, markersize=4)
        place.set_xlim(left=min(0.0, place.get_xlim()[0]))
    axes[0].set_yticks(range(len(rows)), list(rows))
    axes[0].invert_yaxis()
    figure.subplots_adjust(wspace=0.08)
    save(figure, path)


def seen(rows: dict[str, np.ndarray], sentences: int) -> str:
    """The paragraph at the end, from the figures."""
    tau = {method: interval(values[0])[0] for method, values in rows.items()}
    same = {method: 100 * interval(values[1])[0] for method, values in rows.items()}
    maps = [method for method in rows if method.startswith("attention")]
    best, first = max(maps, key=tau.__getitem__), max(maps, key=same.__getitem__)
    ahead, low, high = interval(rows[best][0] - rows[DIAGONAL][0])
    text = (
        f"Over {sentences} sentences the best map of attention ({best.removeprefix('attention, ')}) orders the source "
        f"words as their effects do with a Kendall's tau of {tau[best]:.2f}. The two ways of taking a word out agree "
        f"with each other to {tau[OTHER]:.2f}, which is what a method can hope for: the order of the words that hardly "
        "matter is mostly noise, so that tau cannot show how imperfect this window is. Nearness to the diagonal, which "
        f"knows no word, reaches {tau[DIAGONAL]:.2f}; "
        f"attention less that is {ahead:+.3f} (95% interval {low:+.3f} to {high:+.3f}), so that "
        + ("attention says more than where a word stands" if low > 0 else "attention has not been shown to say more")
        + ". Asked only which source word matters most, "
        f"{first.removeprefix('attention, ')} names the same one for {same[first]:.0f}% of the target words (the "
        f"diagonal {same[DIAGONAL]:.0f}%, chance {same['chance']:.0f}%, the other measure {same[OTHER]:.0f}%). "
    )
    if HEAD in rows:
        gain, low, high = interval(rows[HEAD][1] - rows[first][1])
        text += (
            f"The alignment head, which never saw the translator, names it for {same[HEAD]:.0f}% ({gain:+.3f} against "
            f"attention, {low:+.3f} to {high:+.3f}), with a tau of {tau[HEAD]:.2f}. "
        )
    return text + (
        f"Gradient × input has a tau of {tau['gradient × input']:.2f} and names the most important word for "
        f"{same['gradient × input']:.0f}%, attention rolled out through the encoder {tau[ROLLOUT]:.2f} and "
        f"{same[ROLLOUT]:.0f}%."
    )


if __name__ == "__main__":
    sys.exit(run("explanation", main))
