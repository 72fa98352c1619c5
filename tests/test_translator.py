"""The Translator over a tiny checkpoint: shapes, order, n-best, engines, and checkpoints that it refuses."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, SPANISH

from nmt import Translator, UserError
from nmt.alignment.links import LEAST
from nmt.checkpoint import write_checkpoint_metadata
from nmt.search.options import SearchOptions
from nmt.text.words import split_words

LINES = [*ENGLISH[:3], "", "A cat?", "   ", *SPANISH[:2], "\t", "😀 日本", "\u200b"]


@pytest.fixture(scope="module", params=["torch", "ctranslate2"])
def translator(request, tiny_checkpoint):
    return Translator.load(tiny_checkpoint, engine=request.param, threads=1)


def test_heads_of_several_sentences_bring_a_warning(tiny_checkpoint, recwarn):
    translator = Translator.load(tiny_checkpoint, engine="torch", threads=1)
    with pytest.warns(UserWarning, match="line 2 has 2 sentences; heads and prefixes"):
        found = translator.translate(["A cat.", "A cat? The old boat leaves."], heads=True)[1]
    recwarn.clear()
    assert translator.translate(found.source, heads=True, one_sentence=True).text == found.text
    assert not recwarn.list


def assert_sound(result, line: str) -> None:
    assert result.source == line
    assert result.source_words == [word.text for word in split_words(line)]
    assert result.target_words == [word.text for word in split_words(result.text)]
    assert result.attention.shape == (len(result.target_words), len(result.source_words) + 1)
    assert result.attention.dtype == np.float32
    np.testing.assert_allclose(result.attention.sum(axis=1), 1, atol=1e-4)
    assert (result.attention >= 0).all()
    assert result.alignment == sorted(set(result.alignment))
    for source, target in result.alignment:
        assert 0 <= source < len(result.source_words) and 0 <= target < len(result.target_words)
        weight = result.attention[target, source]
        left_out = weight == result.attention[:, source].max() and weight >= LEAST
        assert weight == result.attention[target].max() or left_out


def test_order_is_kept_and_lines_without_words_stay_empty(translator):
    results = translator.translate(LINES)
    assert len(results) == len(LINES)
    for line, result in zip(LINES, results, strict=True):
        if split_words(line) and line != "\u200b":
            assert_sound(result, line)
            alone = translator.translate(line)
            assert alone.text == result.text and alone.score == pytest.approx(result.score, abs=1e-4)
        else:
            assert (result.source, result.text, result.alignment) == (line, "", [])
            assert result.attention.shape == (0, len(split_words(line)) + 1)
    assert results[0].text == SPANISH[0]  # learned by heart


@settings(max_examples=15)
@given(line=st.text(max_size=12))
def test_any_short_text_is_translated(translator, line):
    result = translator.translate(line)
    if result.target_words:
        assert_sound(result, line)
    json.dumps(result.as_dict())


def test_translations_learned_by_heart(translator):
    texts = [result.text for result in translator.translate(ENGLISH)]
    assert sum(text == spanish for text, spanish in zip(texts, SPANISH, strict=True)) >= 7


@pytest.mark.parametrize(
    ("asked", "complaint"), [({"engine": "ctranslate"}, "must be one of auto"), ({"threads": 0}, "from 1")]
)
def test_what_no_translator_can_be_is_refused(tiny_checkpoint, asked, complaint):
    with pytest.raises(UserError, match=complaint):
        Translator.load(tiny_checkpoint, **asked)


def test_n_best(translator):
    result = translator.translate(ENGLISH[3], beam=4, n_best=3)
    assert len(result.hypotheses) == 3
    assert (result.hypotheses[0].text, result.hypotheses[0].score) == (result.text, result.score)
    scores = [hypothesis.score for hypothesis in result.hypotheses]
    assert scores == sorted(scores, reverse=True)
    for hypothesis in result.hypotheses:
        assert_sound(hypothesis, ENGLISH[3])
    assert translator.translate(ENGLISH[3]).hypotheses == []
    assert len(translator.translate(ENGLISH[3], n_best=6).hypotheses) == 6  # the beam grows with it


def test_a_stream_is_lazy_and_longer_than_its_read_ahead(translator):
    taken = []

    def lines():
        for number in range(3500):
            taken.append(number)
            yield "" if number % 300 else ENGLISH[number // 300]

    stream = translator.stream(lines())
    assert next(stream).text and len(taken) < 3500
    rest = list(stream)
    assert len(rest) == 3499 and [result.source for result in rest if result.source] == ENGLISH[1:12]


def test_whole_maps_are_held_for_a_batch_of_lines_alone(tiny_checkpoint):
    lines = iter([ENGLISH[0]] * 9)
    translator = Translator.load(tiny_checkpoint, "torch", threads=1)
    stream = translator.stream(lines, heads=True, batch_size=2, beam=1)
    assert next(stream).text and len(list(lines)) == 7


def test_a_checkpoint_without_decoding_settings_has_the_usual_ones(copy):
    metadata = json.loads((copy / "metadata.json").read_text())
    write_checkpoint_metadata(copy, metadata | {"decoding": {}})
    translator = Translator.load(copy)
    assert translator.search_options() == SearchOptions() and translator.search_options(n_best=7).beam == 7


def test_a_line_that_is_too_long_is_refused_with_its_number(translator):
    with pytest.raises(UserError, match=r"line 2 has \d+ subword pieces, the model takes 63"):
        translator.translate(["cat", "cat " * 200])


def test_translations_are_objects_of_their_own(translator):
    """Compared by identity: arrays have no single truth, and whoever keeps translations in a set has a use for that."""
    one, other = translator.translate(["cat", "cat"])
    assert one == one and one != other and len({one, other}) == 2


def test_wrong_options_are_refused(translator):
    for options in ({"beam": 0}, {"beam": 2, "n_best": 3}, {"length_penalty": -1.0}, {"bean": 3}):
        with pytest.raises(UserError):
            translator.translate("cat", **options)


def test_no_lines_no_results(translator):
    assert translator.translate([]) == []


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_heads(tiny_checkpoint, engine):
    translator = Translator.load(tiny_checkpoint, engine=engine, threads=1)
    for result in translator.translate(["The old boat leaves.", "cat"], heads=True):
        heads, subwords = result.heads, translator.subwords
        source, target = len(heads.source_pieces), len(heads.target_pieces)
        assert heads.source_pieces == [*subwords.pieces(subwords.encode(result.source).ids), "</s>"]
        assert heads.encoder.shape == (2, 4, source, source)
        assert heads.decoder.shape == (2, 4, target, target)
        assert heads.cross.shape == (2, 4, target, source)
        assert len(result.source_word_of_piece) == source and len(result.target_word_of_piece) == target
        assert len(heads.candidates) == target
        # Without an alignment head the word matrix is the layer's mean cross-attention, summed by words.
        word = 0
        columns = [number for number, words in enumerate(result.source_word_of_piece) if words == [word]]
        rows = [number for number, words in enumerate(result.target_word_of_piece) if words == [word]]
        if len(result.target_words) == 1 or all(len(words) <= 1 for words in result.target_word_of_piece):
            expected = heads.cross[0].mean(0)[np.ix_(rows, columns)].sum(1).mean()
            assert result.attention[0, 0] == pytest.approx(expected, abs=1e-4)


def test_attention_of_a_given_pair(tiny_checkpoint):
    translator = Translator.load(tiny_checkpoint, threads=1)
    maps = translator.attention(ENGLISH[0], SPANISH[1])
    assert maps.target_pieces == [*translator.subwords.pieces(translator.subwords.encode(SPANISH[1]).ids), "</s>"]
    np.testing.assert_allclose(maps.cross.sum(-1), 1, atol=1e-5)
    with pytest.raises(UserError, match=r"the target has \d+ subword pieces, the model takes 63; shorten it"):
        translator.attention("cat", "gato " * 200)


def test_auto_takes_ctranslate2(tiny_checkpoint):
    plain = Translator.load(tiny_checkpoint)
    assert plain.fast and (plain.source, plain.target) == ("en", "es")
    assert not Translator.load(tiny_checkpoint, engine="torch").fast
    with pytest.raises(UserError, match="every head"):
        Translator.load(tiny_checkpoint, engine="ctranslate2").translate("cat", heads=True)


@pytest.fixture
def copy(tmp_path, tiny_checkpoint):
    return shutil.copytree(tiny_checkpoint, tmp_path / "copy")


FILES = ["subwords.model", "weights.safetensors", "config.yaml", "metadata.json"]


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(copy, name, engine):
    (copy / name).unlink()
    with pytest.raises(UserError) as error:
        Translator.load(copy, engine).translate("cat")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_directories_that_are_no_checkpoints_are_refused(tmp_path):
    with pytest.raises(UserError, match="no checkpoint directory"):
        Translator.load(tmp_path / "none")
    with pytest.raises(UserError, match="not a finished checkpoint"):
        Translator.load(tmp_path)
    for metadata in ("[]", "{}", '{"files": {}}', "null", '{"files": []}', "", '{"files": {'):
        (tmp_path / "metadata.json").write_text(metadata)
        with pytest.raises(UserError):
            Translator.load(tmp_path)
