"""nmt-translate: what it prints, draws and saves, and what it refuses."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from commands import DAMAGES, Conversation, damaged_copy
from safetensors.numpy import load_file
from tiny import ENGLISH

from nmt import Translator
from nmt.errors import UserError
from nmt.text.words import split_words

ROOT = Path(__file__).resolve().parent.parent
WORDS = {"type": "array", "items": {"type": "string", "minLength": 1}}
SCHEMA = {
    "type": "object",
    "required": ["source", "translation", "score", "source_words", "target_words", "attention", "alignment"],
    "additionalProperties": False,
    "properties": {
        "source": {"type": "string"},
        "translation": {"type": "string"},
        "score": {"type": "number", "maximum": 0},
        "source_words": WORDS,
        "target_words": WORDS,
        "attention": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1.0001}},
        },
        "attention_name": {"type": "string", "pattern": "^cross-attention, layer"},
        "alignment": {"type": "string", "pattern": r"^([0-9]+-[0-9]+( [0-9]+-[0-9]+)*)?$"},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "hypotheses": {"type": "array", "minItems": 2},
    },
}


@pytest.fixture(params=["torch", "ctranslate2"])
def arguments(request, tiny_checkpoint) -> list:
    """--checkpoint and --engine, for both engines."""
    directory = tiny_checkpoint
    return ["--checkpoint", directory, "--engine", request.param, "--threads", 1]


@pytest.fixture
def checkpoint(tiny_checkpoint) -> list:
    return ["--checkpoint", tiny_checkpoint, "--threads", 1]


def check(found: dict, source: str) -> None:
    """One object of --format json against the schema and against itself."""
    jsonschema.validate(found, SCHEMA)
    assert found["source"] == source
    assert found["source_words"] == [word.text for word in split_words(source)]
    assert found["target_words"] == [word.text for word in split_words(found["translation"])]
    matrix = np.array(found["attention"])
    if found["target_words"]:
        assert matrix.shape == (len(found["target_words"]), len(found["source_words"]) + 1)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-4)
    links = [tuple(map(int, link.split("-"))) for link in found["alignment"].split()]
    assert links == sorted(set(links))
    assert all(s < len(found["source_words"]) and t < len(found["target_words"]) for s, t in links)


def test_json_has_the_promised_form(translate, arguments):
    sources = [*ENGLISH[:6], "", "Ünïcode — 日本, ok?", "!"]
    ended = translate(*arguments, "--format", "json", stdin="".join(f"{source}\n" for source in sources))
    lines = ended.output.splitlines()
    assert ended.status == 0 and not ended.errors and len(lines) == len(sources)
    for line, source in zip(lines, sources, strict=True):
        check(json.loads(line), source)
    assert any(json.loads(line)["alignment"] for line in lines)


def test_json_with_hypotheses(translate, arguments):
    ended = translate(*arguments, "--format", "json", "--n-best", 3, ENGLISH[0])
    found = json.loads(ended.output)
    check(found, ENGLISH[0])
    assert 2 <= len(found["hypotheses"]) <= 3
    for hypothesis in found["hypotheses"]:
        check(hypothesis, ENGLISH[0])
    scores = [hypothesis["score"] for hypothesis in found["hypotheses"]]
    assert scores == sorted(scores, reverse=True)
    best = {key: value for key, value in found.items() if key != "hypotheses"}
    assert found["hypotheses"][0] == best


def test_every_way_in_gives_the_same_in_order(translate, checkpoint, tmp_path):
    sources = ENGLISH[:8]
    text = "\n".join(sources) + "\n"
    (tmp_path / "in.txt").write_text(text)
    expected = "".join(f"{translate(*checkpoint, source).output}" for source in sources)
    assert len(expected.splitlines()) == 8 and len(set(expected.splitlines())) > 4
    assert translate(*checkpoint, *sources).output == expected
    assert translate(*checkpoint, stdin=text).output == expected
    assert translate(*checkpoint, "--input", tmp_path / "in.txt", "--batch-size", 3).output == expected
    assert translate(*checkpoint, "--input", "-", stdin=text).output == expected
    ended = translate(*checkpoint, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    assert ended.output == "" and (tmp_path / "out.txt").read_text() == expected


def test_one_sentence_takes_a_line_as_it_is(translate, checkpoint):
    line = " ".join(ENGLISH[:2])
    both = [translate(*checkpoint, sentence).output.strip() for sentence in ENGLISH[:2]]
    assert translate(*checkpoint, line).output == f"{' '.join(both)}\n"
    assert translate(*checkpoint, "--one-sentence", ENGLISH[0]).output == f"{both[0]}\n"
    assert translate(*checkpoint, "--one-sentence", line).output != f"{' '.join(both)}\n"


def test_lines_are_lines(translate, checkpoint):
    one, two = ENGLISH[:2]
    plain = translate(*checkpoint, stdin=f"{one}\n\n{two}\n \n").output
    lines = plain.split("\n")
    assert len(lines) == 5 and lines[0] and lines[1] == "" and lines[2] and lines[3] == "" and lines[4] == ""
    assert translate(*checkpoint, stdin=f"\ufeff{one}\r\n\r\n{two}\r\n \r\n").output == plain  # Windows
    assert translate(*checkpoint, stdin=f"{one}\n\n{two}\n ").output == plain  # no final newline
    assert translate(*checkpoint, stdin="").output == ""
    assert translate(*checkpoint, stdin=f"{one}\u2028{two}\n").output.count("\n") == 1  # only a line feed ends a line


def test_n_best_lines(translate, arguments):
    ended = translate(*arguments, "--n-best", 2, "--beam", 4, stdin=f"{ENGLISH[0]}\n\n{ENGLISH[1]}\n")
    lines = ended.output.splitlines()
    found = [re.fullmatch(r"(\d+) \|\|\| (.*) \|\|\| (-?\d+\.\d{4})", line) for line in lines if line]
    assert [match and match[1] for match in found] == ["0", "0", "2", "2"] and lines[2] == ""
    assert all(float(found[i][3]) >= float(found[i + 1][3]) for i in (0, 2))
    assert found[0][2] + "\n" == translate(*arguments, "--beam", 4, ENGLISH[0]).output


def test_output_appears_whole_or_not_at_all(translate, checkpoint, tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("before")
    (tmp_path / "in.txt").write_bytes(ENGLISH[0].encode() + b"\n\xff\n")
    assert "in.txt:2: " in translate.refused(*checkpoint, "--input", tmp_path / "in.txt", "--output", target)
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "out.txt", "out.txt.unfinished"]


@pytest.mark.parametrize("stop", [UserError("line 2: no"), OSError(28, "No space left"), KeyboardInterrupt()])
def test_what_was_written_before_an_error_or_an_interruption_is_kept(tmp_path, capsys, stop):
    from nmt.cli.common import run, writer

    (tmp_path / "out.txt").write_text("before")
    (tmp_path / "link.txt").symlink_to("out.txt")

    def main(lines):
        with writer(str(tmp_path / "link.txt")) as file:
            for line in lines:
                print(line, file=file)
            raise stop

    def told(lines):
        assert run("nmt-translate", main, lines) == (130 if isinstance(stop, KeyboardInterrupt) else 2)
        return capsys.readouterr().err

    told([])
    assert len(list(tmp_path.iterdir())) == 2  # nothing was done, so nothing is kept
    first, second = (tmp_path / f"out.txt.unfinished{end}" for end in ("", ".2"))
    message = told(["one", "two"])
    assert message.startswith("nmt-translate: ") and message.endswith(f" {first}\n") and message.count("\n") == 1
    assert any(word in message for word in ("line 2: no", "No space left", "interrupted"))
    assert told(["three"]).endswith(f" {second}\n")
    assert first.read_text() == "one\ntwo\n" and second.read_text() == "three\n"
    assert (tmp_path / "out.txt").read_text() == "before" and (tmp_path / "link.txt").is_symlink()


@pytest.mark.parametrize("way", [">", ">>"])
def test_standard_output_by_its_name_adds_to_what_stands_there(checkpoint, tmp_path, way):
    (tmp_path / "log").write_text("earlier\n")
    program = shlex.join([sys.executable, "-m", "nmt.cli.translate", *map(str, checkpoint), ENGLISH[0]])
    shell = f"( echo header; {program} --output /dev/stdout; echo footer ) {way} log"
    subprocess.run(["sh", "-c", shell], cwd=tmp_path, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line for line in lines if line in ("earlier", "header", "footer")] == [
        *(["earlier"] if way == ">>" else []),
        "header",
        "footer",
    ]
    assert len(lines) == 3 + (way == ">>")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_keeps_what_was_done(checkpoint, tmp_path, number):
    command = [sys.executable, "-m", "nmt.cli.translate", *map(str, checkpoint), "--beam", "1", "--output", "out.txt"]
    pipes: dict = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes["preexec_fn"] = lambda: signal.signal(number, signal.SIG_DFL)  # the suite itself may run under nohup
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:
        process.stdin.write(b"Birds!\n" * 5000)
        process.stdin.flush()
        for _ in range(600):
            if any(path.stat().st_size for path in tmp_path.glob(".out.txt.*/out.txt")):
                break
            time.sleep(0.1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.decode().count("\n") == 1 and b"out.txt.unfinished" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt.unfinished"]


def test_a_loop_of_links_and_a_path_that_is_no_text(translate, checkpoint, tiny_checkpoint, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert translate(*checkpoint, "a", "--output", tmp_path / "loop").status == 0
    assert (tmp_path / "loop").is_file()
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/ck\xff")
    shutil.copytree(tiny_checkpoint, strange)
    assert translate("--checkpoint", strange, "--engine", "ctranslate2", "a").status == 0


def test_a_warning_is_one_line(translate, checkpoint, tmp_path):
    ended = translate(*checkpoint, "\N{LINEAR B SYLLABLE B008 A}", "--plot", tmp_path / "a.png")
    assert ended.status == 0 and len(ended.errors) == 1, ended.errors
    assert ended.errors[0].startswith("nmt-translate: warning: no installed font has ")


def test_a_refused_line_does_not_lose_the_translations_before_it(translate, checkpoint, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_bytes(b"Birds!\n" * 1100 + b"\xff\n")
    greedy = [*checkpoint, "--beam", 1]
    told = translate.refused(*greedy, "--input", tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    done = (tmp_path / "out.txt.unfinished").read_text().splitlines()
    assert "in.txt:1101: " in told and "out.txt.unfinished" in told and not (tmp_path / "out.txt").exists()
    assert len(done) >= 1000 and set(done) == {translate(*greedy, "Birds!").output.strip()}


def test_output_through_a_link_and_into_a_device(translate, checkpoint, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").write_text("")
    assert translate(*checkpoint, ENGLISH[0], "--output", tmp_path / "link").status == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text().count("\n") == 1
    assert translate(*checkpoint, ENGLISH[0], "--output", "/dev/null").status == 0
    assert Path("/dev/null").is_char_device()


def test_the_alignment_in_the_terminal_is_plain_when_piped(translate, checkpoint):
    ended = translate(*checkpoint, ENGLISH[1], "--show", "alignment")
    assert ended.status == 0 and "\x1b" not in ended.output
    translation, *picture = ended.output.splitlines()
    for word in split_words(translation):
        assert any(line.lstrip().startswith(word.text) for line in picture)


@pytest.mark.parametrize("suffix, magic", [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("pdf", b"%PDF-")])
def test_plots(translate, checkpoint, tmp_path, suffix, magic):
    path = tmp_path / f"a.{suffix}"
    ended = translate(*checkpoint, *ENGLISH[:2], "--plot", path)
    assert ended.status == 0 and len(ended.output.splitlines()) == 2
    assert path.read_bytes().startswith(magic) and path.stat().st_size > 1000


def test_attention_file_holds_the_translators_heads(translate, tiny_checkpoint, tmp_path):
    path = tmp_path / "heads.safetensors"
    sources = [ENGLISH[0], "", ENGLISH[1]]
    text = "".join(f"{source}\n" for source in sources)
    assert translate("--checkpoint", tiny_checkpoint, "--attention", path, stdin=text).status == 0
    arrays = load_file(path)
    assert set(arrays) == {f"{number}.{kind}" for number in (0, 2) for kind in ("encoder", "decoder", "cross")}
    found = Translator.load(tiny_checkpoint).translate(sources, heads=True)
    for number in (0, 2):
        for kind in ("encoder", "decoder", "cross"):
            np.testing.assert_array_equal(arrays[f"{number}.{kind}"], getattr(found[number].heads, kind))
            assert arrays[f"{number}.{kind}"].shape[:2] == (2, 4)  # layers, heads


def test_a_pictures_suffix_is_read_in_any_case_and_before_all_work(translate, checkpoint, tmp_path):
    path = tmp_path / "a.HTML"
    assert translate(*checkpoint, ENGLISH[0], "--plot", path).status == 0
    assert path.read_text().startswith("<!doctype html>") and '"cross"' in path.read_text()
    assert ".html, .png" in translate.refused("--checkpoint", tmp_path / "none", "a", "--plot", tmp_path / "a.jpg")


def test_a_line_is_answered_while_no_other_is_waiting(translate, arguments):
    talk = Conversation("nmt.cli.translate", *arguments)
    assert "".join(map(talk.ask, ENGLISH[:2])) == translate(*arguments, *ENGLISH[:2]).output
    assert talk.end() == (0, "")


def test_lines_before_a_refused_one_are_translated(translate, checkpoint):
    ended = translate(*checkpoint, stdin=f"{ENGLISH[0]}\n\n{'long ' * 500}\n{ENGLISH[1]}\n")
    assert ended.status == 2 and "line 3 has" in ended.errors[0]
    assert ended.output == translate(*checkpoint, ENGLISH[0]).output + "\n"


# --- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_a_damaged_checkpoint_is_refused(translate, tiny_checkpoint, tmp_path, kind, engine):
    directory, mention = damaged_copy(tiny_checkpoint, tmp_path, kind)
    line = translate.refused("--checkpoint", directory, "--engine", engine, ENGLISH[0])
    assert mention in line and str(directory) in line


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_not_exported(command, tiny_checkpoint, tmp_path, kind):
    directory, mention = damaged_copy(tiny_checkpoint, tmp_path, kind)
    assert mention in command("export").refused(directory, "--output", tmp_path / "model")
    assert not (tmp_path / "model").exists()
    if kind != "another vocabulary":  # whole by its checksums, which are all that is read here
        assert mention in command("export").refused(directory, "--quantization", "int8")


def test_bad_input_is_refused_in_one_line(translate, checkpoint, tiny_checkpoint, tmp_path):
    assert "no-such" in translate.refused(*checkpoint, "--input", tmp_path / "no-such")
    assert "directory" in translate.refused(*checkpoint, "--input", tmp_path)
    assert "line 3: not UTF-8 (invalid start byte at byte 2)" in translate.refused(*checkpoint, stdin=b"a\nb\nc\xffd\n")
    assert "not UTF-8" in translate.refused(*checkpoint, stdin=bytes(range(256)) * 50)
    assert "line 2" in translate.refused(*checkpoint, stdin="a\n" + "long " * 500)
    assert "n-best" in translate.refused(*checkpoint, "a", "--n-best", 3, "--beam", 2)
    assert "not both" in translate.refused(*checkpoint, "a", "--input", "-")
    assert "no directory" in translate.refused(*checkpoint, "a", "--output", tmp_path / "no" / "out")
    assert "directory" in translate.refused(*checkpoint, "a", "--output", tmp_path)
    assert ".gif" in translate.refused(*checkpoint, "a", "--plot", tmp_path / "a.gif")
    assert "every head" in translate.refused(
        *checkpoint, "--engine", "ctranslate2", "--attention", tmp_path / "a.safetensors", "a"
    )
    assert "length-penalty is -1.0" in translate.refused(*checkpoint, "--length-penalty", -1, "a")
    assert "--show" in translate.refused(*checkpoint, "--format", "json", "--show", "alignment", "a")
    assert "--format json" in translate.refused(*checkpoint, "--link-probabilities", "a")
    (tmp_path / "new").mkdir()
    several = [*checkpoint, "--long", "split", "--attention", tmp_path / "new" / "a.safetensors"]
    assert "line 2 was split" in translate.refused(*several, ENGLISH[0], " ".join(ENGLISH))
    assert list((tmp_path / "new").iterdir()) == []


def test_help_has_examples(translate):
    ended = translate("--help")
    assert ended.status == 0 and "--length-penalty" in ended.output
    examples = ended.output.split("examples:")[1].strip().splitlines()
    assert len(examples) >= 3 and all("nmt-translate" in line for line in examples)


# --- as a process -----------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_no_error(tiny_checkpoint, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(ENGLISH * 8))
    script = f"{sys.executable} -m nmt.cli.translate --checkpoint {tiny_checkpoint}"
    script += " --threads 1 --beam 1 --format json"
    ended = subprocess.run(
        ["bash", "-c", f"{script} < {tmp_path / 'in.txt'} | head -n 1; echo status ${{PIPESTATUS[0]}}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    first, status = ended.stdout.splitlines()
    check(json.loads(first), ENGLISH[0])
    assert status == "status 0" and ended.stderr == ""


def test_the_script_of_a_clone_is_the_command(tiny_checkpoint, tmp_path, translate, checkpoint):
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts" / "decode.py", "--checkpoint", tiny_checkpoint, ENGLISH[0]],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, translate(*checkpoint, ENGLISH[0]).output, "")


def test_what_cannot_be_read_is_named_and_not_the_output(translate, monkeypatch, tmp_path, tiny_checkpoint):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "weights.safetensors")

    monkeypatch.setattr(Translator, "stream", denied)
    ended = translate("--checkpoint", tiny_checkpoint, "--output", tmp_path / "out", "a")
    assert (ended.status, ended.errors) == (2, ["nmt-translate: weights.safetensors: Permission denied"])
    assert not (tmp_path / "out").exists()
