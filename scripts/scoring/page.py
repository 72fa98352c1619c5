"""The blocks of docs/results/quality.md, from the records of what has been measured."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.report import duration, fill, read_json, table

LANGUAGES = {"de": "German", "fr": "French"}


def write_page(raw: Path) -> Path:
    """Fill the page beside the directory of records, a block for each; returns its path."""
    blocks = {}
    for path in sorted(raw.glob("*.json")):
        record = read_json(path)
        # A contest's trainings are kept and not run again, so its last command may have taken a moment only.
        took = "" if record["kind"] == "joeynmt" else f", {duration(record['minutes'])}"
        command = f"`{record['command']}`{took}; {'; '.join(record['machine'].values())}."
        blocks[path.stem] = "\n\n".join([*TABLES[record["kind"]](record), command])
    return fill(raw.with_suffix(".md"), blocks, "# Translation quality")


def details(**values: object) -> str:
    """A list of settings; None is left out."""
    told = ((name, value if isinstance(value, str) else json.dumps(value)) for name, value in values.items() if value)
    return "\n".join(f"- {name.replace('_', ' ')}: `{value}`" for name, value in told)


def multi30k(record: dict) -> list[str]:
    """One checkpoint on the test sets."""
    sets = {name: one for name, one in record["sets"].items() if "left_out" not in one}
    rows = [[name, _two(one["tokenised_bleu"]), _two(one["bleu"]), _two(one["chrf"])] for name, one in sets.items()]
    parts = [f"### English to {LANGUAGES[record['target']]}: {record['checkpoint']}"]
    parts.append(table(["set", "lower-cased BLEU on Moses' tokens", "BLEU", "chrF"], rows))
    parts += [f"{name}: {one['left_out']}." for name, one in record["sets"].items() if "left_out" in one]
    earlier = [
        [f"{one['minutes']:g}", f"{one['steps']:,}", f"{one['dev_loss']}", f"{one['decoding']['length_penalty']}"]
        + [_two(one["scores"].get(name, {}).get("tokenised_bleu")) for name in sets]
        for one in record.get("earlier", [])
    ]
    if earlier:
        columns = ["minutes", "steps", "dev loss", "length penalty", *sets]
        parts += ["Earlier models and searches on these sets:", table(columns, earlier)]
    signatures = {key: value for one in sets.values() for key, value in one.items() if key.endswith("_signature")}
    return [*parts, details(training=record["training"], beside_the_defaults=record["recipe"], **signatures)]


def tatoeba(record: dict) -> list[str]:
    """One checkpoint on its test split, by length, by frequency, in examples, and the leak check."""
    found = record["scores"]
    counts = {"sentences": found["sentences"], "references": record["references"], "beam": record["beam"]}
    counts |= {"bytes": record["bytes"]} | record["leaks"]
    parts = [
        f"### {record['pair']}: {record['checkpoint']}",
        f"**BLEU {found['bleu']:.1f}, chrF {found['chrf']:.1f}**",
        table([*(name.replace("_", " ") for name in counts)], [[f"{value:,}" for value in counts.values()]]),
        table(
            ["words of the source", "sentences", "BLEU", "chrF"],
            [[x["words"], f"{x['sentences']:,}", _two(x["bleu"]), _two(x["chrf"])] for x in record["by_length"]],
        ),
        table(
            ["occurrences in training", "words in references", "recall", "precision", "F1"],
            [
                [x["frequency"], f"{x['reference_words']:,}", *(f"{x[k]:.3f}" for k in ("recall", "precision", "f1"))]
                for x in record["by_frequency"]
            ],
        ),
    ]
    for kind, which in (("good", "highest"), ("bad", "lowest")):
        rows = [
            [f"{x['chrf']:.0f}", *map(_cell, (x["source"], x["translation"], " / ".join(x["references"])))]
            for x in record["examples"][kind]
        ]
        parts.append(table([f"{which} chrF", "source", "translation", "references"], rows))
    signatures = {name: found[name] for name in ("bleu_signature", "chrf_signature")}
    step = record["examples"]["step"]
    return [*parts, details(examples=f"from every {step}th sentence", training=record["training"], **signatures)]


def joeynmt(record: dict) -> list[str]:
    """Both sides after each of their times, how far they are apart, and when nmt was as good as JoeyNMT in the end."""
    rows, curve = [], []
    for side in record["sides"]:
        best = max((point["bleu"] for point in side["dev"]), default=float("nan"))
        counts = [f"{side['training'][key]:,}" for key in ("steps", "parameters")]
        rows.append([side["side"], f"{side['asked']:g}", _two(side["bleu"]), _two(side["chrf"]), _two(best), *counts])
    ours = [side for side in record["sides"] if side["side"] == "nmt"]
    theirs = [side for side in record["sides"] if side["side"] != "nmt"]
    apart = []
    for one, other in ((one, other) for one in ours for other in theirs if one["asked"] <= other["asked"]):
        differences = [f"{one[score] - other[score]:+.1f}" for score in ("bleu", "chrf")]
        reached = first_reached(one["dev"], other["dev"])
        apart.append([f"{one['asked']:g}", f"{other['asked']:g}", *differences, f"{reached:.1f}" if reached else ""])
    last = max(theirs, key=lambda side: side["asked"])
    for side in (*ours, last):
        for point in side["dev"]:
            at = [f"{point['seconds'] / 60:.1f}", f"{point['step']:,}", _two(point["bleu"])]
            curve.append([f"{side['side']}, {side['asked']:g}", *at])
    settings = {"JoeyNMT's training": record["settings"]["training"], "nmt's, beside the defaults": record["recipe"]}
    settings["JoeyNMT's dropout"] = record["settings"]["model"]["encoder"]["dropout"]
    settings["nmt multiplies"] = ours[0]["training"].get("precision")
    common = {key: record[key] for key in ("beam", "seed", "threads", "corpus_sha256")}
    signatures = {name: last[name] for name in ("bleu_signature", "chrf_signature")}
    columns = ["nmt, minutes", "JoeyNMT, minutes", "test BLEU", "test chrF", "minutes to JoeyNMT's best dev BLEU"]
    return [
        f"### {record['corpus']}",
        table(["", "minutes", "test BLEU", "test chrF", "best dev BLEU (greedy)", "steps", "parameters"], rows),
        table(columns, apart),
        details(**settings, **common, **signatures),
        "<details><summary>Dev scores over time</summary>",
        table(["", "minutes", "step", "dev BLEU"], curve),
        "</details>",
    ]


def first_reached(ours: list[dict], theirs: list[dict]) -> float | None:
    """Minutes until our dev BLEU was at least the best of theirs; None when it never was."""
    best = max((point["bleu"] for point in theirs), default=float("inf"))
    return next((point["seconds"] / 60 for point in ours if point["bleu"] >= best), None)


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


TABLES = {"tatoeba": tatoeba, "multi30k": multi30k, "joeynmt": joeynmt}
