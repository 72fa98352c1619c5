"""Links from raw attention: which attention is read, and the choice of a head without gold links.

Attention comes as a stack [layers, heads, ...] or as a matrix [target words, source words + 1] whose
last column is `</s>`, that is "aligned to nothing".
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nmt.alignment.error_rate import GoldPair, read_gold
from nmt.alignment.gold import english_spanish_corpus, find_sentences
from nmt.alignment.pieces import over_words
from nmt.translator import Translator
from scripts.report import ROOT

GOLD = ROOT / "data" / "alignments" / "tatoeba-en-es-dev.tsv"
"""The hand-aligned pairs; they are in no training split."""


def gold_pairs() -> tuple[list[GoldPair], list[tuple[str, str]]]:
    """The links and the sentences of the hand-aligned pairs."""
    gold = read_gold(GOLD)
    return gold, find_sentences(gold, english_spanish_corpus())


def over_word_pairs(translator: Translator, source: str, target: str, shift: bool = False) -> np.ndarray:
    """All heads' cross-attention over words, given both sides: [layers, heads, target words, source words + 1]."""
    ahead = translator.subwords.encode(source)
    back = translator.subwords.encode_translation(target, ahead)
    cross = translator.attention(source, target).cross
    # Without the shift the last step predicts `</s>`; with it, that step reads the last piece.
    return over_words(shift_attention(cross) if shift else cross[..., :-1, :], ahead, back)


def shift_attention(attention: np.ndarray) -> np.ndarray:
    """Attention read one step later (Shift-Att: Chen et al. 2020, arXiv 2004.14837, section 3.1).

    Row i of the result is the step at which target piece i is the decoder's *input*, no longer its
    output: [..., target pieces + </s>, source] -> [..., target pieces, source].
    """
    return attention[..., 1:, :]


def select_by_prediction(
    matrices: Sequence[np.ndarray], source: Sequence[Sequence[str]], target: Sequence[Sequence[str]]
) -> int:
    """The candidate whose links predict target words best.

    Each candidate's links make a table of word translations, and the table predicts every linked target word
    from its source word: the table of IBM Model 1 (Brown et al. 1993, section 4.1), counted on all
    *other* sentence pairs, so that chance links of rare words gain nothing. A word that is aligned to
    nothing is predicted from the empty word.

    Args:
        matrices: for each sentence pair [candidates, target words, source words + 1].
        source, target: its words.
    """
    vocabulary = len({word for sentence in target for word in sentence}) or 1
    likelihoods = []
    for candidate in range(len(matrices[0])):
        pairs = [
            _linked_words(stack[candidate], ahead, back)
            for stack, ahead, back in zip(matrices, source, target, strict=True)
        ]
        joint = Counter(pair for sentence in pairs for pair in sentence)
        total = Counter(word for sentence in pairs for word, _ in sentence)
        likelihood = 0.0
        for sentence in pairs:
            own_joint = Counter(sentence)
            own_total = Counter(word for word, _ in sentence)
            for word, translation in sentence:
                seen = joint[word, translation] - own_joint[word, translation]
                # One virtual count spread over the vocabulary keeps the unseen possible.
                likelihood += np.log((seen + 1 / vocabulary) / (total[word] - own_total[word] + 1))
        likelihoods.append(likelihood)
    return int(np.argmax(likelihoods))


def _linked_words(matrix: np.ndarray, source: Sequence[str], target: Sequence[str]) -> list[tuple[str, str]]:
    """(source word, target word) for each target word; the source word is "" where that is `</s>`."""
    words = [*source, ""]
    best = matrix.argmax(axis=1)
    return [(words[source].casefold(), word.casefold()) for source, word in zip(best, target, strict=True)]
