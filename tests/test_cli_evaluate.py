"""nmt-evaluate: its figures are sacreBLEU's own, and what it refuses."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import DAMAGES, Command, damaged_copy
from tiny import ENGLISH, SPANISH
from toy import write_pairs

from nmt.checkpoint import CONFIG, METADATA, write_checkpoint_metadata, write_text
from nmt.config import dump_config, load_config
from nmt.evaluation import score
from nmt.text.subwords import Subwords


@pytest.fixture
def evaluate(command) -> Command:
    return command("evaluate")


def lines(path: Path, sentences: list[str]) -> Path:
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path) -> list:
    """--source and two times --reference."""
    source = lines(tmp_path / "source", ENGLISH)
    references = lines(tmp_path / "one", SPANISH), lines(tmp_path / "two", [text.lower() for text in SPANISH])
    return ["--source", source, "--reference", references[0], "--reference", references[1]]


def sacrebleu(*arguments: object) -> list[dict]:
    """What sacreBLEU's own command line finds."""
    command = [sys.executable, "-m", "sacrebleu", *map(str, arguments), "-m", "bleu", "chrf", "-w", "9"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def test_scores_are_those_of_sacrebleus_command(evaluate, tiny_checkpoint, files, tmp_path):
    output = tmp_path / "output"
    arguments = ["--checkpoint", tiny_checkpoint, *files, "--output", output, "--beam", 2]
    ended = evaluate(*arguments, "--format", "json")
    assert ended.status == 0 and not ended.errors
    found = json.loads(ended.output)
    bleu, chrf = sacrebleu(files[3], files[5], "-i", output)
    assert found["bleu"] == pytest.approx(bleu["score"], abs=1e-6) and 1 < found["bleu"] < 100
    assert found["chrf"] == pytest.approx(chrf["score"], abs=1e-6)
    # sacreBLEU's command writes its own name first: `nrefs:2|case:...`
    assert found["bleu_signature"] == bleu["signature"] and "nrefs:2" in found["bleu_signature"]
    assert found["chrf_signature"] == chrf["signature"]
    assert found["sentences"] == len(ENGLISH) and found["sentences_per_second"] > 0
    text = evaluate(*arguments).output
    assert f"BLEU {bleu['score']:.1f}   {bleu['signature']}\n" in text
    assert f"chrF {chrf['score']:.1f}   {chrf['signature']}\n" in text
    assert "sentences a second" in text


def test_a_line_feed_within_a_translation_does_not_shift_the_lines(evaluate, tiny_checkpoint, files, tmp_path):
    plain = Subwords.decode_with_spans
    evaluate.monkeypatch.setattr(
        Subwords, "decode_with_spans", lambda self, ids, capitals: replace(plain(self, ids), text="one\ntwo\r")
    )
    assert evaluate("--checkpoint", tiny_checkpoint, *files, "--output", tmp_path / "output").status == 0
    assert (tmp_path / "output").read_bytes() == b"one two \n" * len(ENGLISH)


def with_corpus(checkpoint: Path, place: Path, pairs: list[tuple[str, str]], test: bool) -> Path:
    """A copy of a checkpoint whose configured corpus is of these pairs, with extra training pairs that are not here."""
    directory = place / "checkpoint"
    shutil.copytree(checkpoint, directory)
    tree = load_config(directory / CONFIG)
    path = write_pairs(place / "pairs.tsv", pairs)
    other = write_pairs(place / "other.tsv", [("Something else", "Otra cosa")])
    data = tree.data.model_copy(
        update={"corpus": "files", "train": other, "dev": path, "test": path if test else None,
                "extra": {"absent.tsv": 2}, "cache": str(place / "cache")}
    )  # fmt: skip
    write_text(directory / CONFIG, dump_config(tree.model_copy(update={"data": data})))
    write_checkpoint_metadata(directory, json.loads((directory / METADATA).read_text()))
    return directory


def test_a_split_is_its_unique_sources_with_all_their_references(evaluate, tiny_checkpoint, tmp_path):
    pairs = list(zip(ENGLISH[:6], SPANISH[:6], strict=True))
    pairs += [(ENGLISH[0], "El barco viejo zarpa al alba."), (ENGLISH[2], SPANISH[2])]
    directory = with_corpus(tiny_checkpoint, tmp_path, pairs, test=True)
    output = tmp_path / "output"
    ended = evaluate("--checkpoint", directory, "--format", "json", "--output", output)
    found = json.loads(ended.output)
    assert found["sentences"] == len(output.read_text().splitlines()) == 6
    # sacreBLEU's command takes an empty line as a reference that is not there only where a sentence has another.
    from sacrebleu.metrics import BLEU

    second = [pairs[6][1], *[None] * 5]
    expected = BLEU().corpus_score(output.read_text().splitlines(), [SPANISH[:6], second])
    assert found["bleu"] == pytest.approx(expected.score, abs=1e-9)
    ended = evaluate("--checkpoint", directory, "--split", "dev")
    assert ended.status == 0 and ended.output.startswith("dev split") and "6 sentences, 7 references" in ended.output


def test_no_test_split_is_said(evaluate, tiny_checkpoint, tmp_path):
    directory = with_corpus(tiny_checkpoint, tmp_path, [("A boat", "Un barco")], test=False)
    assert "no test split" in evaluate.refused("--checkpoint", directory, "--split", "test")


def test_without_a_test_split_dev_is_scored(evaluate, tiny_checkpoint, tmp_path):
    ended = evaluate("--checkpoint", with_corpus(tiny_checkpoint, tmp_path, [("A boat", "Un barco")], test=False))
    assert ended.status == 0 and ended.output.startswith("dev split")


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_refused(evaluate, tiny_checkpoint, tmp_path, files, kind):
    directory, mention = damaged_copy(tiny_checkpoint, tmp_path, kind)
    assert mention in evaluate.refused("--checkpoint", directory, *files)


def test_bad_input_is_refused_in_one_line(evaluate, tiny_checkpoint, files, tmp_path):
    checkpoint = ["--checkpoint", tiny_checkpoint]
    source, reference = files[1], files[3]
    assert "go together" in evaluate.refused(*checkpoint, "--source", source)
    assert "go together" in evaluate.refused(*checkpoint, "--reference", reference)
    assert "no-such" in evaluate.refused(*checkpoint, "--source", source, "--reference", tmp_path / "no-such")
    assert "--split" in evaluate.refused(*checkpoint, *files, "--split", "test")
    short = lines(tmp_path / "short", SPANISH[:-1])
    line = evaluate.refused(*checkpoint, *files, "--reference", short)
    assert f"short has {len(SPANISH) - 1}:" in line
    empty = lines(tmp_path / "empty", [])
    assert "nothing to evaluate" in evaluate.refused(*checkpoint, "--source", empty, "--reference", empty)
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    assert "binary:1: " in evaluate.refused(*checkpoint, "--source", tmp_path / "binary", "--reference", reference)
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    given = ["--source", tmp_path / "latin", "--reference", tmp_path / "latin"]
    assert "--invalid-utf8 replace" in evaluate.refused(*checkpoint, *given)
    assert evaluate(*checkpoint, *given, "--invalid-utf8", "replace").status == 0
    assert "no directory" in evaluate.refused(*checkpoint, *files, "--output", tmp_path / "no" / "output")


def test_help_has_examples(evaluate):
    ended = evaluate("--help")
    examples = ended.output.split("examples:")[1].strip().splitlines()
    assert ended.status == 0 and len(examples) >= 3 and all("nmt-evaluate" in line for line in examples)


@pytest.mark.parametrize(
    ("language", "tokenizer"), [("zh", "zh"), ("zh_Hant", "zh"), ("zho_Hans", "zh"), ("th", "char"), ("es", "13a")]
)
def test_bleu_counts_the_words_of_the_target_language(language, tokenizer):
    bleu, signature, _, _ = score(["我今天去学校上课。"], [["我今天去学校学习。"]], language)
    assert f"tok:{tokenizer}|" in signature and (bleu > 20) == (tokenizer != "13a")
    assert "tok:intl|" in score(["a"], [["a"]], language, "intl")[1]


@pytest.mark.parametrize(("language", "tokenizer"), [("ja", "ja-mecab"), ("ko-KR", "ko-mecab")])
def test_characters_stand_in_where_mecab_is_not_installed(language, tokenizer):
    signature = score(["東京 서울"], [["東京 서울"]], language)[1]
    assert f"tok:{tokenizer}" in signature or "tok:char|" in signature


def test_tokenize_overrides_the_target_language(evaluate, tiny_checkpoint, files):
    ended = evaluate("--checkpoint", tiny_checkpoint, *files, "--tokenize", "char")
    assert ended.status == 0 and "tok:char|" in ended.output


def test_a_cache_that_cannot_be_written_is_said(evaluate, tiny_checkpoint, tmp_path):
    directory = with_corpus(tiny_checkpoint, tmp_path, [("A boat", "Un barco")], test=False)
    (tmp_path / "cache").write_text("a file where the directory should be")
    said = evaluate.refused("--checkpoint", directory)
    assert said.startswith("nmt-evaluate: cannot write the cache") and "NMT_CACHE" in said and "nmt-train" not in said
