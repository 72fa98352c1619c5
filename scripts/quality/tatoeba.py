"""A checkpoint on the test split of its Tatoeba corpus, and what lies behind the score."""

from __future__ import annotations

from datasets import Dataset

from nmt.checkpoint import CONFIG, METADATA
from nmt.config import load_config
from nmt.corpus import load_corpus, references
from nmt.errors import UserError
from nmt.evaluation import evaluate
from nmt.translator import Translator
from quality.analysis import Pairs, by_frequency, by_length, examples, leaks, nearest
from quality.scores import provenance

BEAM = 5


def pairs(split: Dataset) -> Pairs:
    """(source, target) of every pair."""
    return zip(split["source"][:], split["target"][:], strict=True)


def measure(checkpoint: str | None, engine: str) -> tuple[str, dict]:
    """Everything about the test split: unique source sentences, all their references, beam 5, as nmt-evaluate."""
    translator = Translator.load(checkpoint, engine)
    corpus = load_corpus(load_config(translator.checkpoint.path(CONFIG)).data)
    if corpus.test is None:
        raise UserError(f"the corpus of {translator.checkpoint.directory} has no test split")
    sources, targets = references(corpus.test)
    found = vars(evaluate(translator, sources, targets, beam=BEAM)).copy()
    texts = found.pop("translations")
    directory = translator.checkpoint.directory.resolve()
    files = [*translator.checkpoint.files, METADATA]
    return f"tatoeba-{directory.name}", {
        "checkpoint": directory.name,
        "pair": f"{translator.source}-{translator.target}",
        "training": provenance(translator),
        "beam": BEAM,
        "references": sum(map(len, targets)),
        "bytes": sum((directory / name).stat().st_size for name in files),
        "scores": found,
        "by_length": by_length(sources, texts, targets),
        "by_frequency": by_frequency(corpus.train["target"][:], texts, nearest(texts, targets)),
        "examples": examples(sources, texts, targets),
        "leaks": leaks(pairs(corpus.train), pairs(corpus.test)),
    }
