"""BLEU and chrF of a translator on a split or on files, by sacreBLEU, with signatures."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, cast

from nmt.errors import UserError

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

    from nmt.translator import Translator

TOKENIZERS = ["13a", "char", "intl", "ja-mecab", "ko-mecab", "none", "zh"]
"""sacreBLEU's tokenizers that need no download."""
_OF_LANGUAGE = {
    name: tokenizer
    for tokenizer, names in {
        "zh": "zh zho chi cmn yue wuu lzh nan hak gan hsn chinese mandarin cantonese",
        "ja-mecab": "ja jpn japanese",
        "ko-mecab": "ko kor korean",
        # Scripts without spaces, for which sacreBLEU has no tokenizer.
        "char": "th tha thai lo lao km khm khmer my mya bur burmese shn bo bod tib tibetan dz dzo dzongkha",
    }.items()
    for name in names.split()
}


class CorpusScores(NamedTuple):
    """BLEU and chrF of a corpus, 0 to 100, with sacreBLEU's signatures."""

    bleu: float
    bleu_signature: str
    chrf: float
    chrf_signature: str


@dataclass(frozen=True)
class Evaluation:
    """Scores of an evaluation."""

    bleu: float
    bleu_signature: str
    chrf: float
    chrf_signature: str
    sentences: int
    sentences_per_second: float
    """From text to text and alignment, without loading."""
    translations: list[str]


def bleu_metric(language: str = "", tokenizer: str | None = None) -> BLEU:
    """sacreBLEU's BLEU with `tokenizer`, by default that of a language's code or English name: zh, ja-mecab or ko-mecab
    (char where MeCab is not installed), char for other languages that write no spaces, else 13a.

    Raises UserError for a tokenizer that is not known or not installed.
    """
    from sacrebleu.metrics import BLEU

    chosen = tokenizer or _OF_LANGUAGE.get(re.split("[-_]", language.lower())[0], "13a")
    try:
        return BLEU(tokenize=chosen)
    except (ImportError, RuntimeError, ValueError) as error:
        if tokenizer:
            raise UserError(f"sacreBLEU has no tokenizer {tokenizer} here ({' '.join(str(error).split())})") from error
        return BLEU(tokenize="char")


def score(
    translations: list[str], references: list[list[str]], language: str = "", tokenizer: str | None = None
) -> CorpusScores:
    """The scores of translations, each with one or more references.

    `language` is that of the translations; it or `tokenizer` chooses BLEU's words (see `bleu_metric`).
    """
    from sacrebleu.metrics import CHRF

    # sacreBLEU wants all first references, all second ones, ...; None (not in its types) for a missing one.
    streams = cast(list[list[str]], list(zip_longest(*references)))
    bleu, chrf = bleu_metric(language, tokenizer), CHRF()
    values = [metric.corpus_score(translations, streams).score for metric in (bleu, chrf)]
    return CorpusScores(values[0], str(bleu.get_signature()), values[1], str(chrf.get_signature()))


def evaluate(
    translator: Translator, sources: list[str], references: list[list[str]], tokenizer: str | None = None, **options
) -> Evaluation:
    """Translate `sources` with `options` of Translator.translate and score them against `references`.

    BLEU's `tokenizer` is by default that of the target language.
    """
    if not sources:
        raise UserError("there is nothing to evaluate: no source sentence")
    options = {"one_sentence": True, **options}  # a line of a corpus is one segment
    bleu_metric(tokenizer=tokenizer)  # fail before translating
    translator.translate(sources[:1], **options)  # load the network
    started = time.perf_counter()
    translations = [translation.text for translation in translator.stream(sources, **options)]
    seconds = time.perf_counter() - started
    scores = score(translations, references, translator.target, tokenizer)
    return Evaluation(*scores, len(sources), len(sources) / seconds, translations)
