"""BLEU and chrF of a translator on a split or on files, by sacreBLEU, with signatures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, cast

from nmt.errors import UserError

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

    from nmt.translator import Translator


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    bleu: float
    bleu_signature: str
    chrf: float
    chrf_signature: str
    sentences: int
    sentences_per_second: float
    """Text to text and alignment, loading not counted."""
    translations: list[str]


def score(
    translations: list[str], references: list[list[str]], target: str = "", tokenize: str | None = None
) -> tuple[float, str, float, str]:
    """(BLEU, its signature, chrF, its signature) of translations, each with one or more references.

    BLEU's tokenizer is `tokenize`, by default the one that sacreBLEU has for the `target` language: `zh`, `ja-mecab`,
    `ko-mecab` (`char` where MeCab is not installed), else `13a`. Raises UserError for one that is not installed.
    """
    from sacrebleu.metrics import CHRF

    # sacreBLEU's streams: all first references, all second ones, ...; None, though its types do not say so, for none.
    streams = cast(list[list[str]], list(zip_longest(*references)))
    bleu, chrf = _bleu(target, tokenize), CHRF()
    values = bleu.corpus_score(translations, streams).score, chrf.corpus_score(translations, streams).score
    return values[0], str(bleu.get_signature()), values[1], str(chrf.get_signature())


def _bleu(target: str, tokenize: str | None) -> BLEU:
    from sacrebleu.metrics import BLEU

    try:
        return BLEU(trg_lang=target.split("-")[0].lower(), tokenize=tokenize)
    except (ImportError, RuntimeError) as error:  # MeCab
        if tokenize is not None:
            raise UserError(f"the tokenizer {tokenize} is not installed: {' '.join(str(error).split())}") from error
        return BLEU(tokenize="char")


def evaluate(
    translator: Translator, sources: list[str], references: list[list[str]], tokenize: str | None = None, **options
) -> Evaluation:
    """Translate `sources` with `options` of Translator.translate and `score` them against `references`."""
    if not sources:
        raise UserError("there is nothing to evaluate: no source sentence")
    translator.translate(sources[:1], **options)  # the first call also loads the network
    started = time.perf_counter()
    translations = [translation.text for translation in translator.stream(sources, **options)]
    seconds = time.perf_counter() - started
    scores = score(translations, references, translator.target, tokenize)
    return Evaluation(*scores, len(sources), len(sources) / seconds, translations)
