"""Scores as the page prints them: sacreBLEU's, and BLEU as the Multi30k papers report it.

Wu et al. 2021 (arXiv 2105.14462) score the corpus' own `lc.norm.tok` files, which are made from the raw text by
Moses' lowercase.perl, normalize-punctuation.perl and tokenizer.perl, in this order. sacremoses does here to outputs
and references what the last two do there. tokenizer.perl escapes & < > ' " [ ] | as those files have it: a token stays
a token, so the score is the same with and without.
"""

from __future__ import annotations

from sacrebleu.metrics import BLEU

from nmt.config import RunConfig
from nmt.errors import UserError
from nmt.evaluation import score
from nmt.translator import Translator

PROVENANCE = (
    *("seed", "minutes", "threads", "precision", "steps", "parameters", "dev_loss", "weights", "corpus_sha256"),
    "versions",
)


def tokenise(sentences: list[str], language: str) -> list[str]:
    """Lower-cased, punctuation normalised, Moses' tokens with a space between. Raises UserError without sacremoses."""
    try:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer
    except ImportError as error:
        raise UserError("sacremoses is not installed: pip install -e .[quality]") from error
    normalizer, tokenizer = MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)
    return [tokenizer.tokenize(normalizer.normalize(line.lower()), return_str=True) for line in sentences]


def tokenised_bleu(translations: list[str], references: list[str], language: str) -> dict:
    """sacreBLEU without a tokeniser of its own, with its signature."""
    bleu = BLEU(tokenize="none", lowercase=True, force=True)
    found = bleu.corpus_score(tokenise(translations, language), [tokenise(references, language)])
    return {"tokenised_bleu": found.score, "tokenised_bleu_signature": str(bleu.get_signature())}


def scores(translations: list[str], references: list[list[str]]) -> dict:
    """sacreBLEU's BLEU and chrF, cased and detokenised, with signatures."""
    return score(translations, references)._asdict() | {"sentences": len(translations)}


def provenance(translator: Translator) -> dict:
    """Seed, wall time of training, corpus hash and the like, from the checkpoint's metadata."""
    metadata = translator.checkpoint.metadata
    kept = {key: metadata.record[key] for key in PROVENANCE if key in metadata.record}
    return {**kept, "decoding": metadata.decoding, "engine": "ctranslate2" if translator.fast else "torch"}


def recipe(config: RunConfig) -> dict:
    """What a configuration's subwords, model and training have beside the defaults."""
    return config.model_dump(include={"subwords", "model", "training"}, exclude_defaults=True)
