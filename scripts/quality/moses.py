"""BLEU as the Multi30k papers report it: lower-cased, on Moses' tokens.

Wu et al. 2021 (arXiv 2105.14462) score the corpus' own `lc.norm.tok` files, which are made from the raw text by
Moses' lowercase.perl, normalize-punctuation.perl and tokenizer.perl, in this order. sacremoses does here to outputs
and references what the last two do there. tokenizer.perl escapes & < > ' " [ ] | as those files have it: a token stays
a token, so the score is the same with and without.
"""

from __future__ import annotations

from sacrebleu.metrics import BLEU

from nmt.errors import UserError


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
