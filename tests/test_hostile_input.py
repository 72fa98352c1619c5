"""Text as files can hold it: what is refused, what is replaced, and long text in parts that lose nothing."""

import json
import os
import random
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, tiny_subwords

from nmt import Translator
from nmt.errors import UserError
from nmt.joining import join_translations
from nmt.lines import LONGEST_LINE
from nmt.text.parts import split_text, words_of_part
from nmt.text.words import split_words
from nmt.translation import Translation

ROOT = Path(__file__).resolve().parent.parent
SUBWORDS = tiny_subwords()


@pytest.fixture
def checkpoint(tiny_checkpoint) -> list:
    return ["--checkpoint", tiny_checkpoint, "--threads", 1, "--beam", 1]


@settings(max_examples=40)
@given(st.text(max_size=300) | st.lists(st.sampled_from(ENGLISH), max_size=9).map(" ".join), st.integers(5, 40))
def test_parts_hold_every_character_in_order_and_are_short(text, most):
    whole = SUBWORDS.encode(text)
    parts = split_text(SUBWORDS, whole, most, "en")
    held = {part.start + place for part in parts for place in range(len(part.encoding.text))}
    lost = "".join(character for place, character in enumerate(whole.text) if place not in held)
    assert SUBWORDS.encode("".join(lost.split())).ids == [] and all(part.encoding.ids for part in parts)
    end = 0
    for part in parts:
        assert len(part.encoding.ids) <= most or len(part.encoding.text) == 1
        assert part.start >= end and whole.text[part.start :].startswith(part.encoding.text)
        end = part.start + len(part.encoding.text)
        # Each word of a part lies in the word of the whole that it is said to be.
        for word, place in zip(part.encoding.words, words_of_part(whole, part), strict=True):
            around = whole.words[place]
            assert around.start <= part.start + word.start and part.start + word.end <= around.end


def test_parts_are_sentences_then_clauses_then_words():
    clauses = ["who left this umbrella under the kitchen table,", "and why did nobody take it home again?"]
    whole = SUBWORDS.encode(f"He knows: {' '.join(clauses)} Yes. {'boat ' * 60}")
    texts = [part.encoding.text for part in split_text(SUBWORDS, whole, 60, "en")]
    assert all(len(SUBWORDS.encode(text).ids) <= 30 for text in texts)
    assert set(" ".join(texts[texts.index("Yes.") + 1 :]).split()) == {"boat"}
    assert any(text.endswith("table,") for text in texts) and len(texts) < 20


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_a_long_line_is_the_join_of_its_sentences(tiny_checkpoint, engine):
    translator = Translator.load(tiny_checkpoint, engine, threads=1)
    sentences = ENGLISH[:8]
    text = " ".join(sentences)
    with pytest.raises(UserError, match="--long split"):
        translator.translate(text, one_sentence=True)
    joined = translator.translate(text, long="split")
    alone = translator.translate(sentences)
    assert joined.text == " ".join(one.text for one in alone) and joined.source == text
    assert joined.source_words == [word.text for word in split_words(text)]
    assert joined.target_words == [word.text for word in split_words(joined.text)]
    np.testing.assert_allclose(joined.attention.sum(axis=1), 1, atol=1e-5)
    links, matrix, sources, targets = [], np.zeros_like(joined.attention), 0, 0
    for one in alone:  # the sentences' links and matrices, moved along the diagonal
        links += [(sources + s, targets + t) for s, t in one.alignment]
        rows = slice(targets, targets + len(one.target_words))
        matrix[rows, sources : sources + len(one.source_words)] = one.attention[:, :-1]
        matrix[rows, -1] = one.attention[:, -1]
        sources, targets = sources + len(one.source_words), targets + len(one.target_words)
    assert joined.alignment == sorted(links)
    np.testing.assert_allclose(joined.attention, matrix, atol=1e-5)
    assert min(one.score for one in alone) <= joined.score <= max(one.score for one in alone)
    hypotheses = translator.translate(text, long="split", n_best=2).hypotheses
    assert len(hypotheses) == 2 and (hypotheses[0].text, hypotheses[0].score) == (joined.text, joined.score)


def test_the_translation_of_parts_is_the_same_however_many_hypotheses_are_asked_for():
    def part(*hypotheses: tuple[int, float]) -> Translation:
        found = [Translation("a", "x " * words, score, ["a"], ["x"] * words, None, None) for words, score in hypotheses]
        return replace(found[0], hypotheses=found)

    parts = [part((3, -0.2), (30, -0.5)), part((5, -1.0), (5, -1.1))]  # the second two have the better mean
    joined = join_translations("a a", ["a", "a"], parts, [[0], [1]])
    assert len(joined.target_words) == 8 and [len(one.target_words) for one in joined.hypotheses] == [8, 35]
    assert joined.hypotheses[0].score < joined.hypotheses[1].score


def test_a_part_without_pieces_is_not_given_to_the_network(tiny_checkpoint):
    translator = Translator.load(tiny_checkpoint, threads=1)
    text = " ".join(ENGLISH[:6])
    plain, found = (translator.translate(line, long="split") for line in (text, f"{text} \u200b"))
    assert (found.text, found.alignment) == (plain.text, plain.alignment)
    assert found.source_words == [*plain.source_words, "\u200b"]


def test_a_million_characters_in_a_line(translate, checkpoint, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("old " * 50_000 + "x" * 800_000 + "\n" + ENGLISH[0] + "\n")
    assert "line 1 has" in translate.refused(*checkpoint, "--input", path)
    path.write_text("old " * 2_500 + "x" * 5_000 + "\n" + ENGLISH[0] + "\n")
    ended = translate(*checkpoint, "--long", "split", "--input", path)
    lines = ended.output.splitlines()
    assert ended.status == 0 and len(lines) == 2 and len(lines[0].split()) > 500
    assert lines[1] + "\n" == translate(*checkpoint, ENGLISH[0]).output
    assert f"over {LONGEST_LINE >> 20} MiB" in translate.refused(*checkpoint, stdin=b"x" * (LONGEST_LINE + 1))


def test_bytes_that_are_not_utf8_are_refused_or_replaced(translate, checkpoint):
    text = ENGLISH[0].encode() + b" \xff\n" + ENGLISH[1].encode() + b"\n\xed\xa0\x80\n"
    assert "line 1: not UTF-8" in translate.refused(*checkpoint, stdin=text)
    ended = translate(*checkpoint, "--invalid-utf8", "replace", "--format", "json", stdin=text)
    sources = [json.loads(line)["source"] for line in ended.output.splitlines()]
    assert sources == [f"{ENGLISH[0]} \ufffd", ENGLISH[1], "\ufffd" * 3]
    argument = os.fsdecode(b"caf\xe9")  # what Python makes of an argument that is not UTF-8
    assert "TEXT 2" in translate.refused(*checkpoint, "a", argument)
    ended = translate(*checkpoint, "--invalid-utf8", "replace", "--format", "json", argument)
    assert json.loads(ended.output)["source"] == "caf\ufffd"


def test_named_pipes_in_and_out(translate, checkpoint, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    os.mkfifo(source)
    os.mkfifo(target)
    found = []
    threads = [
        threading.Thread(target=lambda: source.write_text(ENGLISH[0] + "\n")),
        threading.Thread(target=lambda: found.append(target.read_text())),
    ]
    for thread in threads:
        thread.start()
    assert translate(*checkpoint, "--input", source, "--output", target).status == 0
    for thread in threads:
        thread.join()
    assert found == [translate(*checkpoint, ENGLISH[0]).output]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a >&-", "standard output is closed"),
        ("<&-", "standard input is closed"),
        ("--output /dev/null 0>/dev/null", "cannot read standard input: "),
    ],
)
def test_standard_streams_of_no_use_are_one_line(tiny_checkpoint, arguments, message):
    command = f"{sys.executable} -m nmt.cli.translate --checkpoint {tiny_checkpoint} {arguments}"
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2 and message in ended.stderr and ended.stderr.count("\n") == 1


def test_fuzzing_in_short():
    command = [sys.executable, "-m", "scripts.reliability.fuzz", "--cases", "50", "--seed"]
    ended = subprocess.run([*command, str(random.Random(7).randrange(100))], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count(" 0 failed") == 6
