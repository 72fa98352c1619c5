"""Faults of the environment and of odd data that other toolkits pass over in silence."""

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from toy import toy_config

from nmt.alignment.learned import LearnedAligner
from nmt.cli import align, evaluate, export, train, translate
from nmt.cli.common import run
from nmt.config import DataConfig, parse_config
from nmt.corpus import load_corpus, pairs_of
from nmt.corpus.origin import SentencePair
from nmt.corpus.splits import hold_out, normalize
from nmt.errors import UserError
from nmt.evaluation import score
from nmt.lines import parallel_lines, read_lines
from nmt.text.subwords import Subwords


def test_chinese_is_scored_by_characters():
    translations, references = ["我们昨天去了北京。", "他喜欢喝茶。"], [["我们昨天去北京了。"], ["他很喜欢喝茶。"]]
    bleu, signature, *_ = score(translations, references, "zh")
    expected = BLEU(tokenize="zh").corpus_score(translations, [[one[0] for one in references]]).score
    assert bleu == pytest.approx(expected) and bleu > 20 and "tok:zh" in signature
    assert score(translations, references, "zh-CN")[0] == bleu
    for code in ("zh-TW", "zh_Hant", "cmn", "yue-HK", "nan", "chi", "Chinese"):
        assert score(translations, references, code)[0] == bleu
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


def test_numbers_of_a_csv_file_are_spelled_as_there(tmp_path):
    (tmp_path / "hub").mkdir()
    numbers = [f"{n}.00,0{n}" for n in range(500)]
    rows = [*(f"the cat {n},el gato {n}" for n in range(10_000)), *numbers]  # more than pandas reads at a time
    (tmp_path / "hub" / "train.csv").write_text("en,es\n" + "\n".join(rows) + "\n")
    data = DataConfig(corpus="hub", name=str(tmp_path / "hub"), train="train[10000:]", cache=str(tmp_path / "cache"))
    corpus = load_corpus(data)
    assert {*pairs_of(corpus.train), *pairs_of(corpus.dev)} == {(*row.split(","),) for row in numbers}


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
    marks = ["\u093f", "\u0940", "\u064e", "\u05c1", "\U0001f600", "?"]
    assert len({normalize(mark) for mark in marks}) == len(marks) and normalize("? !") == normalize("?!")


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


def test_translations_are_written_though_scores_cannot_be_printed(tiny_checkpoint, tmp_path, monkeypatch):
    (tmp_path / "text").write_text("the cat\n")
    arguments = ["--checkpoint", tiny_checkpoint, "--source", tmp_path / "text", "--reference", tmp_path / "text"]
    monkeypatch.setattr("sys.stdout", None)
    assert run("nmt-evaluate", evaluate.main, [*map(str, arguments), "--output", str(tmp_path / "out")]) == 2
    assert (tmp_path / "out").read_text().count("\n") == 1


@pytest.mark.parametrize("command", [align, evaluate, export, translate])
def test_the_version_on_a_full_disk_is_one_line(command, capsys, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        status = run("nmt-x", command.main, ["--version"])
    assert (status, capsys.readouterr().err) == (2, "nmt-x: input or output: No space left on device\n")


def _write_alternately(paths, rows):
    files = [open(path, "w") for path in paths]  # noqa: SIM115
    for row in rows:
        for file, line in zip(files, row, strict=True):
            print(line, file=file, flush=True)
    for file in files:
        file.close()


@pytest.mark.parametrize("order", [1, -1])
def test_one_program_may_write_both_pipes(tmp_path, order):
    pipes = [str(tmp_path / name) for name in ("source", "target")]
    for pipe in pipes:
        os.mkfifo(pipe)
    rows = [("a", "b"), ("c", "d")]
    written = pipes[::order], [row[::order] for row in rows]
    writer = multiprocessing.get_context("fork").Process(target=_write_alternately, args=written)
    writer.start()
    read = [row for row in parallel_lines(pipes) if row is not None]
    writer.join()
    assert read == rows


def test_learning_refuses_a_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    arguments = ["--learn", "--source", str(tmp_path / "pipe"), "--target", str(tmp_path / "pipe")]
    assert run("nmt-align", align.main, arguments) == 2
    assert f"give plain files, not {tmp_path}/pipe" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["1e10", "1e300", "nan", "-1"])
def test_absurd_minutes_are_refused(minutes, capsys):
    for name, main, more in (
        ("nmt-align", align.main, ["--learn"]),
        ("nmt-train", train.main, ["--data", "pairs.tsv"]),
    ):
        assert run(name, main, [*more, f"--minutes={minutes}"]) == 2
        assert "below 1,000,000" in (said := capsys.readouterr().err) and said.count("\n") == 1
    with pytest.raises(UserError, match=r"alignment\.minutes"):
        parse_config(
            {"checkpoint": "x", "training": {"max_steps": 1}, "alignment": {"minutes": float(minutes)}}, "run.yaml"
        )


def test_weights_that_overflow_end_training_in_one_line(tmp_path, capsys):
    config = toy_config(tmp_path, training={"learning_rate": 1e300, "max_steps": 1})
    assert run("nmt-train", train.main, [str(config)]) == 2
    assert "dev loss at step 1 is not finite" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("form", ["ctranslate2", "huggingface"])
@pytest.mark.parametrize("code", [errno.EBUSY, errno.EACCES])
def test_an_export_is_written_into_a_mounted_directory(tiny_checkpoint, tmp_path, form, code, monkeypatch):
    export_there = [str(tiny_checkpoint), "--format", form, "--output"]
    assert run("nmt-export", export.main, [*export_there, str(tmp_path / "usual")]) == 0
    (mounted := tmp_path / "mounted").mkdir()
    rename = os.rename

    def refuse(source, target):
        if Path(source) == mounted:
            raise OSError(code, os.strerror(code))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    for _ in range(2):
        assert run("nmt-export", export.main, [*export_there, str(mounted)]) == 0
    found, usual = (
        {path.name: path.read_bytes() for path in place.iterdir()} for place in (mounted, tmp_path / "usual")
    )
    assert found == usual and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("form", ["ctranslate2", "huggingface"])
def test_an_export_goes_into_an_empty_directory(tiny_checkpoint, tmp_path, form):
    assert run("nmt-export", export.main, [str(tiny_checkpoint), "--output", str(tmp_path), "--format", form]) == 0
    assert len(list(tmp_path.iterdir())) > 1


def test_the_input_is_not_replaced_by_the_output(tmp_path, capsys):
    (tmp_path / "a").write_text("Hello.\n")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    given = ["--input", str(tmp_path / "a"), "--output", str(tmp_path / "b"), "--checkpoint", "is-not-loaded"]
    assert run("nmt-translate", translate.main, given) == 2
    assert "b is the input" in capsys.readouterr().err and (tmp_path / "a").read_text() == "Hello.\n"


def test_standard_input_is_not_replaced_by_the_output(tmp_path, capsys, monkeypatch):
    (tmp_path / "a").write_text("Hello.\n")
    with open(tmp_path / "a") as file:
        monkeypatch.setattr("sys.stdin", file)
        given = ["--output", str(tmp_path / "a"), "--checkpoint", "is-not-loaded"]
        assert run("nmt-translate", translate.main, given) == 2
    assert "a is the input" in capsys.readouterr().err and (tmp_path / "a").read_text() == "Hello.\n"


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
