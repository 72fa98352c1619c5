"""Pharaoh files, gold files and the error rate."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.error_rate import GoldPair, bootstrap, bootstrap_difference, read_gold, score
from nmt.alignment.pharaoh import format_links, parse_links, read_pharaoh
from nmt.errors import UserError

DATA = Path(__file__).parent.parent / "data" / "alignments"
link_sets = st.frozensets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@given(link_sets)
def test_links_survive_their_text(links):
    assert parse_links(format_links(links)) == sorted(links)


def test_parse_sorts_and_drops_repetitions():
    assert parse_links(" 1-2  0-0 1-2\n") == [(0, 0), (1, 2)]
    assert parse_links("") == []


@pytest.mark.parametrize("text", ["0", "0-", "-1-0", "0-0,1-1", "0–1", "1-2-3", "a-b", "٣-1", "0-9999999999999999999"])
def test_what_is_no_link_is_refused_with_its_place(text):
    with pytest.raises(UserError, match="line 7: ") as caught:
        parse_links(f"0-0 {text}", where="line 7")
    assert repr(text) in str(caught.value)


def test_a_file_is_read_line_by_line(tmp_path):
    path = tmp_path / "corpus.align"
    path.write_text("0-0 1-1\n\n2-0\nnonsense\n")
    lines = read_pharaoh(path)
    assert [next(lines), next(lines), next(lines)] == [[(0, 0), (1, 1)], [], [(2, 0)]]
    with pytest.raises(UserError, match="line 4: 'nonsense'"):
        next(lines)
    with pytest.raises(UserError, match="cannot read"):
        next(read_pharaoh(tmp_path / "absent"))
    path.write_bytes(b"\xef\xbb\xbf0-0\r\n1-1\r\n")  # as Windows writes it
    assert list(read_pharaoh(path)) == [[(0, 0)], [(1, 1)]]
    path.write_bytes(b"0-0\n\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        list(read_pharaoh(path))


GOLD = [
    GoldPair(1, 2, frozenset({(0, 0), (1, 1), (2, 2)}), frozenset({(2, 1)})),
    GoldPair(3, 4, frozenset({(0, 1)}), frozenset()),
]


def test_scores_by_hand():
    # Pair 1: two of three links are sure, one possible. Pair 2: one wrong link, the sure one missed.
    result = score([[(0, 0), (1, 1), (2, 1)], [(0, 0)]], GOLD)
    assert result.error_rate == pytest.approx(1 - (2 + 3) / (4 + 4))
    assert result.precision == pytest.approx(3 / 4)
    assert result.recall == pytest.approx(2 / 4)
    assert result.f1 == pytest.approx(2 * 0.75 * 0.5 / 1.25)


def test_scores_at_the_ends():
    perfect = score([pair.sure for pair in GOLD], GOLD)
    assert (perfect.error_rate, perfect.precision, perfect.recall, perfect.f1) == (0, 1, 1, 1)
    with_possible = score([pair.sure | pair.possible for pair in GOLD], GOLD)
    assert (with_possible.error_rate, with_possible.f1) == (0, 1)
    empty = score([[], []], GOLD)
    assert (empty.error_rate, empty.precision, empty.recall, empty.f1) == (1, 1, 0, 0)
    with pytest.raises(ValueError):
        score([[]], GOLD)


@given(st.lists(st.tuples(link_sets, link_sets, link_sets), min_size=1, max_size=5))
def test_score_properties(cases):
    links = [case[0] for case in cases]
    gold = [GoldPair(0, 0, sure, possible - sure) for _, sure, possible in cases]
    result = score(links, gold)
    assert all(0 <= value <= 1 for value in (result.error_rate, result.precision, result.recall, result.f1))
    # Without possible links AER is 1 - F1 (Och and Ney 2003), when there is anything to score.
    strict = [GoldPair(0, 0, sure, frozenset()) for _, sure, _ in cases]
    if any(links) and any(pair.sure for pair in strict):
        assert score(links, strict).error_rate == pytest.approx(1 - score(links, strict).f1)
    # More possible links never make it worse.
    assert result.error_rate <= score(links, strict).error_rate + 1e-12


def test_bootstrap_intervals():
    generator = np.random.default_rng(5)
    gold = [GoldPair(0, number, frozenset((word, word) for word in range(6)), frozenset()) for number in range(60)]

    def system(error):
        return [[(word, word if generator.random() > error else 9) for word in range(6)] for _ in gold]

    good, bad = system(0.1), system(0.4)
    interval = bootstrap(good, gold, samples=2000)
    assert interval.value == pytest.approx(score(good, gold).error_rate)
    assert interval.low < interval.value < interval.high
    # With n independent links of error p the standard error is about sqrt(p (1 - p) / n).
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.sqrt(0.1 * 0.9 / 360), rel=0.4)
    assert bootstrap(good, gold, samples=2000) == interval
    difference = bootstrap_difference(good, bad, gold, samples=2000)
    assert difference.value == pytest.approx(score(good, gold).error_rate - score(bad, gold).error_rate)
    assert difference.low < difference.value < difference.high < 0
    same = bootstrap_difference(good, good, gold, samples=200)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_shipped_gold_links_are_whole():
    gold = read_gold(DATA / "tatoeba-en-es-dev.tsv")
    assert len({(pair.english_id, pair.spanish_id) for pair in gold}) == 150
    assert all(pair.sure and not pair.sure & pair.possible for pair in gold)
    assert score([pair.sure for pair in gold], gold).error_rate == 0


def test_gold_links_with_a_byte_order_mark(tmp_path):
    (tmp_path / "gold.tsv").write_text("\ufeffenglish_id\tspanish_id\tsure\tpossible\n1\t2\t0-0\t1-1\n", "utf-8")
    assert read_gold(tmp_path / "gold.tsv") == [GoldPair(1, 2, frozenset({(0, 0)}), frozenset({(1, 1)}))]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "line 1"),
        ("english\tspanish\n", "line 1"),
        ("english_id\tspanish_id\tsure\tpossible\n", "no pairs"),
        ("english_id\tspanish_id\tsure\tpossible\n1\t2\t0-0\n", "line 2: 3 columns"),
        ("english_id\tspanish_id\tsure\tpossible\n1\t2\t0-0\t\nx\t2\t0-0\t\n", "line 3: 'x'"),
        ("english_id\tspanish_id\tsure\tpossible\n1\t2\t0:0\t\n", "line 2: '0:0'"),
        ("english_id\tspanish_id\tsure\tpossible\n" + "1" * 5000 + "\t2\t0-0\t\n", "line 2: '111"),
    ],
)
def test_bad_gold_files_are_refused(tmp_path, content, complaint):
    path = tmp_path / "gold.tsv"
    path.write_text(content)
    with pytest.raises(UserError, match=complaint):
        read_gold(path)
    with pytest.raises(UserError, match="cannot read"):
        read_gold(tmp_path / "absent.tsv")
