"""fuzz.py's targets that read lines: nmt-translate and nmt-align, the real commands in this process."""

from __future__ import annotations

import io
import json
import random
import sys
from collections import Counter
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import yaml

from nmt.cli import align as align_command
from nmt.cli import translate as translate_command
from nmt.cli.common import run
from nmt.text.typography import plain_text
from nmt.text.words import split_words
from scripts.reliability import nasty

VARIANTS = 20
"""Other clothes of each sentence of `meaning`."""


def make_checkpoint(directory: Path) -> None:
    """A tiny translator that has half learned a few sentences, and an alignment head of random weights."""
    from nmt.alignment.head import Aligner
    from nmt.alignment.network import AlignmentHead
    from nmt.checkpoint import Checkpoint, write_checkpoint_metadata
    from nmt.config import AlignerConfig
    from nmt.text.subwords import Subwords
    from tests.tiny import write_tiny_checkpoint

    metadata = Checkpoint(write_tiny_checkpoint(directory)).metadata.record
    # Without the keys that translating does not read, whose parsing would be most of a case's time.
    shape = yaml.safe_load((directory / "config.yaml").read_text())["model"]
    short = {"checkpoint": "x", "model": shape, "training": {"max_steps": 1}}
    (directory / "config.yaml").write_text(yaml.safe_dump(short))
    subwords = Subwords.load(directory / "subwords.model")
    head = AlignmentHead(AlignerConfig(width=16, hidden=8, channels=2), len(subwords))
    draw = np.random.default_rng(1)
    parameters = {name: draw.standard_normal(value.shape) for name, value in head.state_dict().items()}
    Aligner(parameters, subwords).save(directory / "aligner.safetensors")
    write_checkpoint_metadata(directory, metadata)


class Output(io.TextIOWrapper):
    """Standard output in memory."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def text(self) -> str:
        """All that was written."""
        self.flush()
        return self.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]


def command(name: str, main, arguments: list[str], stdin: bytes) -> tuple[int, str, list[str]]:
    """Status, output and lines of errors; an exception that is not the command's own escapes."""
    before = sys.stdin, sys.stdout
    output, errors = Output(), io.StringIO()
    sys.stdin, sys.stdout = io.TextIOWrapper(io.BytesIO(stdin)), output
    try:
        with redirect_stderr(errors):
            status = run(name, main, arguments)
    finally:
        sys.stdin, sys.stdout = before
    return status, output.text(), errors.getvalue().splitlines()


def lines_of(chance: random.Random, lines: list[bytes]) -> bytes:
    """A file of these lines: LF or CRLF, with or without a byte-order mark and a final line end."""
    end = chance.choice((b"\n", b"\n", b"\r\n"))
    content = b"".join(line + end for line in lines)
    if lines and lines[-1] and chance.random() < 0.3:
        content = content.removesuffix(end)
    return (b"\xef\xbb\xbf" if chance.random() < 0.2 else b"") + content


def as_read(content: bytes) -> list[str]:
    """The lines as any reader of UTF-8 must see them."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]


def ensure(holds: object, *what: object) -> None:
    """Raises AssertionError with what is wrong; unlike assert under -O too."""
    if not holds:
        raise AssertionError(" ".join(map(ascii, what))[:2000])


def translate(seed: str, cases: int, place: Path) -> Counter:
    """Lines through nmt-translate: as many answers as lines, in order, each true to its source."""
    chance = random.Random(seed)
    form = chance.choice(("json", "json", "json", "text", "n-best"))
    bad = chance.random() < 0.1
    count = chance.randint(1, 60) if bad else cases
    lines = [nasty.bad_line(chance) if chance.random() < 0.1 else nasty.text(chance).encode() for _ in range(count)]
    if bad:
        lines = [nasty.text(chance, 20).encode() for _ in range(count)]
        lines[number := chance.randrange(count)] = nasty.bad_line(chance)
    content = lines_of(chance, lines)
    target = place / "out.txt"
    arguments = ["--checkpoint", str(place / "checkpoint"), "--threads", "1", "--long", "split"]
    arguments += ["--beam", chance.choice("12"), "--format", "text" if form == "text" else "json"]
    if form == "n-best":
        arguments += ["--n-best", "2", "--beam", "2"]
    arguments += ["--invalid-utf8", "refuse" if bad else "replace"]
    to_file = chance.random() < 0.5
    if to_file:
        arguments += ["--output", str(target)]
    target.unlink(missing_ok=True)
    status, output, errors = command("nmt-translate", translate_command.main, arguments, content)
    if bad:
        ensure(status == 2 and len(errors) == 1 and f"line {number + 1}:" in errors[0], status, errors, content)
        ensure(not target.exists() and (not to_file or not output), "output on failure", arguments)
        return Counter(refused=1)
    ensure(status == 0 and not errors, status, errors)
    answers = (target.read_bytes().decode() if to_file else output).split("\n")
    ensure(answers.pop() == "" and len(answers) == count, len(answers), "answers to", count, "lines")
    for answer, source in zip(answers, as_read(content), strict=True):
        if form == "text":
            ensure(bool(answer) <= bool(split_words(source)), answer, "for", source)
            continue
        found = json.loads(answer)
        for one in [found, *found.get("hypotheses", [])]:
            check_translation(one, source)
    return Counter(answered=count)


def meaning(seed: str, cases: int, place: Path) -> Counter:
    """Sentences through nmt-translate, each once plain and many times in other clothes: its translations are the same,
    but for the clothes of what is copied."""
    chance = random.Random(seed)
    arguments = ["--checkpoint", str(place / "checkpoint"), "--threads", "1", "--beam", chance.choice("12")]
    plain = [_sentence(chance) for _ in range(-(-cases // VARIANTS))]
    dressed = [nasty.in_other_clothes(chance, sentence) for sentence in plain for _ in range(VARIANTS)][:cases]
    answers = []
    for content in (b"".join(line.encode() + b"\n" for line in plain), lines_of(chance, [s.encode() for s in dressed])):
        status, output, errors = command("nmt-translate", translate_command.main, arguments, content)
        ensure(status == 0 and not errors, status, errors)
        answers.append(output.splitlines())
    for number, (other, two) in enumerate(zip(dressed, answers[1], strict=True)):
        sentence, one = plain[number // VARIANTS], answers[0][number // VARIANTS]
        ensure(plain_text(one) == plain_text(two), sentence, "became", one, "but", other, "became", two)
    return Counter(alike=cases)


def _sentence(chance: random.Random) -> str:
    # Ordinary words, some between quotes or with a dash.
    drawn = chance.choices(nasty.WORDS, k=chance.randint(2, 10))
    words = [word for word in drawn if word not in ("3.14", "Ünïcode")] or ["boat"]
    if chance.random() < 0.3:
        words[-1] = f'"{words[-1]}"'
    if chance.random() < 0.2:
        words.insert(len(words) // 2, "-")
    return " ".join(words) + chance.choice(".!?")


def check_translation(found: dict, source: str) -> None:
    """One object of nmt-translate against its source and against itself."""
    ensure(found["source"] == source, found["source"], "is not", source)
    known = [word.text for word in split_words(source)]
    ensure(found["source_words"] == known, found["source_words"], known)
    ensure(found["target_words"] == [word.text for word in split_words(found["translation"])], found)
    check_alignment(found, found["attention"], len(known))


def check_alignment(found: dict, rows: list, sources: int) -> None:
    """The matrix's shape and rows, and the links' bounds and order."""
    targets = len(found["target_words"])
    if not targets:
        ensure(not rows and not found["alignment"], found)
        return
    matrix = np.array(rows)
    ensure(matrix.shape == (targets, sources + 1), matrix.shape, found)
    ensure(np.allclose(matrix.sum(axis=-1), 1, atol=1e-4) and (matrix >= 0).all(), "rows of", found)
    links = [tuple(map(int, link.split("-"))) for link in found["alignment"].split()]
    ensure(links == sorted(set(links)) and all(s < sources and t < targets for s, t in links), links, found)


def align(seed: str, cases: int, place: Path) -> Counter:
    """Pairs through nmt-align: as many answers as pairs, in order, each over the words of its pair."""
    chance = random.Random(seed)
    way = chance.choice(("stdin", "tsv", "files"))
    bad = chance.random() < 0.1
    separator = {"stdin": "|||", "tsv": "\t", "files": "\n"}[way]
    pairs = [(_side(chance), _side(chance)) for _ in range(cases)]
    broken = chance.randrange(cases)
    if bad:
        cases = broken + 1
        pairs = pairs[:cases]
    arguments = ["--checkpoint", str(place / "checkpoint"), "--invalid-utf8", chance.choice(("refuse", "replace"))]
    arguments += ["--format", "json"]
    stdin = b""
    if way == "files":
        for name, column in zip(("source", "target"), zip(*pairs, strict=True), strict=True):
            rows = [text.encode() for text in column]
            if bad and name == "source":
                rows.pop()
            (place / name).write_bytes(b"".join(row + b"\n" for row in rows))
            arguments += [f"--{name}", str(place / name)]
    else:
        rows = [f"{source} {separator} {target}".encode() for source, target in pairs]
        if bad:
            rows[-1] = b"no separator at all"
        stdin = lines_of(chance, rows)
        if way == "tsv":
            (place / "pairs.tsv").write_bytes(stdin)
            arguments.append(str(place / "pairs.tsv"))
    target = place / "links.txt"
    target.unlink(missing_ok=True)
    status, output, errors = command("nmt-align", align_command.main, [*arguments, "--output", str(target)], stdin)
    if bad:
        ensure(status == 2 and errors and f"line {cases - (way == 'files')}" in errors[-1], status, errors)
        ensure(not target.exists() and not output, "output on failure")
        return Counter(refused=1)
    ensure(status == 0 and all("not aligned" in line for line in errors), status, errors)
    answers = target.read_bytes().decode().split("\n")
    ensure(answers.pop() == "" and len(answers) == cases, len(answers), "answers to", cases, "pairs")
    for answer, pair in zip(answers, pairs, strict=True):
        found = json.loads(answer)
        for side, text in zip(("source_words", "target_words"), pair, strict=True):
            words = [word.text for word in split_words(text)]
            ensure(found[side] == words, found[side], "of", text)
        if all(found[side] for side in ("source_words", "target_words")) or found["matrix"]:
            check_alignment(found, found["matrix"], len(found["source_words"]))
        else:
            ensure(found["alignment"] == "", found)
    return Counter(answered=cases)


def _side(chance: random.Random) -> str:
    # Nothing that would part a line or its columns, and no white space at the ends, which is not kept.
    text = nasty.text(chance, 25)
    for character in ("|||", "\t", "\r", "\ufeff"):
        text = text.replace(character, " ")
    return text.strip()
