"""The recipe for one's own sentence pairs: a configuration from their number and the minutes that training may take.

The choices are those of docs/speedrun.md and of the configurations that were tuned by hand. What matters most is how
often the budget passes over the corpus: a few passes cannot overfit, so they want no dropout, no label smoothing and a
small network that takes many steps; many passes want regularization.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nmt.config import RunConfig, apply_override, parse_config
from nmt.corpus import load_corpus
from nmt.corpus.local import check_file
from nmt.errors import UserError
from nmt.languages import NAMES, check_languages, guess_languages
from nmt.lines import read_lines
from nmt.untrusted import MOST_MINUTES

PAIRS_A_MINUTE = 60_000
"""Pairs of some ten words that two cores train on in a minute, about."""
TOKENS_A_PAIR = 20
"""Most that such a pair takes of a batch, with padding."""
PREPARED_A_MINUTE = 400_000
"""Pairs in a minute, about, that are made ready for placeholders and augmentation, or aligned for guided attention."""
PREPARATION = 0.2
"""The largest share of the budget that this may take."""
AUGMENT = {
    "names": 0.3,
    "numbers": 0.8,
    "lower": 0.1,
    "unmarked": 0.1,
    "title": 0.01,
    "unaccented": 0.1,
    "marks": 0.1,
}
"""Shares of the pairs; docs/speedrun.md has what they cost."""
GUIDE_WEIGHT = 0.5
NOUNS_CAPITALIZED = ("de", "lb", "nds")
"""Languages in which a capitalized word need not be a name."""
FEW_PASSES = 6
"""Passes over the corpus below which a network does not overfit."""
FEW = 10_000
"""Pairs below which a translator of its own stays poor."""


def recipe(pairs: int, minutes: float, source: str = "en") -> dict[str, Any]:
    """The sections data, subwords, model, training and alignment of a configuration, as plain values.

    `minutes` (of two cores) are all that the run may take. 4% are left for reading the corpus and learning the
    subwords, a tenth, ten minutes at most, goes to the alignment head. Placeholders (not for a `source` that
    capitalizes nouns) and augmentation need every pair's words first, guided attention their links; all are left out
    where that takes more than `PREPARATION`. The rest goes to the translator.
    """
    head = round(min(minutes / 10, 10), 3)
    preparation = 2 * pairs / PREPARED_A_MINUTE
    prepared = preparation <= PREPARATION * minutes
    translator = round(0.96 * minutes - head - prepared * preparation, 2)
    passes = PAIRS_A_MINUTE * translator / pairs
    batch_tokens = 1024 if pairs < FEW else 2048
    steps = PAIRS_A_MINUTE * translator * TOKENS_A_PAIR / batch_tokens
    return {
        "data": {"augment": dict(AUGMENT)} if prepared else {},
        "subwords": {"vocabulary_size": _pieces(pairs, passes), "slots": prepared and source not in NOUNS_CAPITALIZED},
        "model": _network(pairs, translator) | {"heads": 4, "dropout": _dropout(passes)},
        "training": {
            "batch_tokens": batch_tokens,
            "optimizer": "muon",
            "learning_rate": 6e-3,
            "warmup_steps": int(min(400, max(10, 12.5 * round(translator)), steps / 10)),
            "schedule": "linear" if translator < 10 else "cosine",
            "label_smoothing": 0.0 if passes < FEW_PASSES else 0.1,
            "weight_decay": 0.0 if passes < FEW_PASSES else 0.1 if passes < 20 else 0.3,
            "r_drop": 1.0 if passes >= 60 else 0.0,
            "max_minutes": translator,
            "validate_every": int(min(1000, max(50, 100 * round(translator)))),
            "average_count": 3 if translator < 10 else 5,
        },
        "alignment": {"minutes": head, "guide_weight": GUIDE_WEIGHT if prepared else 0.0},
    }


def _pieces(pairs: int, passes: float) -> int:
    if pairs >= 20_000 and passes >= 40:  # many passes learn rare pieces too
        return 10_000
    for most, pieces in ((3_000, 1000), (FEW, 2000), (60_000, 4000), (500_000, 6000)):
        if pairs < most:
            return pieces
    return 10_000


def _network(pairs: int, minutes: float) -> dict[str, int]:
    if minutes < (12 if pairs < 60_000 else 25):
        return {"encoder_layers": 3, "decoder_layers": 2, "width": 128, "feed_forward": 512}
    if pairs < 60_000:
        return {"encoder_layers": 4, "decoder_layers": 4, "width": 128, "feed_forward": 256}
    if pairs < 500_000 or minutes < 200:
        return {"encoder_layers": 4, "decoder_layers": 3, "width": 192, "feed_forward": 768}
    return {"encoder_layers": 4, "decoder_layers": 3, "width": 256, "feed_forward": 1024}


def _dropout(passes: float) -> float:
    for most, dropout in ((FEW_PASSES, 0.0), (20, 0.1), (40, 0.15)):
        if passes < most:
            return dropout
    return 0.2


def expectation(pairs: int) -> str | None:
    """What to expect of few pairs; None for `FEW` or more."""
    if pairs >= FEW:
        return None
    return (
        f"{pairs:,} pairs are few: expect usable translations of sentences much like these, and inventions for others; "
        f"below {FEW:,} pairs more data helps more than more minutes"
    )


def own_data(
    files: str | Sequence[str],
    source: str | None = None,
    target: str | None = None,
    minutes: float = 30,
    checkpoint: str | None = None,
    overrides: Sequence[str] = (),
) -> RunConfig:
    """The configuration of a run on one .tsv or .jsonl file, or on a source and a target text file.

    Languages that are not given are read off the file: a header, or names such as `corpus.en` and `pairs.en-es.tsv`;
    else English and Spanish are assumed. The checkpoint's default is `checkpoints/` and the file's name. `overrides`
    (`key=value`) win over the recipe. Reads the corpus to count its pairs. Raises UserError as `load_corpus`.
    """
    files = [files] if isinstance(files, str) else files
    if not 1 <= len(files) <= 2:
        raise UserError(f"{len(files)} files: give one .tsv or .jsonl, or a source and a target text file")
    if not 0 < minutes < MOST_MINUTES:
        raise UserError(f"minutes is {minutes:g}; it must be above 0 and below {MOST_MINUTES:,}")
    for file in files:
        check_file(file, "--data")
    for key, code in (("--source", source), ("--target", target)):
        near = code and NAMES.get(code.lower())
        if code and near and code not in next(iter(read_lines(files[0])), ""):  # where it may name a column or a key
            raise UserError(f"{key} {code}: languages are named by their codes; did you mean {near}?")
    guessed = guess_languages(files)
    tree: dict[str, Any] = {
        "checkpoint": checkpoint or str(Path("checkpoints") / Path(files[0]).name.split(".")[0]),
        "data": {
            "corpus": "files",
            "source": source or guessed[0],
            "target": target or guessed[1],
            "train": list(files) if len(files) == 2 else files[0],
            "max_words": 100,
            "max_length_ratio": 3.0,
        },
        "training": {"max_minutes": minutes},
    }
    for override in overrides:
        apply_override(tree, override)
    data = parse_config(tree, "the recipe").data
    check_languages(data)
    pairs = len(load_corpus(data).train)
    chosen = recipe(pairs, minutes, data.source)
    chosen = {"checkpoint": tree["checkpoint"], **chosen, "data": tree["data"] | chosen["data"]}
    for override in overrides:
        apply_override(chosen, override)
    return parse_config(chosen, "the recipe")


def as_yaml(config: RunConfig, heading: str) -> str:
    """The configuration as YAML to edit: a comment, then the keys that were chosen."""
    return f"# {heading}\n" + yaml.safe_dump(config.model_dump(exclude_unset=True), sort_keys=False, allow_unicode=True)
