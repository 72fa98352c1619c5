"""The comparison's own parts: what aligners are given, what is read back, and the table."""

import os
import stat
import sys
from pathlib import Path

import pytest

from nmt.alignment.error_rate import GoldPair
from nmt.alignment.pharaoh import format_links
from nmt.errors import UserError
from scripts import compare_aligners as compare
from scripts.compare_aligners import GoldSet

PAIRS = [("Where's  the Station?", "¿Dónde está?"), ("!", ""), ("a|b", "A B")]
# Writes a link from the last source token to the first target token, with -r from the first to the last.
PROGRAM = """#!{python}
import sys
path, reverse = sys.argv[2], "-r" in sys.argv
print(*sys.argv[3:], file=open(path + ".options", "a"))
for line in open(path, encoding="utf-8"):
    source, target = (side.split() for side in line.split(" ||| "))
    print("0-" + str(len(target) - 1) if reverse else str(len(source) - 1) + "-0")
"""


@pytest.mark.skipif(os.name != "posix", reason="the stand-in program is an executable script")
def test_fast_align_is_called_in_both_directions(tmp_path, monkeypatch):
    path = compare.write_pairs(tmp_path / "pairs", PAIRS)
    assert path.read_text() == "where's the station ? ||| ¿ dónde está ?\n! ||| _\na | b ||| a b\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compare.run_fast_align(path) is None
    program = tmp_path / "fast_align"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    found = compare.run_fast_align(path)
    assert [format_links(links) for links in found.forward] == ["3-0", "0-0", "2-0"]
    assert [format_links(links) for links in found.reverse] == ["0-3", "0-0", "0-1"]
    assert found.seconds > 0
    assert Path(f"{path}.options").read_text() == "-d -o -v\n-d -o -v -r\n"


def test_an_aligner_is_trained_once(tmp_path):
    calls = []

    def train(path):
        calls.append(path)
        return compare.Alignments([[(0, 1)], [(2, 2)]], [[(1, 1)], []], 90.0)

    record = tmp_path / "kept" / "aligner.json"
    for _ in range(2):
        kept = compare._kept(record, train, tmp_path, 1, fresh=False)
        assert (kept.forward, kept.reverse, kept.seconds) == ([[(0, 1)]], [[(1, 1)]], 90.0)
    assert len(calls) == 1
    compare._kept(record, train, tmp_path, 1, fresh=True)
    assert len(calls) == 2


def test_the_diagonal_reaches_both_ends():
    links = compare.diagonal([("a b c d", "a b"), ("a", "a b c"), ("", "")]).links
    assert links == [[(0, 0), (3, 1)], [(0, 0), (0, 1), (0, 2)], []]


def one_to_one(name: str, count: int):
    words = compare.gold_sets.written_words("a b")
    gold = [GoldPair(number, number, frozenset({(0, 0), (1, 1)}), frozenset()) for number in range(count)]
    return GoldSet(name, [(words, words)] * count, gold)


def test_the_table_and_the_difference():
    sets = [one_to_one("near", 8), one_to_one("far", 2)]
    good, crossed = [(0, 0), (1, 1)], [(0, 1), (1, 0)]
    rows = [
        compare.Row("theirs", [good] * 6 + [crossed] * 2 + [good, crossed], ours=False, minutes=1.26),
        compare.Row("bad", [[]] * 8, ours=False),
        compare.Row("ours", [good] * 10, ours=True),
    ]
    theirs, bad, ours = (compare.cells(row, sets) for row in rows)
    assert theirs[:2] == ["theirs", "0.250"] and theirs[2].startswith("0.000 to ")
    assert theirs[3:6] == ["0.750", "0.750", "0.500"] and theirs[7:] == ["0.500", "0.500", "1.3"]
    assert bad[1] == "1.000" and bad[5:] == [""] * 5
    assert ours == ["ours", *["0.000", "0.000 to 0.000", "1.000", "1.000"] * 2, ""]
    for name, less in (("near", "-0.250"), ("far", "-0.500")):
        found = compare.difference(rows[2], rows, sets, name)
        assert found.startswith(f"- {name}: ours less theirs: AER {less} (95% interval ")
    assert len(compare.published(sets)[0]) == len(ours) and compare.published(sets[:1]) == []


def test_links_of_tokens_become_links_of_given_words(tmp_path):
    path = tmp_path / "gold.tsv"
    path.write_text("They do n't go .\tNo van .\t1-0 2-0 3-1 4-2\n")
    gold = compare.gold_sets.xl_wa(path)
    assert gold.pairs == [("They don't go .", "No van .")]
    assert gold.gold[0].sure == {(1, 0), (2, 0), (3, 1), (4, 2)}
    assert gold.over_words([[(1, 0), (2, 1), (3, 2)]]) == [[(1, 0), (2, 0), (3, 1), (4, 2)]]
    path.write_text("one column\n")
    with pytest.raises(UserError, match="line 1: 1 columns"):
        compare.gold_sets.xl_wa(path)
