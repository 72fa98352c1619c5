"""Scores as the page prints them, and what a checkpoint says of its training."""

from __future__ import annotations

from nmt.evaluation import score
from nmt.translator import Translator

PROVENANCE = (
    *("seed", "minutes", "threads", "precision", "steps", "parameters", "dev_loss", "weights", "corpus_sha256"),
    "versions",
)


def scores(translations: list[str], references: list[list[str]]) -> dict:
    """sacreBLEU's BLEU and chrF, cased and detokenised, with signatures."""
    names = ("bleu", "bleu_signature", "chrf", "chrf_signature")
    return dict(zip(names, score(translations, references), strict=True)) | {"sentences": len(translations)}


def provenance(translator: Translator) -> dict:
    """Seed, wall time of training, corpus hash and the like, from the checkpoint's metadata."""
    metadata = translator.checkpoint.metadata
    kept = {key: metadata[key] for key in PROVENANCE if key in metadata}
    return {**kept, "decoding": metadata["decoding"], "engine": "ctranslate2" if translator.fast else "torch"}
