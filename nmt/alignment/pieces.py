"""From attention over subword pieces to attention over words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nmt.text.encoding import Encoding

Membership = Sequence[Sequence[int]]
"""For each piece the words that it belongs to: mostly one, none for `</s>` and other special pieces."""
TOGETHER = 32
"""Sentence pairs whose matrices are padded to one size."""


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
    (found,) = _together([attention], [source_words_of_piece], [target_words_of_piece], [source_words], [target_words])
    return found


def over_words(attention: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """`word_attention` of a sentence pair: [..., target pieces, source pieces + 1], the last column being `</s>`."""
    return next(all_over_words([attention], [source], [target]))


def all_over_words(
    attention: Sequence[np.ndarray], sources: Sequence[Encoding], targets: Sequence[Encoding]
) -> Iterator[np.ndarray]:
    """`over_words` of many sentence pairs, many at a time."""
    for first in range(0, len(attention), TOGETHER):
        part = slice(first, first + TOGETHER)
        columns, rows = ([len(encoding.words) for encoding in side[part]] for side in (sources, targets))
        source_members = [[*source.words_of_piece, ()] for source in sources[part]]
        target_members = [target.words_of_piece for target in targets[part]]
        yield from _together(attention[part], source_members, target_members, columns, rows)


def _together(
    attention: Sequence[np.ndarray],
    sources: Sequence[Membership],
    targets: Sequence[Membership],
    columns: Sequence[int],
    rows: Sequence[int],
) -> Iterator[np.ndarray]:
    """`word_attention` of several pairs of `columns` and `rows` words, padded to one size."""
    gather, share = _shares(sources, columns), _shares(targets, rows)
    total = share.sum(axis=1, keepdims=True)  # [pairs, 1, target words + 1]
    lead = attention[0].shape[:-2]
    padded = np.zeros((len(attention), *lead, share.shape[1], gather.shape[1]))
    for own, matrix in zip(padded, attention, strict=True):
        own[..., : matrix.shape[-2], : matrix.shape[-1]] = matrix
    average = np.moveaxis(share / np.where(total > 0, total, 1), 1, 2)  # [pairs, target words + 1, target pieces]
    average, gather = (np.expand_dims(one, tuple(range(1, 1 + len(lead)))) for one in (average, gather))
    found = average @ (padded @ gather)  # [pairs, ..., target words + 1, source words + 1]
    without = total[:, 0] == 0  # [pairs, target words + 1]
    for matrix, height, width, empty in zip(found, rows, columns, without, strict=True):
        matrix[..., empty, width] = 1
        yield matrix[..., :height, : width + 1].astype(np.float32)


def _shares(pieces: Sequence[Membership], words: Sequence[int]) -> np.ndarray:
    """[pairs, most pieces, most words + 1]: the share of each piece that belongs to each word; what belongs to none is
    in the column after its pair's last word. Rows sum to 1, those of padding to 0."""
    counts = [len(words_of_piece) for words_of_piece in pieces]
    flat = [members or (none,) for own, none in zip(pieces, words, strict=True) for members in own]
    lengths = np.fromiter(map(len, flat), np.intp, len(flat))
    pair = np.repeat(np.arange(len(counts)), counts)
    piece = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
    word = np.fromiter(chain.from_iterable(flat), np.intp)
    result = np.zeros((len(counts), max(counts), max(words) + 1))
    result[np.repeat(pair, lengths), np.repeat(piece, lengths), word] = np.repeat(1 / lengths, lengths)
    return result
