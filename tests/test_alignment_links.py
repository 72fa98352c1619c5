"""From matrices to links, and the choice of a head without gold links."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment import links
from nmt.alignment.groups import LEFTOVER, counterparts, favour_counterparts, join_short_words, link_leftovers
from scripts import raw_attention


def sharp(source_of_target: list[int], source_words: int, weight: float = 0.8) -> np.ndarray:
    """[target words, source words + 1] with `weight` on the given source word (source_words: nothing) of each row."""
    matrix = np.full((len(source_of_target), source_words + 1), (1 - weight) / source_words)
    matrix[np.arange(len(source_of_target)), source_of_target] = weight
    return matrix


def test_argmax_links_and_null():
    matrix = sharp([1, 2, 0], 2)
    assert links.argmax_links(matrix) == [(0, 2), (1, 0)]
    assert links.argmax_links(np.ones((2, 1))) == []


def test_links_of_attention_take_source_words_that_the_largest_leave_out():
    # did you go -> fuiste: one row for three words, the first of which is below a quarter.
    matrix = np.array([[0.2, 0.3, 0.4, 0.1], [0.0, 0.1, 0.2, 0.7]])
    assert links.attention_links(matrix) == [(1, 0), (2, 0)]
    # A source word that some target word looks at most keeps that link alone.
    assert links.attention_links(np.array([[0.6, 0.4, 0.0], [0.55, 0.3, 0.15]])) == [(0, 0), (0, 1), (1, 0)]
    assert links.attention_links(np.ones((2, 1))) == [] and links.attention_links(np.zeros((0, 3))) == []


def test_threshold_links_take_several_for_a_word():
    assert links.threshold_links(np.array([[0.5, 0.4, 0.1], [0.0, 0.2, 0.3]]), 0.25) == [(0, 0), (1, 0), (2, 1)]


def test_shift():
    stack = np.arange(2 * 2 * 3 * 4.0).reshape(2, 2, 3, 4)
    shifted = raw_attention.shift_attention(stack)
    assert shifted.shape == (2, 2, 2, 4)
    np.testing.assert_array_equal(shifted[..., 0, :], stack[..., 1, :])


def test_shift_attention_reads_the_step_whose_input_is_the_word():
    # A decoder that attends to the translation of its input: step 0 has <s>, step i + 1 has target piece i.
    translations = [2, 0, 1]
    attention = sharp([3, *translations], 3)
    found = links.argmax_links(raw_attention.shift_attention(attention))
    assert found == sorted((s, t) for t, s in enumerate(translations))


def candidates(right: int, count: int, orders: list[list[int]], seed: int) -> list[np.ndarray]:
    """For each sentence `count` random candidates, of which number `right` holds the given order."""
    generator = np.random.default_rng(seed)
    stacks = []
    for order in orders:
        stack = generator.dirichlet(np.ones(len(order) + 1), (count, len(order)))
        stack[right] = sharp(order, len(order))
        stacks.append(stack)
    return stacks


ORDERS = [list(np.random.default_rng(number).permutation(6)) for number in range(12)]


def test_the_candidate_that_predicts_words_is_found():
    words = ["the", "cat", "saw", "a", "big", "dog", "near", "my", "old", "red", "house", "today"]
    generator = np.random.default_rng(3)
    source = [list(generator.choice(words, 6, replace=False)) for _ in ORDERS]
    target = [[sentence[position][::-1] for position in order] for sentence, order in zip(source, ORDERS, strict=True)]
    assert raw_attention.select_by_prediction(candidates(2, 5, ORDERS, 4), source, target) == 2


WORDS = st.lists(st.sampled_from(["a", "the", "house", "station", ",", "?"]), min_size=1, max_size=7)


def joined_by_definition(linked: np.ndarray, words: list[str]) -> np.ndarray:
    """Row by row: the first later word that is linked or long, if no mark stands between."""
    result = linked.copy()
    for place, word in enumerate(words):
        if word in ",?" or linked[place].any() or len(word) > 3:
            continue
        for later in range(place + 1, len(words)):
            if words[later] in ",?":
                break
            if linked[later].any() or len(words[later]) > 3:
                result[place] = linked[later]
                break
    return result


@given(WORDS, WORDS, st.integers(0, 2**32 - 1))
def test_short_words_of_the_longer_side_join_the_next_word(source, target, seed):
    linked = np.random.default_rng(seed).random((len(target), len(source))) < 0.2
    linked[[word in ",?" for word in target]] = False
    linked[:, [word in ",?" for word in source]] = False
    found = join_short_words(linked, source, target)
    if len(target) > len(source):
        np.testing.assert_array_equal(found, joined_by_definition(linked, target))
    elif len(target) < len(source):
        np.testing.assert_array_equal(found.T, joined_by_definition(linked.T, source))
    else:
        np.testing.assert_array_equal(found, linked)
    np.testing.assert_array_equal(join_short_words(linked.T, target, source).T, found)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_leftovers_are_linked_best_first(seed, rows, columns):
    random = np.random.default_rng(seed)
    linked, probabilities = random.random((rows, columns)) < 0.2, random.random((rows, columns)) ** 4
    expected = linked.copy()
    cells = sorted(((j, i) for j in range(rows) for i in range(columns)), key=lambda cell: -probabilities[cell])
    for j, i in cells:
        if probabilities[j, i] > LEFTOVER and not expected[j].any() and not expected[:, i].any():
            expected[j, i] = True
    np.testing.assert_array_equal(link_leftovers(linked, probabilities), expected)


def test_words_that_look_alike_are_counterparts():
    source, target = ["the", "Nation", "of", "CoMO", "a", "a"], ["la", "nación", "COMO", "a", "of"]
    excluded = np.zeros((5, 6), bool)
    found = counterparts(source, target, excluded)
    assert sorted(zip(*np.nonzero(found), strict=True)) == [(1, 1), (2, 3), (4, 2)]  # two times `a` is no counterpart
    weighed = favour_counterparts(np.full((5, 6), 0.6), found)
    assert weighed[1, 1] == 0.9 and weighed[1, 0] == weighed[0, 1] == 0.3 and weighed[0, 0] == 0.6
