"""What a Python user reaches for: names, options with types, scores, samples, prefixes, pictures, BertViz."""

import inspect
import json
import math
from importlib.resources import files
from typing import get_args, get_type_hints

import numpy as np
import pytest
from tiny import ENGLISH, SPANISH
from toy import toy_config

import nmt
from nmt import Aligner, Translator, UserError, train
from nmt.keywords import DEFAULTS, SearchKeywords, StreamOptions, TranslateOptions
from nmt.search.options import SearchOptions


@pytest.fixture(scope="module")
def translator(tiny_checkpoint):
    return Translator.load(tiny_checkpoint, threads=1)


@pytest.fixture(scope="module")
def shipped():
    return Translator.load(threads=1)


def test_the_package_lists_its_names_and_its_types():
    assert {"Translator", "train", "Aligner", "UserError"} <= set(dir(nmt)) and callable(train)
    assert all(hasattr(nmt, name) for name in dir(nmt))
    assert files("nmt").joinpath("py.typed").is_file()
    for use in ("Translator", "train", "Aligner"):
        assert f"from nmt import {use}\n" in nmt.__doc__


@pytest.mark.parametrize("method", ["translate", "stream"])
def test_every_option_is_a_keyword_with_type_and_default(method):
    parameters = inspect.signature(getattr(Translator, method)).parameters
    kinds = get_type_hints(StreamOptions if method == "stream" else TranslateOptions)
    assert {name: parameters[name].annotation for name in kinds} == kinds
    for name in kinds:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == DEFAULTS.get(name)
        assert parameters[name].default is not None or type(None) in get_args(kinds[name])


def test_every_search_option_has_a_keyword():
    inner = {"prefix", "forbidden"}  # piece ids, which the translator finds
    assert {*get_type_hints(SearchKeywords)} | inner == set(SearchOptions.__dataclass_fields__)


def test_a_wrong_option_is_named_and_the_nearest_suggested(translator):
    for call in (translator.translate, translator.stream):
        with pytest.raises(UserError, match="no option 'beem'; did you mean 'beam'?"):
            call("cat", beem=2)
    with pytest.raises(UserError, match="no option 'quality'; there are beam"):
        translator.translate("cat", quality=2)
    with pytest.raises(UserError, match="no option 'read_ahead'"):
        translator.translate("cat", read_ahead=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0; it must be a whole number from 1"),
        ({"batch_size": "64"}, "batch_size is '64'"),
        ({"prefix": 5}, "prefix is 5; it must be text"),
        ({"heads": "yes"}, "heads is 'yes'; it must be True or False"),
        ({"word_probabilities": 1}, "word_probabilities is 1"),
        ({"long": "cut"}, "long is 'cut'; it must be refuse or split"),
        ({"beam": "5"}, "beam is '5'; it must be a whole number"),
        ({"temperature": -1}, "temperature is -1; it must be a number"),
        ({"temperature": 1, "seed": "x"}, "seed is 'x'"),
        ({"temperature": 1.0, "beam": 5}, "temperature samples and beam searches"),
        ({"top_k": 20}, "top_k is for samples"),
        ({"seed": 3}, "seed is for samples"),
    ],
)
def test_a_wrong_value_says_what_is_right(translator, options, said):
    for call in (translator.translate, translator.stream):
        with pytest.raises(UserError, match=said):
            call(["cat"], **options)


def test_what_is_no_text_is_refused(translator, shipped):
    for wrong in (5, None, b"cat"):
        with pytest.raises(UserError, match="is no list of texts"):
            translator.translate(wrong)
    with pytest.raises(UserError, match="line 2 is 5; it must be text"):
        translator.translate(["cat", 5])
    with pytest.raises(UserError, match="stream a list"):  # it would be read letter by letter
        translator.stream("cat")
    assert len(translator.translate(text for text in ("cat", "boat"))) == 2
    for pair in (("cat", None), (5, "gato")):
        with pytest.raises(UserError, match="must be text"):
            translator.score(*pair)
    for pairs in (["cat", "gato"], [("cat", None)], [("cat", "gato", "chat")], [5]):
        with pytest.raises(UserError, match="pair 1 is .*; it must be"):
            shipped.align(pairs)
    with pytest.raises(UserError, match="two sentences"):
        shipped.align("cat")


def test_a_configuration_is_trained_by_its_name(tmp_path):
    toy_config(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        directory = train(str(tmp_path / "run.yaml"))
    assert Translator.load(directory).translate("1 2").text is not None
    with pytest.raises(UserError, match="cannot read the configuration"):
        train(tmp_path / "none.yaml")


def test_every_repr_is_short(shipped):
    result = shipped.translate("Where is the station?", heads=True, n_best=2)
    pair = shipped.align("Where is the station?", result.text)
    score = shipped.score("Where is the station?", result.text)
    things = [result, result.heads, pair, score, shipped, shipped.aligner, shipped.subwords, shipped.checkpoint]
    for thing in things:
        assert 10 < len(repr(thing)) < 250, repr(thing)[:300]
        assert type(thing).__name__ in repr(thing)
    assert "Where is the station?" in repr(result) and result.text in repr(result)


def test_score_is_the_log_probability_that_search_finds(translator):
    result = translator.translate(ENGLISH[0], beam=1, heads=True)
    score = translator.score(ENGLISH[0], result.text)
    assert score.words == result.target_words and len(score.by_word) == len(score.words)
    assert score.log_probability == pytest.approx(sum(score.by_word) + score.end, abs=1e-4)
    own = sum(
        dict(step)[piece] for step, piece in zip(result.heads.candidates, result.heads.target_pieces, strict=True)
    )
    assert score.log_probability == pytest.approx(own, abs=1e-3)
    assert (
        translator.score(ENGLISH[0], SPANISH[0]).log_probability
        > translator.score(ENGLISH[0], SPANISH[1]).log_probability
    )
    with pytest.raises(UserError, match="the target has"):
        translator.score("cat", "gato " * 200)


def test_the_probability_of_each_word(translator):
    result = translator.translate(ENGLISH[0], word_probabilities=True)
    score = translator.score(ENGLISH[0], result.text)
    assert result.word_probabilities == pytest.approx([math.exp(value) for value in score.by_word], abs=1e-4)
    assert json.loads(json.dumps(result.as_dict()))["word_probabilities"] == result.word_probabilities
    assert translator.translate(ENGLISH[0]).word_probabilities is None
    # Joined sentences, and a copied word.
    joined = translator.translate(f"{ENGLISH[0]} {ENGLISH[1]} 😀", word_probabilities=True)
    assert len(joined.word_probabilities) == len(joined.target_words)
    assert joined.word_probabilities[joined.target_words.index("😀")] == 1


def test_a_translation_begins_with_the_prefix(translator):
    plain = translator.translate(ENGLISH[0], beam=3)
    for prefix in ("El viejo", "Mi hermana pinta"):
        results = translator.translate([ENGLISH[0], ENGLISH[1]], prefix=prefix, beam=3, n_best=2)
        assert all(found.text.startswith(prefix) for result in results for found in result.hypotheses)
    assert plain.text.startswith("El viejo")
    assert translator.translate(ENGLISH[0], beam=3, prefix="El viejo").text == plain.text
    assert translator.translate("A cat", prefix="El viejo " * 5).text.startswith("El viejo El viejo")
    named = translator.translate(["Zork has 3 cats.", "I saw Zork."], prefix="Zork")
    assert [one.text.count("Zork") for one in named] == [1, 1]
    with pytest.raises(UserError, match="the prefix has"):
        translator.translate("cat", prefix="El viejo " * 200)


def test_samples_are_seeded_and_differ(translator):
    options = {"temperature": 2.0, "n_best": 6}
    texts = [one.text for one in translator.translate(ENGLISH[0], seed=1, **options).hypotheses]
    assert texts == [one.text for one in translator.translate(ENGLISH[0], seed=1, **options).hypotheses]
    assert len(set(texts)) > 1
    assert texts != [one.text for one in translator.translate(ENGLISH[0], seed=2, **options).hypotheses]
    # A sample depends on nothing else in its batch, nor on how many are drawn.
    batch = translator.translate([ENGLISH[1], ENGLISH[0]], seed=1, temperature=2.0, n_best=2)[1]
    assert [one.text for one in batch.hypotheses] == texts[:2]
    greedy = translator.translate(ENGLISH[0], beam=1).text
    assert translator.translate(ENGLISH[0], temperature=1.0, top_k=1).text == greedy
    assert translator.translate(ENGLISH[0], temperature=0.01).text == greedy
    for wrong in ({"temperature": 0}, {"top_k": -1}, {"seed": -1}):
        with pytest.raises(UserError):
            translator.translate("cat", **wrong)


def test_samples_follow_the_models_distribution():
    import torch

    from nmt.search.sampling import draw

    logits = torch.tensor([2.0, 1.0, 0.0, -1.0]).log_softmax(-1)
    noise = [[np.random.default_rng(number) for number in range(4000)]]
    for temperature, top_k in ((1.0, 0), (0.5, 0), (2.0, 2)):
        options = SearchOptions(beam=1000, n_best=1000, temperature=temperature, top_k=top_k)
        drawn = draw(logits.expand(1, 4000, 4), options, noise)[0]
        expected = (logits / temperature).masked_fill(torch.arange(4) >= (top_k or 4), -torch.inf).softmax(-1)
        assert torch.bincount(drawn, minlength=4) / 4000 == pytest.approx(expected.numpy(), abs=0.03)


def test_what_only_pytorch_can_do_is_refused_by_name(tiny_checkpoint):
    fast = Translator.load(tiny_checkpoint, engine="ctranslate2", threads=1)
    for options in ({"prefix": "El"}, {"temperature": 1.0}, {"word_probabilities": True}, {"heads": True}):
        with pytest.raises(UserError, match="CTranslate2 engine cannot .*; use the engine auto or torch"):
            fast.translate("cat", **options)


def test_every_text_has_a_translation_or_an_error(shipped):
    with pytest.raises(UserError, match="line 2"):
        shipped.translate(["Hello.", None, "Thank you."])
    for value in ("5", 5.5, [3]):
        with pytest.raises(UserError, match="n-best is"):
            shipped.translate("Hello.", n_best=value)
    assert len(shipped.translate("Hello.", n_best=np.int64(4)).hypotheses) == 4


def test_one_pair_is_aligned_as_a_list_of_one_is(shipped):
    pair = ("Where is the station?", "¿Dónde está la estación?")
    one, (listed,) = shipped.align(*pair), shipped.align([pair])
    assert one.links == listed.links and one.pharaoh == " ".join(f"{s}-{t}" for s, t in one.links)
    assert Aligner.load().align(*pair).links == one.links
    assert Aligner.load("tatoeba-en-es").align([pair])[0].links == one.links
    with pytest.raises(UserError, match="two sentences"):
        shipped.align("Where is the station?")


def test_a_result_plots_and_saves_itself(translator, tmp_path):
    result = translator.translate(ENGLISH[0], heads=True)
    assert result.plot()._repr_png_().startswith(b"\x89PNG")
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".html", b"<!doctype")):
        result.save(tmp_path / f"result{suffix}")
        assert (tmp_path / f"result{suffix}").read_bytes().lower().startswith(start.lower())
    result.save(tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result.as_dict()))
    with pytest.raises(UserError, match=".json"):
        result.save(tmp_path / "result.docx")
    for suffix in ("png", "json"):
        with pytest.raises(UserError, match="there is no directory"):
            result.save(tmp_path / "none" / f"result.{suffix}")
    assert not (tmp_path / "none").exists()


def test_heads_have_the_shapes_that_bertviz_documents(translator):
    """[batch 1, heads, rows, columns] for each layer; rows of decoder and cross-attention are decoder tokens."""
    given = translator.translate(ENGLISH[0], heads=True).heads.to_bertviz()
    source, target = len(given["encoder_tokens"]), len(given["decoder_tokens"])
    shapes = {"encoder": (source, source), "decoder": (target, target), "cross": (target, source)}
    for kind, shape in shapes.items():
        assert len(given[f"{kind}_attention"]) == 2
        assert all(tuple(layer.shape) == (1, 4, *shape) for layer in given[f"{kind}_attention"])
    assert given["decoder_tokens"][0] == "<s>" and given["encoder_tokens"][-1] == "</s>"


def test_bertviz_takes_them(translator):
    views = pytest.importorskip("bertviz")
    heads = translator.translate(ENGLISH[0], heads=True).heads
    for view in (views.head_view, views.model_view):
        page = view(**heads.to_bertviz(), html_action="return")
        assert all(json.dumps(piece.strip("▁"))[1:-1] in page.data for piece in heads.target_pieces)
