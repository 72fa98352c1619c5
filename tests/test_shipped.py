"""The shipped checkpoint, as users meet it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.checkpoint import default_checkpoint
from nmt.errors import UserError
from nmt.translator import Translator

SENTENCES = [
    "Where is the station?",
    "The black cat drinks cold milk.",
    "I have never told them that.",
    "Didn't she give it to you yesterday?",
]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(threads=1)


def test_it_is_whole_small_and_of_the_pinned_corpus(translator):
    checkpoint = translator.checkpoint
    assert all(checkpoint.path(name).is_file() for name in checkpoint.files)  # `path` checks each hash
    size = sum(path.stat().st_size for path in default_checkpoint().rglob("*") if "training" not in path.parts)
    assert size <= 20_000_000
    assert checkpoint.metadata["corpus_sha256"].startswith("39cf9a51fed201f4")


@pytest.mark.parametrize("engine", ["ctranslate2", "torch"])
def test_forced_alignment_of_its_own_translations_is_the_alignment_it_returned(engine):
    translator = Translator.load(engine=engine, threads=1)
    for translation in translator.translate(SENTENCES, n_best=3):
        for hypothesis in translation.hypotheses:
            (forced,) = translator.align([(hypothesis.source, hypothesis.text)])
            assert forced.links == hypothesis.alignment
            assert (forced.source_words, forced.target_words) == (hypothesis.source_words, hypothesis.target_words)
            np.testing.assert_allclose(forced.matrix, hypothesis.attention, atol=1e-5)


def test_adjective_and_noun_change_places(translator):
    translation = translator.translate("She is wearing a white dress.")
    assert translation.target_words[-3:-1] == ["vestido", "blanco"]
    dress, white = len(translation.target_words) - 3, len(translation.target_words) - 2
    assert {(5, dress), (4, white)} <= set(translation.alignment)


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
