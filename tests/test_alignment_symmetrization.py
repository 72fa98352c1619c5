"""Symmetrisation: hand-worked cases, laws, and a slow transcription of the published procedure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.symmetrization import SYMMETRIZATIONS

link = st.tuples(st.integers(0, 6), st.integers(0, 6))
link_sets = st.lists(link, max_size=20, unique=True)
# Each direction of real aligners links a word at most once; both kinds of input must work.
functions = st.dictionaries(st.integers(0, 6), st.integers(0, 6)).map(lambda function: list(function.items()))
reverse_links = link_sets | functions
forward_links = link_sets | functions.map(lambda links: [(source, target) for target, source in links])

#     forward: x, reverse: o, both: #        columns: source words 0-3, rows: target words 0-3
#     # . . .
#     . # o .
#     . . . x
#     o . . .
FORWARD = [(0, 0), (1, 1), (3, 2)]
REVERSE = [(0, 0), (1, 1), (2, 1), (0, 3)]
EXPECTED = {
    "intersection": [(0, 0), (1, 1)],
    "union": [(0, 0), (0, 3), (1, 1), (2, 1), (3, 2)],
    # (2, 1) touches (1, 1) and links source word 2; (3, 2) then touches (2, 1) on the diagonal.
    "grow-diag": [(0, 0), (1, 1), (2, 1), (3, 2)],
    # (0, 3): source word 0 is linked, target word 3 is not.
    "grow-diag-final": [(0, 0), (0, 3), (1, 1), (2, 1), (3, 2)],
    "grow-diag-final-and": [(0, 0), (1, 1), (2, 1), (3, 2)],
}


@pytest.mark.parametrize("method", EXPECTED)
def test_hand_worked_case(method):
    assert SYMMETRIZATIONS[method](FORWARD, REVERSE) == EXPECTED[method]


def test_final_and_takes_only_links_of_two_unlinked_words():
    # Nothing agrees, so nothing grows: the final steps see forward first, then reverse.
    forward, reverse = [(0, 0), (0, 1)], [(1, 1), (1, 0), (2, 2)]
    assert SYMMETRIZATIONS["grow-diag"](forward, reverse) == []
    assert SYMMETRIZATIONS["grow-diag-final"](forward, reverse) == [(0, 0), (0, 1), (1, 0), (2, 2)]
    assert SYMMETRIZATIONS["grow-diag-final-and"](forward, reverse) == [(0, 0), (1, 1), (2, 2)]


def test_a_neighbour_of_two_linked_words_is_not_grown():
    assert SYMMETRIZATIONS["grow-diag"]([(0, 0), (1, 1), (1, 0)], [(0, 0), (1, 1)]) == [(0, 0), (1, 1)]


@given(forward_links, reverse_links)
def test_laws(forward, reverse):
    results = {name: method(forward, reverse) for name, method in SYMMETRIZATIONS.items()}
    both, any_of = set(results["intersection"]), set(results["union"])
    assert both == set(forward) & set(reverse) and any_of == set(forward) | set(reverse)
    for name, result in results.items():
        assert result == sorted(set(result)), name
        assert both <= set(result) <= any_of, name
        assert SYMMETRIZATIONS[name](result, result) == result, name
    grown = set(results["grow-diag"])
    assert grown <= set(results["grow-diag-final-and"]) <= any_of
    assert grown <= set(results["grow-diag-final"])
    # grow-diag-final leaves no word unlinked that the union links.
    for side in (0, 1):
        assert {pair[side] for pair in results["grow-diag-final"]} == {pair[side] for pair in any_of}


@given(forward_links, reverse_links)
def test_the_two_sets_that_do_not_scan_are_symmetric(forward, reverse):
    def flip(links):
        return sorted((target, source) for source, target in links)

    for name in ("intersection", "union"):
        method = SYMMETRIZATIONS[name]
        assert method(forward, reverse) == method(reverse, forward)
        assert method(flip(forward), flip(reverse)) == flip(method(forward, reverse))


def transcribed(forward, reverse, final):
    """The procedure as Koehn et al. print it: whole scans of the matrix until nothing is added."""
    alignment = set(forward) & set(reverse)
    everything = set(forward) | set(reverse)
    size = 1 + max((max(pair) for pair in everything), default=0)

    def unlinked(source, target):
        return [all(source != s for s, _ in alignment), all(target != t for _, t in alignment)]

    added = True
    while added:
        added = False
        for target in range(size):
            for source in range(size):
                if (source, target) not in alignment:
                    continue
                for step in [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]:
                    new = (source + step[1], target + step[0])
                    if any(unlinked(*new)) and new in everything and new not in alignment:
                        alignment.add(new)
                        added = True
    for direction in (forward, reverse) if final else ():
        for target in range(size):
            for source in range(size):
                if (source, target) in direction and final(unlinked(source, target)):
                    alignment.add((source, target))
    return sorted(alignment)


@given(forward_links, reverse_links)
def test_same_as_the_slow_transcription(forward, reverse):
    for name, final in (("grow-diag", None), ("grow-diag-final", any), ("grow-diag-final-and", all)):
        assert SYMMETRIZATIONS[name](forward, reverse) == transcribed(forward, reverse, final), name
