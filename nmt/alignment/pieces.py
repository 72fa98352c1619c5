"""From attention over subword pieces to attention over words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nmt.text.subwords import Encoding

Membership = Sequence[Sequence[int]]
"""For each piece the words that it belongs to: mostly one, none for `</s>` and other special pieces."""


def word_attention(
    attention: np.ndarray,
    source_words_of_piece: Membership,
    target_words_of_piece: Membership,
    source_words: int,
    target_words: int,
) -> np.ndarray:
    """Attention over words: the sum over a source word's pieces, the mean over a target word's pieces.

    So do Koehn and Knowles (2017, "Six Challenges for Neural Machine Translation", section 3.5) and
    Clark et al. (2019, "What Does BERT Look At?", section 4.1): the mass that falls on a word is what
    falls on all of its pieces, and a word looks where its pieces look on average.

    A piece that spans several words shares its mass equally among them. A target word without any
    piece is aligned to nothing: all its mass stands in the last column.

    Args:
        attention: [..., target pieces, source pieces], rows summing to 1; `</s>` may be among the pieces.
        source_words_of_piece, target_words_of_piece: the words of each column and of each row.
        source_words, target_words: numbers of words.

    Returns:
        [..., target words, source words + 1], float32, rows summing to 1; the last column is the mass
        on `</s>` and on all pieces that belong to no word.

    Raises:
        ValueError: when rows or columns and their memberships differ in number.
    """
    attention = np.asarray(attention)
    pieces = (len(target_words_of_piece), len(source_words_of_piece))
    if attention.shape[-2:] != pieces:
        raise ValueError(f"attention is {attention.shape[-2:]}, but words are given for {pieces} pieces")
    gather = _shares(source_words_of_piece, source_words)  # [source pieces, source words + 1]
    share = _shares(target_words_of_piece, target_words)[:, :target_words]  # [target pieces, target words]
    total = share.sum(axis=0)  # [target words]
    average = (share / np.where(total > 0, total, 1)).T  # [target words, target pieces]
    matrix = average @ (attention @ gather)  # [..., target words, source words + 1]
    matrix[..., total == 0, source_words] = 1
    return matrix.astype(np.float32)


def over_words(attention: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """`word_attention` of a sentence pair: [..., target pieces, source pieces + 1], the last column being `</s>`."""
    members = [*source.words_of_piece, []], target.words_of_piece
    return word_attention(attention, *members, len(source.words), len(target.words))


def _shares(words_of_piece: Membership, words: int) -> np.ndarray:
    """[pieces, words + 1], rows summing to 1: the share of each piece that belongs to each word, or to none."""
    shares = np.zeros((len(words_of_piece), words + 1))
    for piece, members in enumerate(words_of_piece):
        for word in members or (words,):
            shares[piece, word] += 1 / (len(members) or 1)
    return shares
