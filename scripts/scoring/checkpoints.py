"""A checkpoint on the test split of its Tatoeba corpus, or on Multi30k's test sets."""

from __future__ import annotations

import sys

from nmt.checkpoint import METADATA
from nmt.corpus import load_corpus, pairs_of, references
from nmt.errors import UserError
from nmt.evaluation import evaluate
from nmt.translator import Translator
from scripts.captions import test_set
from scripts.scoring.analysis import by_frequency, by_length, examples, leaks, nearest
from scripts.scoring.metrics import provenance, recipe, scores, tokenised_bleu


def tatoeba(checkpoint: str | None, engine: str) -> tuple[str, dict]:
    """Everything about the test split: unique source sentences, all their references, as nmt-evaluate."""
    translator = Translator.load(checkpoint, engine)
    corpus = load_corpus(translator.checkpoint.config.data)
    if corpus.test is None:
        raise UserError(f"the corpus of {translator.checkpoint.directory} has no test split")
    sources, targets = references(corpus.test)
    found = vars(evaluate(translator, sources, targets)).copy()
    texts = found.pop("translations")
    directory = translator.checkpoint.directory.resolve()
    files = [*translator.checkpoint.files, METADATA]
    return f"tatoeba-{directory.name}", {
        "checkpoint": directory.name,
        "pair": f"{translator.source}-{translator.target}",
        "training": provenance(translator),
        "beam": translator.search_options().beam,
        "references": sum(map(len, targets)),
        "bytes": sum((directory / name).stat().st_size for name in files),
        "scores": found,
        "by_length": by_length(sources, texts, targets),
        "by_frequency": by_frequency(corpus.train["target"][:], texts, nearest(texts, targets)),
        "examples": examples(sources, texts, targets),
        "leaks": leaks(pairs_of(corpus.train), pairs_of(corpus.test)),
    }


def multi30k(checkpoint: str, target: str, engine: str) -> tuple[str, dict]:
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
        texts = [one.text for one in translator.stream(sources, one_sentence=True)]
        cased = scores(texts, [[line] for line in references])
        sets[f"test {year}"] = {**tokenised_bleu(texts, references, target), **cased}
    name = f"multi30k-{target}-{translator.checkpoint.directory.resolve().name}"
    return name, {
        "target": target,
        "checkpoint": checkpoint,
        "recipe": recipe(translator.checkpoint.config),
        "training": provenance(translator),
        "sets": sets,
    }
