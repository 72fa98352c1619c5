"""Confidence: the logistic fit, that it is monotone, where it is shown, and the warning."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import Command
from hypothesis import given, settings
from hypothesis import strategies as st
from inspection_samples import ENGLISH as WORDS
from inspection_samples import synthetic_translation
from tiny import ENGLISH, SPANISH, tiny_subwords

from nmt import Translator, UserError
from nmt.checkpoint import METADATA, write_checkpoint_metadata
from nmt.cli.translate import main
from nmt.confidence import (
    INTERCEPT,
    LOW,
    SIGNS,
    WORD_INTERCEPT,
    WORD_SIGNS,
    Calibration,
    agreement,
    doubtful,
    evidence_of,
    in_words,
    looks_foreign,
    posteriors,
)
from nmt.confidence_fit import FEWEST, calibrate_checkpoint, fit, fit_logistic, roc_auc, scrambled
from nmt.inspection.explorer import page_data
from nmt.inspection.figures import alignment_figure
from nmt.inspection.terminal import marked_text, render_alignment
from nmt.joining import joined_confidence
from nmt.search.options import Hypothesis, n_best_of
from nmt.text.names import KnownWords
from nmt.translation import Translation

RANDOM = np.random.default_rng(5)


def calibrated(checkpoint, place, weights):
    """A copy of the checkpoint with these weights."""
    shutil.copytree(checkpoint, place)
    record = json.loads((place / METADATA).read_text())
    write_checkpoint_metadata(place, record | {"confidence": weights})
    return place


def test_newtons_method_finds_the_minimum_that_gradient_descent_finds():
    values = RANDOM.normal(size=(300, 4))
    chances = 1 / (1 + np.exp(-(values @ [1.5, -2.0, 0.0, 0.3] + 1)))
    labels = (RANDOM.random(300) < chances).astype(float)
    design, weights = np.column_stack([values, np.ones(300)]), np.zeros(5)
    for _ in range(20_000):
        found = 1 / (1 + np.exp(-design @ weights))
        weights -= 0.01 * (design.T @ (found - labels) + 2.0 * np.append(weights[:4], 0))
    np.testing.assert_allclose(fit_logistic(values, labels, ridge=2.0), weights, atol=1e-8)


def test_a_fit_of_labels_that_one_value_separates_is_finite():
    values = np.repeat([[-1.0], [1.0]], 50, axis=0)
    weights = fit_logistic(values, (values[:, 0] > 0).astype(float))
    assert np.isfinite(weights).all() and weights[0] > 1 and abs(weights[1]) < 1e-6


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_area_under_the_curve_is_the_share_of_pairs_in_order(scored):
    scores, positive = np.array([one[0] for one in scored]), np.array([one[1] for one in scored])
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    if pairs:
        assert roc_auc(scores, positive) == pytest.approx(np.mean(pairs))
    else:
        assert np.isnan(roc_auc(scores, positive))


def sample_rows(count: int = 400):
    """Evidence that tells by agreement, and the truth."""
    rows = [{name: float(RANDOM.random()) for name in SIGNS} for _ in range(count)]
    good = np.array([row["agreement"] + 0.2 * RANDOM.normal() > 0.4 for row in rows])
    return rows, good


def test_confidence_rises_and_falls_as_the_signs_say():
    rows, good = sample_rows()
    calibration = fit(rows, good)
    assert roc_auc(np.array([calibration(row) for row in rows]), good) > 0.85
    assert calibration.weights["agreement"] > 1
    for name, sign in SIGNS.items():
        values = [calibration({**rows[0], name: value}) for value in (0.0, 0.3, 0.9)]
        assert values == sorted(values, reverse=sign < 0)
    assert np.mean([calibration(row) for row in rows]) == pytest.approx(good.mean(), abs=0.01)


def test_too_few_sentences_and_evidence_that_does_not_vary():
    rows, good = sample_rows()
    assert fit(rows[: FEWEST[0] - 1], good[: FEWEST[0] - 1]) is None
    assert fit(rows, np.ones(len(rows), bool)) is None
    same = [row | {"letters": 0.5} for row in rows]
    without = [{name: value for name, value in row.items() if name != "letters"} for row in rows]
    assert fit(same, good).weights.keys() == fit(without, good).weights.keys()
    assert "letters" not in fit(same, good).weights


@settings(max_examples=30)
@given(
    weights=st.dictionaries(st.sampled_from([INTERCEPT, *SIGNS]), st.floats(-1e9, 1e9), min_size=1),
    evidence=st.dictionaries(st.sampled_from(list(SIGNS)), st.floats(-50, 50)),
)
def test_confidence_is_a_probability(weights, evidence):
    assert 0 <= Calibration.of(weights)(evidence) <= 1


def test_evidence_of_another_version_gives_no_confidence():
    assert Calibration.of(None) is None and Calibration.of({}) is None
    assert Calibration.of({INTERCEPT: 1.0, "moon_phase": 2.0}) is None


def test_the_evidence_of_one_sentence():
    subwords = tiny_subwords()
    knowing = subwords.with_slots(KnownWords(["left", "his", "here"]))
    source, target = subwords.encode("Tom left his perro here."), subwords.encode("Tom perro.")
    best = Hypothesis(target.ids, -6.0, -1.0)
    found, words = evidence_of(source, target, best, [(0, 0), (3, 1)], np.array([[1.0], [0.5], [0.0]]), knowing)
    assert set(found) == set(SIGNS)
    assert found["surprise"] ** 2 == pytest.approx(6 / 11) and found["letters"] == np.log(11)  # a space begins it
    assert found["agreement"] == 1 and found["unknown"] == 2 / 5
    by_name = dict(zip(WORD_SIGNS, words.T.tolist(), strict=True))
    assert by_name["word_posterior"] == [1, 1, 1] and by_name["word_link"] == [1, 0.5, 0]
    assert by_name["word_log_probability"] == [-6 / (len(target.ids) + 1)] * 3
    assert by_name["word_unknown"] == [1, 1, 0]  # Tom and perro
    pieces = [sum(number in own for own in target.words_of_piece) for number in range(3)]
    assert by_name["word_pieces"] == pieces and by_name["word_letters"] == pytest.approx(np.log([3, 5, 1]))
    for log_probability in (-np.inf, 1e-7):  # an engine's rounding
        bare, words = evidence_of(source, target, Hypothesis(target.ids, log_probability, 0), None, None, subwords)
        assert set(bare) == set(SIGNS) - {"unknown"}
        assert np.isfinite(list(bare.values())).all() and np.isfinite(words).all()


def test_agreement_is_the_share_of_letters_in_a_row_in_common():
    assert agreement("▁abcd", ["▁abce"], [-1.0]) == pytest.approx(2 / 3)  # ▁ab and abc, of three on each side
    assert agreement("▁abcd", ["▁abce", "▁xyz"], np.log([0.3, 0.1])) == pytest.approx(0.75 * 2 / 3)
    assert agreement("▁abcd", ["▁abcd"], [-9.0]) == 1 and agreement("▁abcd", ["▁xyz"], [-np.inf]) == 0
    assert agreement("▁abcd", [], []) == agreement("", [""], [-1.0]) == 1


def test_both_engines_find_the_same_evidence_however_many_hypotheses_are_asked_for(tiny_checkpoint):
    engines = [Translator.load(tiny_checkpoint, engine, 1) for engine in ("torch", "ctranslate2")]
    for text in ENGLISH:
        found = [engine.translate(text, n_best=n_best, one_sentence=True) for engine in engines for n_best in (1, 3)]
        for one in found[1:]:
            assert one.text == found[0].text and one.evidence == pytest.approx(found[0].evidence, abs=1e-3)
            np.testing.assert_allclose(one.word_evidence, found[0].word_evidence, atol=1e-3)


def test_posteriors_are_the_share_of_the_hypotheses_that_have_a_piece():
    found = [Hypothesis([5, 6, 7], np.log(0.4), 0), Hypothesis([5, 8], np.log(0.2), 0), Hypothesis([7], np.log(0.2), 0)]
    first, second = n_best_of(found, 2)
    assert posteriors(first) == pytest.approx([0.75, 0.5, 0.75])
    assert posteriors(second) == pytest.approx([0.75, 0.25])
    assert posteriors(Hypothesis([5], -np.inf, 0)) == [1.0]


@pytest.mark.parametrize("text", ["", "!", "😀 https://example.org", "   ", "\u200b", "日本"])
def test_evidence_of_odd_lines_is_finite(text):
    encoding = tiny_subwords().encode(text)
    best = Hypothesis(encoding.ids, -1.0, -1.0)
    knowing = tiny_subwords().with_slots(KnownWords([]))
    found, words = evidence_of(encoding, encoding, best, [], np.zeros((len(encoding.words), 0)), knowing)
    assert np.isfinite(list(found.values())).all() and np.isfinite(words).all()
    assert words.shape == (len(encoding.words), len(WORD_SIGNS))


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_every_word_has_its_confidence(tiny_checkpoint, tmp_path, engine):
    weights = {INTERCEPT: 1.0, WORD_INTERCEPT: -1.0, "word_posterior": 2.0, "word_log_probability": 0.1}
    translator = Translator.load(calibrated(tiny_checkpoint, tmp_path / "own", weights), engine, 1)
    result = translator.translate(ENGLISH[0], n_best=2)
    for one in result.hypotheses:
        assert one.word_confidence == Calibration(weights).words(one.word_evidence)
        assert len(one.word_confidence) == len(one.target_words)
    assert min(min(one.word_evidence[:, 0], default=1) for one in result.hypotheses) < 1  # the two differ in a word
    assert result.as_dict()["word_confidence"] == result.word_confidence
    text = f"{ENGLISH[0]} {ENGLISH[1]}"
    alone = [one.word_confidence for one in translator.translate(ENGLISH[:2])]
    assert translator.translate(text).word_confidence == pytest.approx(sum(alone, []), abs=1e-3)
    link = translator.translate(f"https://example.org {ENGLISH[0]}", one_sentence=True)
    assert len(link.word_confidence) == len(link.target_words) and link.word_confidence[0] == 1
    assert translator.translate("  ").word_confidence is None


@pytest.mark.parametrize("engine", ["torch", "ctranslate2"])
def test_a_calibrated_checkpoint_gives_confidence_everywhere(tiny_checkpoint, tmp_path, engine):
    place = calibrated(tiny_checkpoint, tmp_path / "own", {INTERCEPT: 2.0, "surprise": -1.0})
    translator = Translator.load(place, engine, 1)
    result = translator.translate(ENGLISH[0], n_best=2)
    assert result.confidence == Calibration({INTERCEPT: 2.0, "surprise": -1.0})(result.evidence)
    assert result.as_dict()["confidence"] == result.confidence
    for one in result.hypotheses:
        assert one.confidence == Calibration({INTERCEPT: 2.0, "surprise": -1.0})(one.evidence)
    assert translator.translate(ENGLISH[0], attention=False).confidence == pytest.approx(result.confidence, abs=1e-4)
    alone = [one.confidence for one in translator.translate(ENGLISH[:2])]
    together = translator.translate(" ".join(ENGLISH[:2])).confidence
    assert min(alone) - 1e-4 <= together <= max(alone) + 1e-4
    assert translator.translate("  ").confidence is None
    assert "confidence" not in translator.translate("  ").as_dict()


def test_without_calibration_there_is_no_confidence(tiny_checkpoint):
    result = Translator.load(tiny_checkpoint, threads=1).translate(ENGLISH[0])
    assert result.confidence is None and "confidence" not in result.as_dict()
    assert not looks_foreign(result) and "confidence" not in render_alignment(result)


@pytest.mark.parametrize("weights", [[1.0], "high", {"surprise": "1"}, {"surprise": 1e30}])
def test_weights_that_are_none_are_refused(tiny_checkpoint, tmp_path, weights):
    with pytest.raises(UserError, match="see confidence"):
        Translator.load(calibrated(tiny_checkpoint, tmp_path / "own", weights))


def test_the_mean_of_parts():
    def part(words: int, confidence, evidence):
        return Translation("", "", 0.0, [], ["w"] * words, None, None, confidence=confidence, evidence=evidence)

    whole = joined_confidence([part(1, 0.0, {"letters": 0.0}), part(3, 1.0, {"letters": 1.0})])
    assert whole == (0.75, {"letters": 0.75})
    assert joined_confidence([part(1, None, {"letters": 1.0})]) == (None, {"letters": 1.0})
    assert joined_confidence([part(0, None, None)]) == (None, None)


@pytest.fixture
def translate(monkeypatch, capfd) -> Command:
    return Command("nmt-translate", main, monkeypatch, capfd)


def test_one_warning_for_all_lines_that_look_foreign(translate, tiny_checkpoint, tmp_path):
    low = calibrated(tiny_checkpoint, tmp_path / "low", {INTERCEPT: -1.0})
    high = calibrated(tiny_checkpoint, tmp_path / "high", {INTERCEPT: 1.0})
    ended = translate("--checkpoint", low, *SPANISH[:2], " ")
    assert ended.status == 0 and len(ended.output.splitlines()) == 3
    (line,) = ended.errors
    assert line.startswith("nmt-translate: warning: 2 of 3 lines look unlike en,") and "line 1 first" in line
    (line,) = translate("--checkpoint", low, " ", SPANISH[0]).errors
    assert line.startswith("nmt-translate: warning: line 2 looks unlike en,")
    assert translate("--checkpoint", high, *SPANISH[:2]).errors == []
    assert translate("--checkpoint", tiny_checkpoint, *SPANISH[:2]).errors == []
    found = json.loads(translate("--checkpoint", high, "--format", "json", ENGLISH[0]).output)
    assert found["confidence"] == pytest.approx(1 / (1 + np.exp(-1)))
    shown = translate("--checkpoint", high, "--show", "alignment", ENGLISH[0]).output
    assert shown.rstrip().endswith("confidence 0.73")


def test_known_words_save_a_poor_translation_from_the_warning():
    def one(confidence: float, unknown: float) -> Translation:
        evidence = {"unknown": unknown}
        return Translation("", "", 0.0, [], [], None, None, confidence=confidence, evidence=evidence)

    assert looks_foreign(one(0.1, 1.0)) and not looks_foreign(one(0.1, 0.0)) and not looks_foreign(one(0.9, 1.0))


def test_the_mark_says_low():
    assert in_words(0.312) == "confidence 0.31 (low)" and in_words(LOW) == "confidence 0.50"
    translation = replace(synthetic_translation(WORDS[:5], ["a", "b"], layers=0), confidence=0.2)
    assert render_alignment(translation, 80).splitlines()[-1] == "confidence 0.20 (low)"
    assert "confidence" not in render_alignment(translation, 12)


def test_doubtful_words_are_marked():
    translation = synthetic_translation(WORDS[:5], ["uno", "dos"], layers=0)
    translation = replace(translation, text="uno dos", confidence=0.9, word_confidence=[0.9, 0.1])
    assert (
        doubtful(translation) == [False, True] and doubtful(replace(translation, word_confidence=None)) == [False] * 2
    )
    assert marked_text(translation) == "uno \x1b[4mdos\x1b[0m"
    low = replace(translation, confidence=0.2, word_confidence=None)
    assert marked_text(low) == "uno dos  \x1b[2m(confidence 0.20 (low))\x1b[0m"
    drawn = render_alignment(translation, 80)
    assert "dos? " in drawn and "uno? " not in drawn and "? doubtful: word confidence below 0.3" in drawn
    assert "\x1b[2m?\x1b[0m" in render_alignment(translation, 80, colour=True)
    assert "doubtful" not in render_alignment(low, 80)
    figure = alignment_figure(translation)
    assert "dos ?" in [text.get_text() for text in figure.axes[0].texts]
    assert "confidence 0.90" in [text.get_text() for text in figure.legends[0].get_texts()]
    (stored,) = page_data([translation])["sentences"][0]["hypotheses"]
    assert stored["doubtful"] == [1] and stored["confidence"] == "confidence 0.90"


def test_scrambled_words_keep_their_lengths_and_their_seed():
    text = "The old boat leaves."
    assert [len(word) for word in scrambled(text, 1).split()] == [3, 3, 4, 6, 1]
    assert scrambled(text, 1) == scrambled(text, 1) != scrambled(text, 2)


def test_calibration_on_pairs(tiny_checkpoint, tmp_path):
    import datasets

    place = tmp_path / "own"
    shutil.copytree(tiny_checkpoint, place)
    before = (place / METADATA).read_text()
    few = datasets.Dataset.from_dict({"source": ENGLISH, "target": SPANISH})
    assert calibrate_checkpoint(place, few, 1) is None and (place / METADATA).read_text() == before
    # Half learned by heart, and half of them with each other's translations.
    sources = [f"{text} {number}" if number else text for number in range(20) for text in ENGLISH]
    targets = [text for number in range(20) for text in (SPANISH if number < 10 else [*SPANISH[1:], SPANISH[0]])]
    many = datasets.Dataset.from_dict({"source": sources, "target": targets})
    calibration = calibrate_checkpoint(place, many, 1)
    assert Translator.load(place, threads=1).checkpoint.metadata.confidence == calibration.weights
    assert {INTERCEPT, WORD_INTERCEPT} <= set(calibration.weights)
