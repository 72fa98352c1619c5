"""The agreement figures of the comparison on a second pair of languages."""

import pytest

from nmt.errors import UserError
from scripts import compare_aligners_second_pair as second_pair

# By hand: intersected {0-0, 1-1 | 0-1}, three links; either direction {0-0, 1-1, 1-2, 2-2 | 0-1, 1-0}, six.
FORWARD = [[(0, 0), (1, 1), (1, 2)], [(0, 1)]]
REVERSE = [[(0, 0), (1, 1), (2, 2)], [(0, 1), (1, 0)]]


def test_agreement_by_hand():
    # Five links: two of the three intersected (0-0, 0-1), one more of either direction (2-2), two of neither.
    links = [[(0, 0), (2, 2), (2, 1)], [(0, 1), (1, 1)]]
    found = second_pair.agreement(links, FORWARD, REVERSE)
    assert found.links == 5
    assert found.found == pytest.approx(2 / 3)
    assert found.supported == pytest.approx(3 / 5)
    assert found.f1 == pytest.approx(2 * 2 / (5 + 3))  # Dice: twice the common links over the links of both


def test_the_table_has_the_directions_against_each_other():
    rows = second_pair.rows_of({"forward": FORWARD, "none": [[], []]}, FORWARD, REVERSE)
    # Four forward links, three of them intersected: F1 2 * 3 / (4 + 3).
    assert rows == [["forward", "4", "0.857", "1.000", "1.000"], ["none", "0", "0.000", "0.000", "1.000"]]
    # Three common links of four and five: 2 * 3 / (4 + 5).
    assert second_pair.agreement(FORWARD, REVERSE, REVERSE).f1 == pytest.approx(6 / 9)


def test_pairs_must_match():
    with pytest.raises(ValueError):
        second_pair.agreement(FORWARD[:1], FORWARD, REVERSE)


def test_without_the_local_corpus_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(second_pair.captions, "FILES", tmp_path / "none")
    with pytest.raises(UserError, match=r"none.*configs/multi30k-en-de\.yaml"):
        second_pair.default_config()
