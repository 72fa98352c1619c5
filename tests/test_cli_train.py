"""nmt-train: what it refuses, each in one line that names the place; its help; its script."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toy import toy_config

from nmt.config import describe_keys

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def config(tmp_path) -> Path:
    return toy_config(tmp_path)


CONFIGURATIONS = {
    "unknown key": (["model.widht=64"], ["model.widht", "unknown key", "width"]),
    "unknown section": (["modle.width=64"], ["modle", "unknown key", "model"]),
    "wrong type": (["model.width=wide"], ["model.width", "'wide'"]),
    "impossible value": (["model.heads=5"], ["heads (5)", "width (32)"]),
    "negative": (["training.learning_rate=-1"], ["training.learning_rate", "-1"]),
    "not a number": (["training.learning_rate=.nan"], ["training.learning_rate"]),
    "no budget": (["training.max_steps=null"], ["max_steps", "max_minutes"]),
    "no such choice": (["training.optimizer=sgd"], ["training.optimizer", "adamw", "sgd"]),
    "not an override": (["width"], ["'width'", "key=value"]),
    "a value as a section": (["checkpoint.width=1"], ["checkpoint is a value"]),
    "a date that is none": (["checkpoint=2021-13-45"], ["checkpoint"]),
    "sampling with BPE": (["subwords.model_type=bpe", "subwords.sampling=0.1"], ["unigram"]),
    "no such device": (["training.device=cuda"], ["cuda"]),
}


@pytest.mark.parametrize("case", CONFIGURATIONS)
def test_a_bad_configuration(train, config, tmp_path, case):
    if case == "no such device":
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has the device")
    overrides, mentions = CONFIGURATIONS[case]
    line = train.refused(config, *overrides)
    assert all(mention in line for mention in mentions), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"- a\n- b\n", b"a: [", bytes(range(256)), b"a: 2021-13-45", b"[" * 5000])
def test_a_file_that_is_no_configuration(train, tmp_path, content):
    (tmp_path / "bad.yaml").write_bytes(content)
    assert "bad.yaml" in train.refused(tmp_path / "bad.yaml")


def test_a_missing_configuration(train, tmp_path):
    assert "none.yaml" in train.refused(tmp_path / "none.yaml")
    assert "directory" in train.refused(tmp_path)


CORPORA = {
    "missing file": ({"train": "none.tsv"}, {}, "none.tsv"),
    "misaligned files": ({"train": ["a.en", "a.es"]}, {"a.en": "a\nb\nc\n", "a.es": "x\ny\n"}, "a.en has 3 lines"),
    "one column": ({"train": "a.tsv"}, {"a.tsv": "a\tb\nonly one\n"}, "a.tsv:2"),
    "binary garbage": ({"train": "a.tsv"}, {"a.tsv": bytes(range(256)) * 9}, "a.tsv:1"),
    "not UTF-8": ({"train": "a.tsv"}, {"a.tsv": b"a\tb\nc\t\xe9\n"}, "a.tsv:2"),
    "empty corpus": ({"train": "a.tsv"}, {"a.tsv": ""}, "train is empty"),
    "blank lines": ({"train": "a.tsv"}, {"a.tsv": "\n\n"}, "empty side"),
    "empty dev": ({"dev": "a.tsv"}, {"a.tsv": ""}, "dev is empty"),
    "half a gzip": ({"train": "a.tsv.gz"}, {"a.tsv.gz": b"\x1f\x8b\x08\0\0\0\0\0\0\0"}, "damaged gzip"),
}


@pytest.mark.parametrize("case", CORPORA)
def test_a_bad_corpus(train, config, tmp_path, case):
    data, files, mention = CORPORA[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    tree = yaml.safe_load(config.read_text())
    for key, value in data.items():
        paths = [str(tmp_path / name) for name in ([value] if isinstance(value, str) else value)]
        tree["data"][key] = paths if isinstance(value, list) else paths[0]
    config.write_text(yaml.safe_dump(tree))
    assert mention in train.refused(config)
    # Nothing is left that the mended command would stumble over.
    assert not (tmp_path / "run").exists()


def test_sentences_that_are_all_too_long(train, config, tmp_path):
    (tmp_path / "train.tsv").write_text("one " * 20 + "\t" + "1 " * 20 + "\n")
    ended = train(config, "model.max_length=8")
    assert ended.status == 2 and "max_length" in ended.errors[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("override", ["subwords.vocabulary_size=270", "model.max_length=2"])
def test_a_refused_run_in_the_place_of_another_leaves_the_other(train, config, tmp_path, override):
    assert train(config, "training.max_steps=1").status == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert train(config, "--overwrite", override).status == 2
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_flags_and_overrides_in_any_order(train, config, tmp_path):
    assert "to resume" in train.refused(config, "--resume", "training.seed=2")
    assert "to resume" in train.refused("--resume", config, "training.seed=2")
    assert train(config, "--resume", "--overwrite").status == 2  # argparse's own words


def test_a_directory_that_may_not_be_written_to(train, config, tmp_path):
    ended = train(config, "checkpoint=/proc/none/run")
    assert ended.status == 2 and ended.errors[-1].startswith("nmt-train: /proc") and "Traceback" not in str(ended)


def test_help_has_examples_and_every_key(train, command):
    ended = train("--help")
    assert ended.status == 0
    examples = ended.output.split("examples:")[1].split("\n\n")[0].strip().splitlines()
    assert len(examples) >= 3 and all(line.strip().startswith("nmt-train ") for line in examples)
    for key, _, meaning in describe_keys():
        assert f"  {key} = " in ended.output and meaning in ended.output and meaning
    ended = command("export")("--help")
    assert ended.status == 0 and "nmt-export checkpoints" in ended.output.split("examples:")[1]


def test_the_script_of_a_clone_is_the_command(tmp_path):
    script = ROOT / "scripts" / "train.py"
    ended = subprocess.run([sys.executable, script, "none.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == "" and ended.stderr.count("\n") == 1
    assert "none.yaml" in ended.stderr
