"""Faults of the environment and of odd data that other toolkits pass over in silence."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from nmt.alignment.learned import LearnedAligner
from nmt.cli import align, evaluate, export, translate
from nmt.cli.common import run
from nmt.config import DataConfig
from nmt.corpus import load_corpus
from nmt.corpus.origin import SentencePair
from nmt.corpus.splits import hold_out, normalize
from nmt.errors import UserError
from nmt.evaluation import score
from nmt.lines import read_lines
from nmt.text.subwords import Subwords


def test_chinese_is_scored_by_characters():
    translations, references = ["我们昨天去了北京。", "他喜欢喝茶。"], [["我们昨天去北京了。"], ["他很喜欢喝茶。"]]
    bleu, signature, *_ = score(translations, references, "zh")
    expected = BLEU(tokenize="zh").corpus_score(translations, [[one[0] for one in references]]).score
    assert bleu == pytest.approx(expected) and bleu > 20 and "tok:zh" in signature
    assert score(translations, references, "zh-CN")[0] == bleu
    assert score(translations, references)[0] < 1 and "tok:13a" in score(translations, references, "es")[1]


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_japanese_and_korean_are_scored_with_mecab_or_by_characters(language):
    bleu, signature, *_ = score(["猫が好きです。"], [["犬が好きです。"]], language)
    assert bleu > 20 and (f"tok:{language}-mecab" in signature or "tok:char" in signature)


def test_a_named_tokenizer_wins():
    assert "tok:char" in score(["a b"], [["a b"]], "zh", "char")[1]


def test_words_of_a_csv_file_are_words(tmp_path):
    (tmp_path / "hub").mkdir()
    rows = ["None,Ninguno", "NA,n. d.", "null,nulo", "nan,yaya", *(f"the cat {n},el gato {n}" for n in range(300))]
    (tmp_path / "hub" / "train.csv").write_text("en,es\n" + "\n".join(rows) + "\n")
    data = DataConfig(corpus="hub", name=str(tmp_path / "hub"), train="train", cache=str(tmp_path / "cache"))
    corpus = load_corpus(data)
    found = {(row["source"], row["target"]) for split in (corpus.train, corpus.dev) for row in split}
    assert {("None", "Ninguno"), ("NA", "n. d."), ("null", "nulo"), ("nan", "yaya")} <= found


def test_carriage_returns_alone_are_named(tmp_path):
    path = tmp_path / "cr.tsv"
    path.write_bytes(b"the cat\tel gato\rthe dog\tel perro\r")
    with pytest.raises(UserError, match="carriage returns"):
        list(read_lines(path))
    path.write_bytes(b"the cat\tel gato\r\nthe\rdog\tel perro\r\n")
    assert list(read_lines(path)) == ["the cat\tel gato", "the\rdog\tel perro"]
    path.write_bytes(b"the\rcat\r\nthe dog\nthe bird")
    assert list(read_lines(path)) == ["the\rcat", "the dog", "the bird"]


def test_vowel_signs_tell_sentences_apart():
    assert normalize("किताब") != normalize("कीताब")
    pairs = [SentencePair(f"का {sign}", f"book {n}") for n, sign in enumerate("किकीकुकू")]
    dev, _ = hold_out(pairs)
    assert len(dev) == 1
    assert normalize("It's  LATE!") == "it s late"


def test_long_lines_are_trained_on():
    words = "zygote quixotic jukebox vexing"
    model = Subwords.train([" ".join([words] * 400), *["the cat sat on the mat"] * 50], 330)
    assert not any(piece.startswith("<0x") for piece in model.pieces(model.encode(words).ids))


@pytest.mark.parametrize(("rule", "kept"), [("nmt_nfkc", False), ("identity", True)])
def test_the_normalization_is_the_configured_one(rule, kept):
    model = Subwords.train(["10² is a hundred", "it is ten"] * 50, 330, normalization=rule)
    assert ("²" in model.decode(model.encode("10²").ids)) is kept


@pytest.mark.parametrize("home", [None, "/proc/home"])
def test_without_a_home_directory_the_cache_is_temporary(home, tmp_path):
    environment = {
        key: value for key, value in os.environ.items() if key not in ("HOME", "NMT_CACHE", "XDG_CACHE_HOME")
    }
    environment |= {"TMPDIR": str(tmp_path)} | ({} if home is None else {"HOME": home})
    code = (
        "import os\n"
        "if os.environ.get('HOME') is None: os.path.expanduser = lambda path: path\n"  # an unknown user has none either
        "from nmt.files import cache_directory\n"
        "first = cache_directory(); assert first.is_dir() and first == cache_directory(); print(first)"
    )
    ended = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    if home != "/nonexistent/home" or os.getuid():  # root makes it
        assert Path(ended.stdout.strip()).is_relative_to(tmp_path) and ended.stderr.count("NMT_CACHE") >= 1
    assert not (tmp_path / "~").exists()


def test_an_argument_that_is_no_file_says_how_pairs_are_given(capsys):
    for arguments in (["a", "b"], ["a"], ["a ||| b"]):
        assert run("nmt-align", align.main, arguments) == 2
        said = capsys.readouterr().err
        assert (
            "`source ||| target` on standard input" in said
            and "--source FILE --target FILE" in said
            and said.count("\n") == 1
        )
    assert run("nmt-evaluate", evaluate.main, ["checkpoints/x"]) == 2 and "with --checkpoint" in capsys.readouterr().err
    assert run("nmt-translate", translate.main, ["--model", "x"]) == 2 and "did you mean" not in capsys.readouterr().err


def test_scores_are_printed_though_translations_cannot_be_written(tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "text").write_text("the cat\n")
    arguments = ["--checkpoint", tiny_checkpoint, "--source", tmp_path / "text", "--reference", tmp_path / "text"]
    assert run("nmt-evaluate", evaluate.main, [*map(str, arguments), "--output", "/dev/full"]) == 2
    found = capsys.readouterr()
    assert "BLEU" in found.out and "/dev/full: No space left" in found.err


def test_links_are_kept_though_the_head_cannot_be_saved(tmp_path, monkeypatch, capsys):
    aligner = LearnedAligner({("a", "b"): np.ones((1, 1), np.float32)}, None, ("en", "es"))
    monkeypatch.setattr(align, "learn", lambda *_: aligner)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "head")

    monkeypatch.setattr(align, "save_head", full)
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    arguments = ["--learn", str(tmp_path / "pairs.tsv"), "--save", str(tmp_path / "head")]
    assert run("nmt-align", align.main, arguments) == 2
    found = capsys.readouterr()
    assert found.out == "0-0\n" and "head: No space left" in found.err


@pytest.mark.parametrize("form", ["ctranslate2", "huggingface"])
def test_an_export_goes_into_an_empty_directory(tiny_checkpoint, tmp_path, form):
    assert run("nmt-export", export.main, [str(tiny_checkpoint), "--output", str(tmp_path), "--format", form]) == 0
    assert len(list(tmp_path.iterdir())) > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "{place}"], "is a directory"),
        (["--output", "{place}/a.png", "--plot", "{place}/a.png"], "two outputs"),
    ],
)
def test_outputs_that_cannot_be_written_are_refused_before_the_work(tmp_path, capsys, arguments, words):
    given = [one.format(place=tmp_path) for one in arguments]
    assert run("nmt-translate", translate.main, ["Hello.", "--checkpoint", "is-not-loaded", *given]) == 2
    assert words in capsys.readouterr().err and not list(tmp_path.iterdir())
