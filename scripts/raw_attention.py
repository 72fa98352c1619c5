"""Links from raw attention: which attention is read, and the choice of a layer or a head without gold links.

Attention comes as a stack [layers, heads, ...] or as a matrix [target words, source words + 1] whose
last column is `</s>`, that is "aligned to nothing". The reverse direction's matrix is
[source words, target words + 1].
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nmt.alignment import Link
from nmt.alignment.error_rate import GoldPair, read_gold
from nmt.alignment.gold import english_spanish_corpus, find_sentences
from nmt.alignment.links import argmax_links, transpose
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


def layer_average(attention: np.ndarray, layer: int) -> np.ndarray:
    """A layer's mean over heads, [layers, heads, target, source] -> [target, source] (Garg et al. 2019, sec. 4.1)."""
    return attention[layer].mean(axis=0)


def overall_average(attention: np.ndarray) -> np.ndarray:
    """The mean of all heads of all layers, [layers, heads, target, source] -> [target, source]."""
    return attention.mean(axis=(0, 1))


def shift_attention(attention: np.ndarray) -> np.ndarray:
    """Attention read one step later (Shift-Att: Chen et al. 2020, arXiv 2004.14837, section 3.1).

    Row i of the result is the step at which target piece i is the decoder's *input*, no longer its
    output: [..., target pieces + </s>, source] -> [..., target pieces, source].
    """
    return attention[..., 1:, :]


def mutual_argmax_links(forward: np.ndarray, reverse: np.ndarray) -> list[Link]:
    """Links that are the arg-max in both directions: the intersection (Och and Ney 2003, section 4)."""
    return sorted(set(argmax_links(forward)) & transpose(argmax_links(reverse)))


# Choosing a layer or a head without gold links


def agreement(forward: Sequence[Link], reverse: Sequence[Link]) -> tuple[int, int]:
    """(twice the common links, all links) of two directions; their ratio is 1 - AER of one against the other."""
    return 2 * len(set(forward) & set(reverse)), len(set(forward)) + len(set(reverse))


def select_by_agreement(forward: Sequence[np.ndarray], reverse: Sequence[np.ndarray]) -> tuple[int, int]:
    """The candidate of each direction that agrees best with one of the other's.

    Chen et al. (2020, section 3.1) choose layers so, by the AER between the two directions.

    Args:
        forward: for each sentence pair [candidates, target words, source words + 1].
        reverse: for each sentence pair [candidates, source words, target words + 1].
    """
    counts = np.zeros((len(forward[0]), len(reverse[0]), 2))
    for ahead, back in zip(forward, reverse, strict=True):
        linked_back = [transpose(argmax_links(matrix)) for matrix in back]
        for i, matrix in enumerate(ahead):
            linked = argmax_links(matrix)
            for j, other in enumerate(linked_back):
                counts[i, j] += agreement(linked, list(other))
    ratio = counts[..., 0] / np.maximum(counts[..., 1], 1)
    return divmod(int(ratio.argmax()), ratio.shape[1])


def best_layer(forward: Sequence[np.ndarray], reverse: Sequence[np.ndarray]) -> tuple[int, int]:
    """The layer of each direction whose mean over heads agrees best with the other's (see `select_by_agreement`).

    Both arguments: for each sentence pair [layers, heads, words, words + 1].
    """
    return select_by_agreement([stack.mean(axis=1) for stack in forward], [stack.mean(axis=1) for stack in reverse])


def best_head(forward: Sequence[np.ndarray], reverse: Sequence[np.ndarray]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The (layer, head) of each direction that agrees best with one of the other's, as in `best_layer`."""
    chosen = select_by_agreement(
        [stack.reshape(-1, *stack.shape[2:]) for stack in forward],
        [stack.reshape(-1, *stack.shape[2:]) for stack in reverse],
    )
    return divmod(chosen[0], forward[0].shape[1]), divmod(chosen[1], reverse[0].shape[1])


def select_by_prediction(
    matrices: Sequence[np.ndarray], source: Sequence[Sequence[str]], target: Sequence[Sequence[str]]
) -> int:
    """The candidate whose links predict target words best, where only one direction is at hand.

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
