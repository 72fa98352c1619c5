"""Hub data sets, by one on disk in a format of the Hub: the network is not needed."""

import json
from pathlib import Path

import pytest

from nmt.config import DataConfig
from nmt.corpus import Corpus, load_corpus
from nmt.errors import UserError


def load(directory: Path, **keys) -> Corpus:
    return load_corpus(DataConfig(cache=str(directory / "cache"), **{"corpus": "hub", **keys}))


def rows(dataset) -> list[tuple[str, str]]:
    return list(zip(dataset["source"], dataset["target"], strict=True))


@pytest.fixture
def hub(tmp_path) -> str:
    directory = tmp_path / "books"
    directory.mkdir()
    for split, count in (("train", 400), ("test", 5)):
        (directory / f"{split}.jsonl").write_text( "".join(
            json.dumps({"id": n, "translation": {"en": f"{split} {n}", "fr": f"phrase {split} {n}"}}) + "\n"
            for n in range(count)))  # fmt: skip
    return str(directory)


def test_hub_data_set_with_nested_columns_and_slices(tmp_path, hub):
    keys = {"corpus": "hub", "name": hub, "source": "fr", "target": "en"}
    corpus = load(tmp_path, train="train[10:]", dev="train[:10]", test="test", **keys)
    assert rows(corpus.dev) == [(f"phrase train {n}", f"train {n}") for n in range(10)]
    assert corpus.train[0] == {"source": "phrase train 10", "target": "train 10"}
    assert (len(corpus.train), len(corpus.test)) == (390, 5)
    held_out = load(tmp_path, train="train", **keys)
    assert (len(held_out.train), len(held_out.dev), held_out.test) == (396, 4, None)
    assert (
        held_out.sha256
        != corpus.sha256
        == load(tmp_path, train="train[10:]", dev="train[:10]", test="test", **keys).sha256
    )
    dotted = {"source_column": "translation.en", "target_column": "translation.fr"}
    assert load(tmp_path, train="train", **keys, **dotted).train[0]["source"].startswith("train ")


def test_hub_data_set_that_changed_is_read_anew(tmp_path, hub):
    keys = {"corpus": "hub", "name": hub, "source": "fr", "target": "en", "train": "train", "dev": "test"}
    first = load(tmp_path, **keys)
    (Path(hub) / "train.jsonl").write_text(json.dumps({"id": 0, "translation": {"en": "new", "fr": "neuf"}}))
    second = load(tmp_path, **keys)
    assert rows(second.train) == [("neuf", "new")] and second.sha256 != first.sha256


def test_hub_errors_name_the_mend(tmp_path, hub, monkeypatch):
    keys = {"corpus": "hub", "source": "en", "target": "fr"}
    with pytest.raises(UserError, match=r"data\.name is missing"):
        load(tmp_path, train="train", **keys)
    with pytest.raises(UserError, match=r"data\.train is missing"):
        load(tmp_path, name=hub, **keys)
    with pytest.raises(UserError, match="data.dev is a list of files"):
        load(tmp_path, name=hub, train="train", dev=["a", "b"], **keys)
    with pytest.raises(
        UserError, match=r"cannot load .*'validation' .*check data\.name, data\.configuration and data\.dev"
    ):
        load(tmp_path, name=hub, train="train", dev="validation", **keys)
    with pytest.raises(
        UserError, match="no column for the target language 'de' among id, translation.en, translation.fr"
    ):
        load(tmp_path, name=hub, train="train", dev="test", corpus="hub", source="en", target="de")

    def offline(*arguments, **options):
        raise ConnectionError("Couldn't reach 'a/b' on the Hub\n(timed out)")

    monkeypatch.setattr("datasets.load_dataset_builder", offline)
    with pytest.raises(UserError, match="the Hub cannot be reached for a/b en-fr .*check the network") as caught:
        load(tmp_path, name="a/b", configuration="en-fr", train="train", **keys)
    assert "\n" not in str(caught.value)


def test_words_that_look_like_missing_cells_are_text(tmp_path):
    pairs = [("None", "Ninguno"), ("NA", "n. d."), ("null", "nulo"), ("nan", "yaya"), ("", "N/A")]
    directory = tmp_path / "table"
    directory.mkdir()
    (directory / "train.csv").write_text("en,es\n" + "".join(f"{source},{target}\n" for source, target in pairs))
    (directory / "test.csv").write_text("en,es\na,b\n")
    corpus = load(tmp_path, name=str(directory), source="en", target="es", train="train", dev="test")
    assert rows(corpus.train) == pairs[:4]
