"""Attention over words: hand-worked sums and means, and rows that stay distributions."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.pieces import TOGETHER, all_over_words, word_attention


def test_sum_over_source_pieces_and_mean_over_target_pieces():
    attention = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.1, 0.3], [0.0, 0.0, 0.0, 1.0]])
    # Source: word 0 of two pieces, word 1, </s>. Target: one word of two pieces, </s>.
    matrix = word_attention(attention, [[0], [0], [1], []], [[0], [0], []], 2, 1)
    np.testing.assert_allclose(matrix, [[0.45, 0.2, 0.35]], atol=1e-7)


def test_a_piece_of_several_words_shares_its_mass_equally():
    attention = np.array([[0.8, 0.2], [0.4, 0.6]])
    matrix = word_attention(attention, [[0, 1], [2]], [[0], [0, 1]], 3, 2)
    # Target word 0: piece 0 whole and half of piece 1, so weights 2/3 and 1/3; target word 1: piece 1 alone.
    np.testing.assert_allclose(matrix[0], [(2 * 0.4 + 0.2) / 3, (2 * 0.4 + 0.2) / 3, (2 * 0.2 + 0.6) / 3, 0], atol=1e-7)
    np.testing.assert_allclose(matrix[1], [0.2, 0.2, 0.6, 0], atol=1e-7)


def test_a_target_word_without_pieces_is_aligned_to_nothing():
    matrix = word_attention(np.array([[0.7, 0.3]]), [[0], []], [[1]], 1, 2)
    np.testing.assert_allclose(matrix, [[0, 1], [0.7, 0.3]], atol=1e-7)


def test_membership_of_another_length_is_refused():
    with pytest.raises(ValueError, match="pieces"):
        word_attention(np.ones((2, 3)) / 3, [[0], [1]], [[0], [1]], 2, 2)


@st.composite
def attention_over_pieces(draw, lead=None):
    def membership(words, pieces):
        word = st.integers(0, words - 1)
        return [draw(st.lists(word, max_size=2, unique=True)) if words else [] for _ in range(pieces)]

    words = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    pieces = draw(st.tuples(st.integers(1, 6), st.integers(0, 6)))
    lead = draw(st.sampled_from([(), (2,), (2, 3)])) if lead is None else lead
    attention = np.random.default_rng(draw(st.integers(0, 99))).random((*lead, pieces[1], pieces[0])) + 1e-3
    attention /= attention.sum(axis=-1, keepdims=True)
    return attention, membership(words[0], pieces[0]), membership(words[1], pieces[1]), *words


@given(attention_over_pieces())
def test_rows_are_distributions_whatever_the_pieces(case):
    attention, source, target, source_words, target_words = case
    matrix = word_attention(*case)
    assert matrix.shape == (*attention.shape[:-2], target_words, source_words + 1)
    assert matrix.dtype == np.float32
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=-1), 1, atol=1e-5)
    # Against loops: the weighted mean over pieces of the shared sums.
    for word in range(target_words):
        weights = [(piece, 1 / len(members)) for piece, members in enumerate(target) if word in members]
        if not weights:
            continue
        for column in range(source_words + 1):
            expected = sum(
                weight * attention[..., piece, position] / (len(members) or 1)
                for piece, weight in weights
                for position, members in enumerate(source)
                if column in (members or [source_words])
            ) / sum(weight for _, weight in weights)
            np.testing.assert_allclose(matrix[..., word, column], expected, atol=1e-5)


@given(st.lists(attention_over_pieces(lead=()), min_size=1, max_size=5))
def test_many_pairs_at_once_are_as_one_by_one(cases):
    cases = cases * (TOGETHER // len(cases) + 1)  # more than one padded group
    matrices, sides = [], ([], [])
    for attention, *members, source_words, target_words in cases:
        with_end = np.concatenate([attention, 1 - attention[:, :1]], axis=1) / (2 - attention[:, :1])
        matrices.append(with_end.astype(np.float32))
        for side, own, words in zip(sides, members, (source_words, target_words), strict=True):
            side.append(SimpleNamespace(words_of_piece=own, words=[None] * words))
    found = list(all_over_words(matrices, *sides))
    for matrix, attention, source, target in zip(found, matrices, *sides, strict=True):
        members = [*source.words_of_piece, []], target.words_of_piece
        expected = word_attention(attention, *members, len(source.words), len(target.words))
        assert matrix.dtype == np.float32
        np.testing.assert_allclose(matrix, expected, atol=1e-6)
