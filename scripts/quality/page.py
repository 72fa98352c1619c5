"""docs/results/quality.md from the JSON files of what has been measured; what has not been is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmark.page import duration, table

from nmt.checkpoint import write_text

LANGUAGES = {"de": "German", "fr": "French"}
HEAD = """\
# Translation quality

Every figure stands in a file of [{raw}]({raw}). The command below each section writes that file and this page.
Recipes are chosen on dev; test sets are translated for this page, and anew when another recipe takes the place of one
(those of Tatoeba and of Multi30k had been, for earlier ones)."""


def write_page(raw: Path) -> Path:
    """Write the page beside the directory of JSON files; returns its path."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(raw.glob("*.json"))]
    parts = [HEAD.format(raw=raw.name)]
    for kind, (title, tell) in SECTIONS.items():
        found = [record for record in records if record["kind"] == kind]
        if found:
            parts.append(f"## {title}")
        for record in found:
            machine = "; ".join(record["machine"].values())
            parts += tell(record)
            # A contest's trainings are kept and not run again, so its last command may have taken a moment only.
            took = "" if kind == "joeynmt" else f", {duration(record['minutes'])}"
            parts.append(f"`{record['command']}`{took}; {machine}.")
    page = raw.with_suffix(".md")
    write_text(page, "\n\n".join(parts) + "\n")
    return page


def trained(training: dict) -> str:
    """What is known of a checkpoint's training, in a sentence."""
    told = []
    for key, form in (
        ("seed", "seed {}"),
        ("minutes", "{} minutes"),
        ("threads", "threads: {}"),
        ("precision", "linear layers in {}"),
        ("steps", "{:,} steps"),
        ("parameters", "{:,} parameters"),
        ("dev_loss", "dev loss {}"),
        ("weights", "weights: {}"),
        ("corpus_sha256", "corpus SHA-256 `{}`"),
    ):
        if key in training:
            told.append(form.format(training[key]))
    if decoding := training.get("decoding"):
        told.append(f"length penalty {decoding['length_penalty']}, engine {training['engine']}")
    return "Training: " + ", ".join(told) + "."


def tell_multi30k(record: dict) -> list[str]:
    """One checkpoint on the test sets."""
    sets = {name: one for name, one in record["sets"].items() if "left_out" not in one}
    rows = [[name, _two(one["tokenised_bleu"]), _two(one["bleu"]), _two(one["chrf"])] for name, one in sets.items()]
    parts = [f"### English to {LANGUAGES[record['target']]}: {record['checkpoint']}"]
    if sets:
        names = ("tokenised_bleu_signature", "bleu_signature", "chrf_signature")
        one = next(iter(sets.values()))
        parts.append(table(["set", "lower-cased BLEU on Moses' tokens", "BLEU", "chrF"], rows))
        parts.append("Signatures: " + ", ".join(f"`{one[name]}`" for name in names) + ".")
    parts += [f"{name}: {one['left_out']}." for name, one in record["sets"].items() if "left_out" in one]
    beam = record["training"]["decoding"]["beam"]
    if earlier := record.get("earlier"):
        columns = ["minutes", "steps", "dev loss", "length penalty", *sets]
        rows = [
            [f"{one['minutes']:g}", f"{one['steps']:,}", f"{one['dev_loss']}", f"{one['decoding']['length_penalty']}"]
            + [_two(one["scores"].get(name, {}).get("tokenised_bleu")) for name in sets]
            for one in earlier
        ]
        parts += ["They had been translated before, by earlier models or with another search:", table(columns, rows)]
    how = (
        f"Beside the defaults: `{json.dumps(record['recipe'])}`. Moses' tokens need "
        "`pip install -e '.[quality]'`; a set that the Hub's copy does not have is read from the files that "
        "`configs/multi30k-en-fr.yaml` tells of."
    )
    return [*parts, f"Beam {beam}. {trained(record['training'])}", how]


def tell_tatoeba(record: dict) -> list[str]:
    """One checkpoint on its test split, by length, by frequency, in examples, and the leak check."""
    found, leak = record["scores"], record["leaks"]
    parts = [
        f"### {record['pair']}: {record['checkpoint']}",
        f"**BLEU {found['bleu']:.1f}, chrF {found['chrf']:.1f}** on {found['sentences']:,} unique sentences with "
        f"{record['references']:,} references, beam {record['beam']}; {record['bytes'] / 1e6:.1f} MB without "
        "the log and the card. "
        f"Signatures: `{found['bleu_signature']}`, `{found['chrf_signature']}`. {trained(record['training'])}",
        "By length of the source, in words:",
        table(
            ["words", "sentences", "BLEU", "chrF"],
            [[x["words"], f"{x['sentences']:,}", _two(x["bleu"]), _two(x["chrf"])] for x in record["by_length"]],
        ),
        "By occurrences of a word in the training targets (words lower-cased; of each sentence's references the one "
        "nearest by chrF):",
        table(
            ["occurrences", "words in references", "recall", "precision", "F1"],
            [
                [x["frequency"], f"{x['reference_words']:,}", *(f"{x[k]:.3f}" for k in ("recall", "precision", "f1"))]
                for x in record["by_frequency"]
            ],
        ),
        f"Leak check: of {leak['test_pairs']:,} test pairs {leak['pairs_in_training']:,} are in training; of "
        f"{leak['test_sources']:,} test sources {leak['sources_in_training']:,} are, and "
        f"{leak['bare_sources_in_training']:,} after case folding and without punctuation.",
    ]
    chosen = record["examples"]
    rule = f"Every {chosen['step']}th test sentence was taken;"
    for kind, which in (("good", "highest"), ("bad", "lowest")):
        rows = [
            [f"{x['chrf']:.0f}", *map(_cell, (x["source"], x["translation"], " / ".join(x["references"])))]
            for x in chosen[kind]
        ]
        told = f"{rule} these {len(rows)} have the {which} chrF (of the sentence, against all its references):"
        parts += [told, table(["chrF", "source", "translation", "references"], rows)]
    return parts


def tell_joeynmt(record: dict) -> list[str]:
    """Both sides after each of their times, how far they are apart, and when nmt was as good as JoeyNMT in the end."""
    rows = []
    for side in record["sides"]:
        best = max((point["bleu"] for point in side["dev"]), default=float("nan"))
        counts = [f"{side['training'][key]:,}" for key in ("steps", "parameters")]
        rows.append([side["side"], f"{side['asked']:g}", _two(side["bleu"]), _two(side["chrf"]), _two(best), *counts])
    ours = [side for side in record["sides"] if side["side"] == "nmt"]
    theirs = [side for side in record["sides"] if side["side"] != "nmt"]
    ahead = [
        f"nmt after {one['asked']:g} minutes against JoeyNMT after {other['asked']:g}: "
        f"{one['bleu'] - other['bleu']:+.1f} BLEU, {one['chrf'] - other['chrf']:+.1f} chrF."
        for one in ours
        for other in theirs
        if one["asked"] <= other["asked"]
    ]
    last = max(theirs, key=lambda side: side["asked"])
    for one in ours:
        if reached := first_reached(one["dev"], last["dev"]):
            ahead.append(
                f"The dev BLEU of nmt's {one['asked']:g} minutes passed the best of JoeyNMT's {last['asked']:g} "
                f"after {reached:.1f}."
            )
    precision = ours[0]["training"].get("precision")
    curve = []
    for side in (*ours, last):
        for point in side["dev"]:
            at = [f"{point['seconds'] / 60:.1f}", f"{point['step']:,}", _two(point["bleu"])]
            curve.append([f"{side['side']}, {side['asked']:g}", *at])
    return [
        f"### {record['corpus']}",
        table(["", "minutes", "test BLEU", "test chrF", "best dev BLEU (greedy)", "steps", "parameters"], rows),
        " ".join(ahead),
        f"Validation is within the time, but for the last. Beam {record['beam']}, seed {record['seed']}, "
        f"{record['threads']} threads, corpus SHA-256 `{record['corpus_sha256']}`, signatures "
        f"`{last['bleu_signature']}`, `{last['chrf_signature']}`. JoeyNMT's settings: "
        f"`{json.dumps(record['settings']['training'])}`, dropout {record['settings']['model']['encoder']['dropout']}; "
        f"nmt's, beside its defaults: `{json.dumps(record['recipe'])}`."
        + (f" nmt multiplies {precision}, JoeyNMT float32." if precision else "")
        + f" nmt's optimizer is {record['recipe'].get('training', {}).get('optimizer', 'adamw')}, JoeyNMT's "
        f"{record['settings']['training']['optimizer']}."
        + " JoeyNMT drops attention weights and hidden units of the feed-forward networks as well, ends a search after "
        "1.5 times the longest source of a batch (nmt after 2 times each source), and its rate does not fall to zero. "
        "One is trained after the other, or earlier: a run that is finished is not run again.",
        "<details><summary>Dev scores over time</summary>\n\n"
        + table(["", "minutes", "step", "dev BLEU"], curve)
        + "\n\n</details>",
    ]


def first_reached(ours: list[dict], theirs: list[dict]) -> float | None:
    """Minutes until our dev BLEU was at least the best of theirs; None when it never was."""
    best = max((point["bleu"] for point in theirs), default=float("inf"))
    return next((point["seconds"] / 60 for point in ours if point["bleu"] >= best), None)


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


SECTIONS: dict[str, tuple[str, Callable[[dict], list[str]]]] = {
    "tatoeba": ("Tatoeba", tell_tatoeba),
    "multi30k": ("Multi30k", tell_multi30k),
    "joeynmt": ("Beside JoeyNMT", tell_joeynmt),
}
