"""Runs with guided attention, placeholders and augmentation, from the corpus to the translator."""

import shutil

import numpy as np
import pytest
from toy import toy_config, toy_pairs
from toy_runs import fit, metadata, weights

from nmt import Translator
from nmt.alignment.links import attention_links
from nmt.alignment.pharaoh import format_links
from nmt.alignment.pieces import word_attention
from nmt.checkpoint import ALIGNER, KNOWN_WORDS
from nmt.training.log import read_log

STEPS, SAVED = 160, 40


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A toy corpus with gold links of its training pairs, in which the target reverses the source."""
    place = tmp_path_factory.mktemp("guided")
    training = {"max_steps": STEPS, "validate_every": SAVED, "batch_tokens": 256}
    augment = {"names": 0.2, "lower": 0.2, "unmarked": 0.2, "title": 0.1}
    toy_config(
        place,
        training=training,
        data={"augment": augment},
        subwords={"slots": True},
        alignment={"head": True, "minutes": 0.2, "links": str(place / "links.txt"), "guide_weight": 1.0},
    )
    pairs = [len(source.split()) for source, _ in toy_pairs(340)[60:]]
    links = (format_links([(words - 1 - target, target) for target in range(words)]) for words in pairs)
    (place / "links.txt").write_text("".join(f"{line}\n" for line in links))
    return place


@pytest.fixture(scope="module")
def whole(place):
    return fit(place, "whole")


def test_the_guided_head_is_shown_and_looks_where_the_links_lead(whole):
    assert metadata(whole)["alignment_layer"] == 1 and metadata(whole)["alignment_heads"] == [0]
    translator = Translator.load(whole, "torch")
    assert translator.checkpoint.attention_name == "cross-attention, layer 2, head 1 (guided)"
    right = total = 0
    for source, target in toy_pairs(340)[:20]:
        cross = translator.attention(source, target).cross[1, 0]  # [target pieces, source pieces]
        encoded = translator.subwords.encode(source)
        encodings = encoded, translator.subwords.encode_translation(target, encoded)
        for piece, words in enumerate(encodings[1].words_of_piece):
            mass = np.zeros(len(encodings[0].words))
            for column, own in enumerate(encodings[0].words_of_piece):
                mass[own] += cross[piece, column]
            right += mass.argmax() == len(mass) - 1 - words[0]
            total += 1
    assert right / total > 0.9, right / total


def test_augmented_pairs_are_counted_in_the_log(whole):
    counts = [record["augmented"] for record in read_log(whole) if record["kind"] == "train"]
    assert len(counts) > 1 and all(set(one) <= {"names", "lower", "unmarked", "title"} for one in counts)
    totals = {kind: sum(one.get(kind, 0) for one in counts) for kind in ("lower", "unmarked", "title")}
    assert totals["lower"] == pytest.approx(totals["unmarked"], rel=0.2)
    assert totals["title"] == pytest.approx(totals["lower"] / 2, rel=0.3)


def test_attention_is_the_guided_heads_and_links_are_the_alignment_heads(whole):
    translator = Translator.load(whole)
    sources = [source for source, _ in toy_pairs(340)[:9]]
    fast = translator.translate(sources, beam=3, n_best=3)
    assert [result.text for result in fast] == [
        result.text for result in translator.translate(sources, heads=True, beam=3)
    ]
    for result, other in zip(translator.translate(sources, beam=3, n_best=3, heads=True), fast, strict=True):
        for hypothesis, same in zip(result.hypotheses, other.hypotheses, strict=True):
            members = hypothesis.source_word_of_piece, hypothesis.target_word_of_piece[:-1]
            sizes = len(hypothesis.source_words), len(hypothesis.target_words)
            expected = word_attention(hypothesis.heads.cross[1, 0, :-1], *members, *sizes)
            np.testing.assert_allclose(hypothesis.attention, expected, atol=1e-5)
            if same.text == hypothesis.text:  # the last of CTranslate2's list may be others
                np.testing.assert_allclose(same.attention, expected, atol=1e-3)
            pair = translator.align(hypothesis.source, hypothesis.text)
            assert hypothesis.alignment == pair.links
            np.testing.assert_allclose(hypothesis.link_probabilities, pair.probabilities, atol=1e-6)


def test_a_resumed_run_ends_in_the_same_weights(place, whole):
    directory = place / "resumed"
    shutil.copytree(whole, directory)
    for state in sorted((directory / "training").glob("step-*"))[1:]:
        shutil.rmtree(state)
    (directory / ALIGNER).unlink()  # comes back from the state, and the guide with it
    (directory / KNOWN_WORDS).unlink()
    fit(place, "resumed", resume=True)
    assert weights(directory) == weights(whole)
    assert (directory / KNOWN_WORDS).read_bytes() == (whole / KNOWN_WORDS).read_bytes()


def test_another_run_begins_with_its_weights(place, whole):
    directory = fit(place, "second", f"training.initial={whole}", "training.max_steps=1", "training.learning_rate=1e-9")
    first, second = (Translator.load(one, "torch") for one in (whole, directory))
    sentences = [source for source, _ in toy_pairs(340)[:9]]
    assert [one.text for one in second.translate(sentences)] == [one.text for one in first.translate(sentences)]
    assert (directory / ALIGNER).read_bytes() == (whole / ALIGNER).read_bytes()
    assert metadata(directory)["initial"] == metadata(whole)["files"]["weights.safetensors"]


def test_a_run_ends_without_the_checkpoint_that_it_began_with(place, whole):
    begun = shutil.copytree(whole, place / "begun")
    override = f"training.initial={begun}"
    fit(place, "third", override, "training.max_steps=1", "training.learning_rate=1e-9")
    shutil.rmtree(begun)
    directory = fit(place, "third", override, "training.max_steps=2", "training.learning_rate=1e-9", resume=True)
    assert metadata(directory)["initial"] == metadata(whole)["files"]["weights.safetensors"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("alignment.head=false", "needs the alignment head"),
        ("subwords.sampling=0.2", "exclude each other"),
        ("alignment.guided_heads=9", "above model.heads"),
    ],
)
def test_what_does_not_fit_together_is_refused(place, command, override, words):
    status, _, lines = command("train")(place / "run.yaml", f"checkpoint={place / 'no'}", override)
    assert status == 2 and words in lines[-1] and not (place / "no").exists()


def test_a_network_of_another_shape_does_not_begin_with_these_weights(place, whole, command):
    arguments = [place / "run.yaml", f"checkpoint={place / 'other'}", f"training.initial={whole}", "model.width=16"]
    status, _, lines = command("train")(*arguments)
    assert status == 2 and "training.initial" in lines[-1] and "model" in lines[-1]


def test_without_a_head_links_are_read_off_attention(whole):
    translator = Translator.load(whole)
    translator.aligner = None  # as a checkpoint without a head
    result = translator.translate("3 1 4")
    assert result.alignment == attention_links(result.attention) and result.link_probabilities is None
