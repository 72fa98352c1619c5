"""`scripts/nano.py`, the whole system in one file, against the package."""

import ast
import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny import ENGLISH
from toy import toy_pairs, write_pairs

from nmt import Translator
from nmt.checkpoint import SHIPPED, shipped_checkpoint
from nmt.text.subwords import END, START
from scripts import nano

FILE = nano.__file__
SENTENCES = [
    *ENGLISH,
    "Where is the station?",
    "She brought me a cup of tea.",
    "He didn't say anything at all.",
    "The black cat drinks cold milk in the old kitchen.",
    "Tom wants to know what you're going to do.",
]


@pytest.fixture(scope="module")
def loaded():
    return nano.load(SHIPPED[0])


@pytest.fixture(scope="module")
def package():
    return Translator.load(SHIPPED[0], "torch", threads=1)


def test_it_reads_in_an_hour_and_imports_nothing_of_the_package():
    with open(FILE, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert len(lines) <= 400 and max(map(len, lines)) <= 100
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse("\n".join(lines)))
        for name in (
            [one.name for one in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
        )
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {"torch", "sentencepiece"}


@torch.inference_mode()
def test_logits_and_attention_are_the_packages(loaded, package):
    _, processor, layer, heads = loaded
    # In double precision, or the order of sums would differ by as much.
    model, network = (copy.deepcopy(one).double() for one in (loaded[0], package.torch_engine.model))
    for text in SENTENCES[:4]:
        source, target = processor.encode(text), processor.encode(text[::-1])
        logits, cross = model.decode(torch.tensor([[START, *target]]), *model.encode(torch.tensor([[*source, END]])))
        states = network(
            torch.tensor([[*source, END]]), torch.tensor([len(source) + 1]), torch.tensor([[START, *target]])
        )
        torch.testing.assert_close(logits, network.logits(states), atol=1e-5, rtol=1e-5)
        (whole,) = package.torch_engine.attention([source], [target])
        expected = whole.cross[layer, heads].mean(axis=0)
        np.testing.assert_allclose(cross[layer][0, heads].mean(dim=0), expected, atol=1e-5)


def test_translations_and_attention_to_words_are_the_packages(loaded, package):
    plain = [text for text in SENTENCES if not package.subwords.encode(text, apart=True).slots]
    assert len(plain) >= 8
    for text, expected in zip(plain, package.translate(plain, one_sentence=True), strict=True):
        found, source, target, matrix = nano.translate(*loaded, text)
        assert (found, source, target) == (expected.text, expected.source_words, expected.target_words)
        if expected.attention_name:
            np.testing.assert_allclose(matrix, expected.attention, atol=1e-5)


def test_nothing_to_translate_is_nothing(loaded):
    assert nano.translate(*loaded, " ")[:3] == ("", [], [])
    assert nano.draw([], [], torch.zeros(0, 1)).endswith(">")


@pytest.mark.parametrize(
    "text", ["It's 5 o'clock – isn't it?", "Zażółć gęślą jaźń", "👩‍👧 e\u0301n\u0303", "नमस्ते दुनिया"]
)
def test_words_are_the_packages(text):
    from nmt.text.words import normalize, split_words

    text = normalize(text)
    assert nano.split_words(text) == [(word.start, word.end) for word in split_words(text)]


def test_it_learns_and_the_package_reads_it(tmp_path):
    pairs = write_pairs(tmp_path / "pairs.tsv", toy_pairs(60))
    output = tmp_path / "mine"
    command = [sys.executable, FILE, "train", pairs, "--steps", "6", "--output", output, "--languages", "xx", "yy"]
    losses = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert losses == ""  # a line comes every 100 steps
    translator = Translator.load(output, "torch")
    assert (translator.source, translator.target) == ("xx", "yy")
    loaded = nano.load(output)
    for text in ("3 1 4", "2 7"):
        assert nano.translate(*loaded, text)[0] == translator.translate(text, one_sentence=True).text


def test_the_command_draws_the_attention():
    command = [sys.executable, FILE, "translate", "Where is the station?", "--checkpoint", shipped_checkpoint()]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[0].startswith("¿") and lines[-1].lstrip().startswith("?") and "@" in "\n".join(lines)
