"""Links from elsewhere teach the alignment head: `alignment.links`."""

from pathlib import Path

import pytest
import yaml
from toy import toy_config

from nmt.alignment.pharaoh import format_links
from nmt.config import load_config
from nmt.errors import UserError
from nmt.training.run import train
from nmt.translator import Translator


def training_pairs(place: Path) -> list[tuple[list[str], list[str]]]:
    lines = (place / "train.tsv").read_text(encoding="utf-8").splitlines()
    return [(source.split(), target.split()) for source, target in (line.split("\t") for line in lines)]


def configured(place: Path, lines: list[str]) -> Path:
    path = toy_config(place, training={"max_steps": 1})
    (place / "links.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    tree = yaml.safe_load(path.read_text())
    tree["alignment"] = {"head": True, "minutes": 0.2, "links": str(place / "links.txt")}
    path.write_text(yaml.safe_dump(tree))
    return path


def test_the_head_learns_the_given_links_and_nothing_else(tmp_path):
    toy_config(tmp_path)
    pairs = training_pairs(tmp_path)
    # A rule that no teacher would find in a language that reverses its words: the first word with every target word.
    lines = [format_links([(0, target) for target in range(len(names))]) for _, names in pairs]
    train(load_config(configured(tmp_path, lines)))
    translator = Translator.load(tmp_path / "run")
    for aligned in translator.align([("3 1 4", "four one three"), ("7 2", "two seven")]):
        assert aligned.links == [(0, target) for target in range(len(aligned.target_words))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "must match"),
        (lambda lines: [*lines, "0-0"], "must match"),
        (lambda lines: [*lines[:6], "0-9", *lines[7:]], r"links.txt, line 7: 0-9 leads out of a pair of . and . words"),
        (lambda lines: ["0:1", *lines[1:]], "0:1"),
    ],
)
def test_links_that_do_not_fit_the_corpus_are_refused_before_training(tmp_path, change, words):
    toy_config(tmp_path)
    lines = ["0-0"] * len(training_pairs(tmp_path))
    path = configured(tmp_path, change(lines))
    with pytest.raises(UserError, match=words):
        train(load_config(path, ["alignment.training_pairs=100"]))  # of 280: those of lines 1, 4, 7 and so on
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_a_head_that_cannot_be_trained_costs_no_translator(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise UserError("no head today")

    monkeypatch.setattr("nmt.training.run.train_aligner", fails)
    toy_config(tmp_path)
    with pytest.raises(UserError, match="no head today"):
        train(load_config(configured(tmp_path, ["0-0"] * len(training_pairs(tmp_path)))))
    assert Translator.load(tmp_path / "run").translate("3 1").text
