"""Guided attention: the guide over pieces, its loss, and that augmented pairs keep it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import SENTENCES, tiny_subwords

from nmt.alignment.pieces import word_attention
from nmt.config import AugmentConfig
from nmt.config.model import ModelConfig
from nmt.models import build_model
from nmt.text.slots import NAMES, NUMBERS, KnownWords, fill
from nmt.training.augment import Augmenter, Example, numerals, recased, without_marks, words_left
from nmt.training.guidance import over_pieces, word_ranges
from nmt.training.loss import Objective, batch_loss, guided_cross_entropy
from nmt.training.pairs import make_batch

SUBWORDS = tiny_subwords()
SIZES = st.lists(st.integers(1, 3), min_size=1, max_size=5)


def ranges(sizes: list[int]) -> np.ndarray:
    """A piece range for each piece: word w has sizes[w] pieces."""
    return np.array([(word, word + 1) for word, size in enumerate(sizes) for _ in range(size)], np.uint16)


@given(SIZES, SIZES, st.integers(0, 2**31))
def test_spreading_over_pieces_is_the_inverse_of_attention_over_words(source, target, seed):
    matrix = np.random.default_rng(seed).random((len(target), len(source))).astype(np.float32)
    matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    guide = over_pieces(matrix, ranges(source), ranges(target))
    np.testing.assert_allclose(guide.sum(axis=1), 1, atol=1e-5)
    assert guide[-1, -1] == 1
    members = [[[word] for word, size in enumerate(sizes) for _ in range(size)] for sizes in (source, target)]
    back = word_attention(guide[:-1], [*members[0], []], members[1], len(source), len(target))
    np.testing.assert_allclose(back[:, :-1], matrix, atol=1e-5)


@given(st.sampled_from(SENTENCES) | st.text(max_size=20))
def test_ranges_are_the_words_of_each_piece(text):
    encoding = SUBWORDS.encode(text)
    found = [list(range(first, end)) for first, end in word_ranges(encoding)]
    assert found == encoding.words_of_piece


def test_a_piece_of_several_words_has_their_mean_and_their_sum():
    matrix = np.array([[0.5, 0.5, 0], [0, 0, 1]], np.float32)
    both = np.array([(0, 2)], np.uint16)
    guide = over_pieces(matrix, np.array([(0, 2), (2, 3)], np.uint16), both)
    np.testing.assert_allclose(guide, [[0.5, 0.5, 0], [0, 0, 1]])


def test_the_loss_is_a_cross_entropy():
    weights = torch.rand(2, 3, 4, 5).softmax(-1)
    guide = torch.rand(2, 4, 5).softmax(-1)
    guide[1, 2:] = 0  # padding
    slow = 0.0
    for sentence in range(2):
        for head in range(3):
            for row in range(4 if sentence == 0 else 2):
                slow += torch.nn.functional.cross_entropy(weights[sentence, head, row].log(), guide[sentence, row]) / 3
    assert guided_cross_entropy(weights, guide).item() == pytest.approx(float(slow), rel=1e-5)


@pytest.mark.parametrize("kind", ["transformer", "rnnsearch"])
@pytest.mark.parametrize("r_drop", [0.0, 1.0])
def test_the_guided_head_learns_where_to_look_and_the_others_are_free(kind, r_drop):
    torch.manual_seed(1)
    sizes = {"feed_forward": 32, "encoder_layers": 1, "decoder_layers": 2} if kind == "transformer" else {}
    config = ModelConfig(type=kind, width=32, **sizes)
    model = build_model(config, 40)
    sentences = [[7, 8, 9, 10], [11, 12, 13]]
    guides = [np.eye(len(one) + 1, dtype=np.float32)[::-1].copy() for one in sentences]  # backwards
    batch = make_batch(sentences, sentences, guides)
    layer = config.decoder_layers - 1
    objective = Objective(r_drop=r_drop, guide_weight=1.0, guided_layer=layer)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        batch_loss(model, batch, objective).backward()
        optimizer.step()
    model.eval()
    memory, mask, _ = model.encode(batch.source, batch.source_lengths)
    _, _, cross = model.decode(batch.target_input, memory, mask, with_weights=True, layer=layer)
    assert len(cross) == 1
    for sentence, guide in enumerate(guides):
        size = len(guide)
        looks = cross[0][sentence, :, :size, :size]
        assert (looks[0].argmax(-1) == torch.from_numpy(guide).argmax(-1)).all() and looks[0].max(-1).values.min() > 0.7
    # Without a guide the same objective is the plain loss.
    plain = batch._replace(guide=None)
    assert batch_loss(model, plain, objective).item() == batch_loss(model, plain, Objective(r_drop=r_drop)).item()


KNOWN = KnownWords(["I", "saw", "have", "books", "at", "and", "three", "Tom", "Where", "is"])


def test_slots_stand_on_both_sides_for_what_both_share():
    augmenter = Augmenter(AugmentConfig(), ("en", "es"), KNOWN)
    random = np.random.default_rng(1)
    example = augmenter.example(("Tom saw Zork at 10:30.", "Tom vio a Zork a las 10:30."), [False] * 5, random)
    assert [example.source[s.start : s.end] for s in example.source_slots] == ["Zork", "10:30"]
    assert [s.character for s in example.source_slots] == [s.character for s in example.target_slots]
    all_names = augmenter.example(("Tom saw Zork.", "Tom vio a Zork."), [True, *[False] * 4], random)
    assert {s.character for s in all_names.source_slots} <= set(NAMES) and len(all_names.source_slots) == 2
    words = augmenter.example(("I have three books.", "Tengo tres libros."), [False, True, *[False] * 3], random)
    number = words.source_slots[0].character
    assert number in NUMBERS
    assert fill(words.source, words.source_slots)[0] == f"I have {number} books."
    assert fill(words.target, words.target_slots)[0] == f"Tengo {number} libros."


def test_numbers_are_matched_by_their_value():
    augmenter = Augmenter(AugmentConfig(), ("en", "es"), KNOWN)
    for source, target in (("I have 19.", "Tengo diecinueve."), ("I have 3,000.", "Tengo 3.000.")):
        example = augmenter.example((source, target), [False] * 5, np.random.default_rng(1))
        assert len(example.source_slots) == len(example.target_slots) == 1
    assert numerals("en")["thirty-one"] == "31" and numerals("es")["dos"] == "2" and numerals("xx") == {}


def test_what_is_drawn_depends_on_the_seed_alone_and_only_candidates_have_slots():
    augmenter = Augmenter(AugmentConfig(names=1.0, numbers=1.0, lower=0.5), ("en", "es"), KNOWN)
    pairs = [("Tom saw.", "Tom vio."), ("I saw.", "Vi."), ("I have three.", "Tengo tres."), ("I saw Zork.", "Vi Zork.")]
    candidates = augmenter.candidates(pairs)
    assert candidates.tolist() == [
        [False, True, False],
        [False, False, False],
        [False, False, True],
        [True, False, False],
    ]
    first, again = (augmenter.draw(candidates, np.random.default_rng(5)) for _ in range(2))
    assert (first == again).all() and first[:, :2].tolist() == candidates[:, 1:].tolist()


def test_lost_marks_are_counted():
    example = without_marks(Example("¿Dónde está Zork?", "Where is Zork?"))
    assert example.source == "Dónde está Zork" and words_left(example) == range(1, 4)
    assert words_left(Example("a b.", "c")) == range(3)
    assert without_marks(Example("?!", "x")).source == "?!"


def test_another_case_moves_no_character():
    assert recased(Example("İstanbul", "x"), str.lower).source == "İstanbul"  # its lower case is longer
    assert recased(Example("Tom", "x"), str.lower).source == "tom"
