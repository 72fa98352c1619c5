"""`nmt-align` with a head that links equal words, so that every link is known beforehand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Conversation

from nmt.alignment.head import LONGEST, Aligner
from nmt.alignment.network import AlignmentHead
from nmt.alignment.symmetrization import SYMMETRIZATIONS
from nmt.checkpoint import write_checkpoint_metadata
from nmt.config import AlignerConfig
from nmt.text.subwords import Subwords

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ["one two three four", "where is the old station?", "don't wait, said Ana.", "five red houses"]


def make_checkpoint(directory: Path, languages: tuple[str, str]) -> str:
    directory.mkdir(exist_ok=True)
    # So many merges that different words have no piece in common.
    subwords = Subwords.train(SENTENCES * 20, 380, "bpe")
    (directory / "subwords.model").write_bytes(subwords.model)
    head = AlignmentHead(AlignerConfig(width=64, hidden=8, channels=2), len(subwords))
    parameters = {name: value.numpy().copy() for name, value in head.state_dict().items()}
    vectors = np.random.default_rng(1).standard_normal(parameters["embedding"].shape)
    parameters["embedding"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for name in parameters:
        if name.startswith(("source_context", "target_context", "positions")):
            parameters[name][:] = 0
        if name in ("source_word.weight", "target_word.weight"):
            parameters[name] = np.eye(64) * 20
    parameters["offset"] = np.array(-25.0)
    Aligner(parameters, subwords).save(directory / "aligner.safetensors")
    metadata = {"source": languages[0], "target": languages[1], "decoding": {}, "max_length": 256, "alignment_layer": 0}
    write_checkpoint_metadata(directory, metadata)
    return str(directory)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), ("en", "es"))


@pytest.fixture
def align(checkpoint, command):
    def call(*arguments: str, given: str = "") -> tuple[int, list[str], str]:
        status, output, errors = command("align")("--checkpoint", checkpoint, *arguments, stdin=given)
        return status, output.split("\n")[:-1], "\n".join(errors)

    return call


def test_another_source_language_is_a_warning(command):
    def told(*pairs: str) -> list[str]:
        ended = command("align")(stdin="\n".join(pairs))
        assert ended.status == 0
        return ended.errors

    german = "Der Hund schläft unter dem Tisch. ||| El perro duerme debajo de la mesa."
    english = "The dog's asleep under the table, said Kowalski. ||| El perro duerme debajo de la mesa, dijo Kowalski."
    (warning,) = told(german, german)
    assert warning.startswith("nmt-align: warning: ")
    assert "from en" in warning and "of 12 source words" in warning and "--learn" in warning
    assert told(english, english, german) == told("! ||| !") == []


def test_pairs_from_all_three_places_give_the_same_links(align, tmp_path):
    pairs = [("one two three", "three one two"), ("the station?", "station the?")]
    expected = ["0-1 1-2 2-0", "0-1 1-0 2-2"]
    assert align(given="".join(f"{s} ||| {t}\n" for s, t in pairs)) == (0, expected, "")
    (tmp_path / "pairs.tsv").write_text("".join(f"{s}\t{t}\tsomeone\n" for s, t in pairs))
    assert align(str(tmp_path / "pairs.tsv")) == (0, expected, "")
    for name, side in (("source", 0), ("target", 1)):
        (tmp_path / name).write_text("\n".join(pair[side] for pair in pairs))
    sides = ["--source", str(tmp_path / "source"), "--target", str(tmp_path / "target")]
    assert align(*sides) == (0, expected, "")
    assert align(*sides, "--output", str(tmp_path / "links")) == (0, [], "")
    assert (tmp_path / "links").read_text().splitlines() == expected


def test_full_links_have_articles_too(align):
    assert align(given="houses ||| the houses\n") == (0, ["0-1"], "")
    assert align("--links", "full", given="houses ||| the houses\n") == (0, ["0-0 0-1"], "")
    assert align("--links", "full", given="the houses ||| houses\n") == (0, ["0-0 1-0"], "")
    status, _, complaint = align("--links", "full", "--symmetrize", "union")
    assert status and "give one of --symmetrize and --links" in complaint


@pytest.mark.parametrize("method", SYMMETRIZATIONS)
def test_symmetrisation_of_directions_that_agree_changes_nothing(align, method):
    assert align("--symmetrize", method, given="one two ||| two one\n") == (0, ["0-1 1-0"], "")


def test_pairs_that_cannot_be_aligned_keep_their_line_and_warn_once(align):
    long = "one " * (LONGEST + 1)
    given = f"one ||| one\n ||| one\none ||| \u200b\n\n{long}||| one\n" + "two three ||| three two\n" * 600
    status, lines, errors = align(given=given)
    assert status == 0
    # A zero-width space is a token of its own (neither a word nor white space), and nothing that is equal.
    assert lines == ["0-0", "", "", "", "", *["0-1 1-0"] * 600]
    warned = [line.split(":")[2].strip() for line in errors.splitlines()]
    assert warned == ["pair 2 is not aligned", "pair 4 is not aligned", "pair 5 is not aligned"]
    assert f"{LONGEST + 1} words; the model takes at most {LONGEST}" in errors


def test_many_pairs_that_cannot_be_aligned_are_counted(align):
    status, lines, errors = align(given=" ||| one\n" * 30 + "one ||| one\n")
    assert status == 0 and lines == [""] * 30 + ["0-0"]
    *warned, last = errors.splitlines()
    assert len(warned) == 10 and last == "nmt-align: warning: 30 of 31 pairs are not aligned"


def test_a_pair_is_answered_while_no_other_is_waiting(checkpoint):
    talk = Conversation("nmt.cli.align", "--checkpoint", checkpoint)
    assert [talk.ask(line) for line in ("one two ||| two one", "one ||| one")] == ["0-1 1-0\n", "0-0\n"]
    assert talk.end() == (0, "")


def test_pairs_before_a_refused_one_are_aligned(align):
    status, lines, _ = align(given="one two ||| two one\none ||| one\none\n")
    assert (status, lines) == (2, ["0-1 1-0", "0-0"])


def test_pretokenized_links_count_the_given_words(align):
    given = "do n't wait , ||| wait, don't\nstation? where ||| where is the station ?\n"
    # "do n't" is the one token "don't"; "station?" is two tokens in one given word.
    assert align("--pretokenized", given=given) == (0, ["0-1 1-1 2-0 3-0", "0-3 0-4 1-0"], "")


def test_json_has_words_matrix_links_and_scores(align):
    status, lines, _ = align("--format", "json", given="one two ||| two one four\n ||| one\n")
    first, second = map(json.loads, lines)
    assert status == 0
    assert (first["source_words"], first["target_words"]) == (["one", "two"], ["two", "one", "four"])
    assert first["alignment"] == "0-1 1-0"
    matrix = np.array(first["matrix"])
    assert matrix.shape == (3, 3)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-4)
    assert matrix[2].argmax() == 2  # "four" is aligned to nothing
    assert first["scores"] == [matrix[1, 0], matrix[0, 1]]
    assert (second["target_words"], second["alignment"], second["scores"]) == (["one"], "", [])


@pytest.mark.parametrize(
    ("arguments", "given", "complaint"),
    [
        ([], "one ||| one\none one\n", "line 2"),
        ([], "one ||| one ||| one\n", "line 1"),
        (["--source", "a"], "", "--source and --target"),
        (["absent.tsv"], "", "cannot read absent.tsv"),
        (["--gold", "absent.tsv"], "", "cannot read absent.tsv"),
        (["a.tsv", "--gold", "b.tsv"], "", "give one of"),
        (["--gold", "b.tsv", "--pretokenized"], "", "leave --pretokenized out"),
        (["--gold", "b.tsv", "--format", "json"], "", "leave --format out"),
    ],
)
def test_bad_input_is_one_line_and_status_2(align, arguments, given, complaint):
    status, _, errors = align(*arguments, given=given)
    assert status == 2
    assert complaint in errors and len(errors.splitlines()) == 1


def test_files_of_different_length_are_refused(align, tmp_path):
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("one\n")
    status, lines, errors = align("--source", str(tmp_path / "a"), "--target", str(tmp_path / "b"))
    assert status == 2
    assert f"{tmp_path / 'a'} has 2 lines but {tmp_path / 'b'} has 1:" in errors
    assert align("--source", str(tmp_path / "b"), "--target", str(tmp_path / "a"))[0] == 2
    status, _, errors = align("--source", "-", "--target", "-", given="one\ntwo\n")
    assert status == 2 and "cannot both be standard input" in errors


GOLD = "english_id\tspanish_id\tsure\tpossible\n11\t21\t0-1 1-0\t\n12\t22\t0-0 1-1\t2-2\n"


@pytest.mark.parametrize("languages", [("en", "es"), ("es", "en")])
def test_gold_pairs_are_looked_up_by_number_in_either_direction(align, monkeypatch, tmp_path, languages):
    import datasets

    from nmt.corpus import Corpus

    def split(*rows):
        return datasets.Dataset.from_list(
            [dict(zip(("source", "target", "source_id", "target_id"), row, strict=True)) for row in rows]
        )

    corpus = Corpus(
        train=split(("five", "five", 11, 22), ("one two", "two one", 11, 21)),
        dev=split(("red", "red", 1, 1)),
        test=split(("one two four", "one four two", 12, 22)),
        sha256="",
        report={},
    )
    monkeypatch.setattr("nmt.alignment.gold.english_spanish_corpus", lambda: corpus)
    (tmp_path / "gold.tsv").write_text(GOLD)
    directory = make_checkpoint(tmp_path / "other", languages)
    # Of 5 links (0-1 1-0; 0-0 1-2 2-1) three are sure, as are four of the gold links.
    assert align("--checkpoint", directory, "--gold", str(tmp_path / "gold.tsv"))[:2] == (
        0,
        ["AER 0.3333  precision 0.6000  recall 0.7500  F1 0.6667  (2 pairs)"],
    )
    (tmp_path / "gold.tsv").write_text(GOLD + "11\t99\t0-0\t\n")
    status, _, errors = align("--gold", str(tmp_path / "gold.tsv"))
    assert status == 2 and "11 (English) and 99 (Spanish)" in errors
    (tmp_path / "gold.tsv").write_text(GOLD.replace("2-2", "2-3"))  # counted from 1
    status, _, errors = align("--checkpoint", directory, "--gold", str(tmp_path / "gold.tsv"))
    assert status == 2 and "gold link 2-3 of the sentences 12 and 22 leads out of a pair of 3 and 3 words" in errors


def test_gold_of_other_languages_is_refused(align, tmp_path):
    (tmp_path / "gold.tsv").write_text(GOLD)
    directory = make_checkpoint(tmp_path / "other", ("en", "uk"))
    status, _, errors = align("--checkpoint", directory, "--gold", str(tmp_path / "gold.tsv"))
    assert status == 2 and "en-uk" in errors


def test_a_head_serves_both_directions_of_its_languages_alone(align, checkpoint, tmp_path):
    taker = make_checkpoint(tmp_path / "taker", ("es", "en"))
    (tmp_path / "taker" / "aligner.safetensors").unlink()
    command = [sys.executable, str(ROOT / "scripts" / "turn_alignment_head.py")]
    turned = subprocess.run([*command, checkpoint, taker], capture_output=True, text=True, check=False)
    assert (turned.returncode, turned.stderr) == (0, "")
    pair = "five old red houses ||| the red old houses, five"
    straight = align(given=pair)[1]
    source, target = pair.split(" ||| ")
    (back,) = align("--checkpoint", taker, given=f"{target} ||| {source}")[1]
    assert {tuple(link.split("-")) for link in back.split()} == {
        tuple(link.split("-")[::-1]) for link in straight[0].split()
    }
    again = make_checkpoint(tmp_path / "again", ("es", "en"))
    copied = subprocess.run([*command, taker, again], capture_output=True, text=True, check=False)
    assert (copied.returncode, copied.stderr) == (0, "")
    assert align("--checkpoint", again, given=f"{target} ||| {source}")[1] == [back]
    other = make_checkpoint(tmp_path / "other", ("en", "uk"))
    refused = subprocess.run([*command, taker, other], capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "en-uk, neither es-en nor the other direction" in refused.stderr
