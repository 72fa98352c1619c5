"""A checkpoint on Multi30k's test sets: the papers' BLEU, and sacreBLEU's own."""

from __future__ import annotations

import sys

from benchmark.multi30k import test_set

from nmt.checkpoint import CONFIG
from nmt.config import load_config
from nmt.errors import UserError
from nmt.translator import Translator
from quality.moses import tokenised_bleu
from quality.scores import provenance, scores


def measure(checkpoint: str, target: str, engine: str) -> tuple[str, dict]:
    """Scores on test 2016 and test 2017 by the checkpoint's own decoding. Raises UserError for another language."""
    translator = Translator.load(checkpoint, engine)
    if (translator.source, translator.target) != ("en", target):
        raise UserError(f"{checkpoint} translates {translator.source} to {translator.target}, not en to {target}")
    sets: dict[str, dict] = {}
    for year in (2016, 2017):
        found = test_set(year, target)
        if isinstance(found, str):
            print(f"test {year} left out: {found}", file=sys.stderr)
            sets[f"test {year}"] = {"left_out": found}
            continue
        sources, references = found
        texts = [one.text for one in translator.stream(sources)]
        cased = scores(texts, [[line] for line in references])
        sets[f"test {year}"] = {**tokenised_bleu(texts, references, target), **cased}
    name = f"multi30k-{target}-{translator.checkpoint.directory.resolve().name}"
    config = load_config(translator.checkpoint.path(CONFIG))
    recipe = config.model_dump(include={"subwords", "model", "training"}, exclude_defaults=True)
    return name, {
        "target": target,
        "checkpoint": checkpoint,
        "recipe": recipe,
        "training": provenance(translator),
        "sets": sets,
    }
