"""The shipped checkpoints, as users meet them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.checkpoint import SHIPPED, find_checkpoint, shipped_checkpoint
from nmt.errors import UserError
from nmt.translator import Translator

SENTENCES = {
    "tatoeba-en-es": [
        "Where is the station?",
        "The black cat drinks cold milk.",
        "I have never told them that.",
        "Didn't she give it to you yesterday?",
    ],
    "tatoeba-es-en": [
        "¿Dónde está la estación?",
        "El gato negro bebe leche fría.",
        "Nunca se lo he dicho.",
        "¿No te lo dio ella ayer?",
    ],
}
CORPUS = "0a2ecf40fdece056"
"""Tatoeba with the supplement."""


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(threads=1)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_whole_small_and_of_the_pinned_corpus(name):
    checkpoint = Translator.load(name).checkpoint
    assert all(checkpoint.path(file).is_file() for file in checkpoint.files)  # `path` checks each hash
    files = shipped_checkpoint(name).rglob("*")
    assert sum(path.stat().st_size for path in files if "training" not in path.parts) <= 20_000_000
    assert checkpoint.metadata.record["corpus_sha256"].startswith(CORPUS)
    assert "-".join(["tatoeba", checkpoint.metadata.source, checkpoint.metadata.target]) == name


def test_a_shipped_checkpoint_is_found_by_name_unless_a_directory_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NMT_CHECKPOINT", raising=False)
    assert [find_checkpoint(name) for name in SHIPPED] == [shipped_checkpoint(name) for name in SHIPPED]
    assert find_checkpoint() == shipped_checkpoint("tatoeba-en-es")
    assert find_checkpoint("another") == Path("another")
    monkeypatch.setenv("NMT_CHECKPOINT", "tatoeba-es-en")
    assert find_checkpoint() == shipped_checkpoint("tatoeba-es-en")
    (tmp_path / "tatoeba-es-en").mkdir()
    assert find_checkpoint() == find_checkpoint("tatoeba-es-en") == Path("tatoeba-es-en")


@pytest.mark.parametrize("engine", ["ctranslate2", "torch"])
@pytest.mark.parametrize("name", SHIPPED)
def test_forced_alignment_of_its_own_translations_is_the_alignment_it_returned(name, engine):
    translator = Translator.load(name, engine=engine, threads=1)
    for translation in translator.translate(SENTENCES[name], n_best=3):
        for hypothesis in translation.hypotheses:
            (forced,) = translator.align([(hypothesis.source, hypothesis.text)])
            assert forced.links == hypothesis.alignment
            assert (forced.source_words, forced.target_words) == (hypothesis.source_words, hypothesis.target_words)
            np.testing.assert_allclose(forced.probabilities, hypothesis.link_probabilities, atol=1e-5)


def test_adjective_and_noun_change_places(translator):
    translation = translator.translate("She is wearing a white dress.")
    assert translation.target_words[-3:-1] == ["vestido", "blanco"]
    dress, white = len(translation.target_words) - 3, len(translation.target_words) - 2
    assert {(5, dress), (4, white)} <= set(translation.alignment)


def test_noun_and_adjective_change_places_the_other_way():
    translation = Translator.load("tatoeba-es-en", threads=1).translate("Lleva un vestido blanco.")
    assert translation.target_words[-3:-1] == ["white", "dress"]
    white, dress = len(translation.target_words) - 3, len(translation.target_words) - 2
    assert {(2, dress), (3, white)} <= set(translation.alignment)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_rows_that_sum_to_one_and_links_within_bounds(translator, text):
    try:
        translation = translator.translate(text, beam=1)
    except UserError as refusal:  # a character outside the vocabulary is up to four pieces
        assert "pieces" in str(refusal)
        return
    rows, columns = len(translation.target_words), len(translation.source_words)
    assert translation.attention.shape == (rows, columns + 1)
    np.testing.assert_allclose(translation.attention.sum(axis=1), np.ones(rows), atol=1e-4)
    assert all(0 <= source < columns and 0 <= target < rows for source, target in translation.alignment)
