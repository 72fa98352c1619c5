"""Guided attention: the guide over pieces, its loss, and that augmented pairs keep it."""

import itertools

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
from nmt.text.names import KnownWords
from nmt.text.slots import NAMES, NUMBERS, Slot, fill
from nmt.text.words import split_words
from nmt.training.augment import (
    Augmenter,
    Example,
    numerals,
    phrase,
    recased,
    with_other_mark,
    with_typos,
    without_accents,
    without_marks,
)
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
    # A copied word between two of a piece is in its range.
    expected = [list(range(words[0], words[-1] + 1)) if words else [] for words in encoding.words_of_piece]
    assert found == expected


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
    example = augmenter.example(("Tom saw Zork at 10:30.", "Tom vio a Zork a las 10:30."), set(), random)
    assert [example.source[s.start : s.end] for s in example.source_slots] == ["Zork", "10:30"]
    assert [s.character for s in example.source_slots] == [s.character for s in example.target_slots]
    all_names = augmenter.example(("Tom saw Zork.", "Tom vio a Zork."), {"names"}, random)
    assert {s.character for s in all_names.source_slots} <= set(NAMES) and len(all_names.source_slots) == 2
    words = augmenter.example(("I have three books.", "Tengo tres libros."), {"numbers"}, random)
    number = words.source_slots[0].character
    assert number in NUMBERS
    assert fill(words.source, words.source_slots)[0] == f"I have {number} books."
    assert fill(words.target, words.target_slots)[0] == f"Tengo {number} libros."


def test_numbers_are_matched_by_their_value():
    augmenter = Augmenter(AugmentConfig(), ("en", "es"), KNOWN)
    for source, target in (("I have 19.", "Tengo diecinueve."), ("I have 3,000.", "Tengo 3.000.")):
        example = augmenter.example((source, target), set(), np.random.default_rng(1))
        assert len(example.source_slots) == len(example.target_slots) == 1
    assert numerals("en")["thirty-one"] == "31" and numerals("es")["dos"] == "2" and numerals("xx") == {}


def test_what_is_drawn_depends_on_the_seed_alone_and_only_candidates_have_slots():
    augmenter = Augmenter(AugmentConfig(names=1.0, numbers=1.0, lower=0.5), ("en", "es"), KNOWN)
    pairs = [("Tom saw.", "Tom vio."), ("I saw.", "Vi."), ("I have three.", "Tengo tres."), ("I saw Zork.", "Vi Zork.")]
    slots = augmenter.count_slots(pairs)
    assert slots.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 0]]
    first, again = (augmenter.draw(slots, np.random.default_rng(5)) for _ in range(2))
    assert (first == again).all() and first[:, :2].tolist() == (slots[:, 1:] > 0).tolist()


def test_links_of_lost_marks_are_lost():
    links = np.arange(20.0).reshape(4, 5)
    example = without_marks(Example("¿Dónde está Zork?", "Where is Zork?", links=links))
    assert example.source == "Dónde está Zork" and example.links.tolist() == links[:, 1:4].tolist()
    assert without_marks(Example("a b.", "c")).links is None


@pytest.mark.parametrize(
    ("statement", "exclamation"),
    [
        (("Welcome.", "Bienvenido."), ("Welcome!", "¡Bienvenido!")),
        (("Tom saw Zork.", "Tom vio a Zork."), ("Tom saw Zork!", "¡Tom vio a Zork!")),
    ],
)
def test_marks_change_on_both_sides_and_back(statement, exclamation):
    """Slots stand over the same text and the links of words stay with these."""
    slots = [[Slot(text.index(name), text.index(name) + len(name), NAMES[0]) for name in ("Zork",) if name in text]
             for text in statement]  # fmt: skip
    words = [[word.text for word in split_words(text)] for text in statement]
    links = np.random.default_rng(1).random((len(words[1]), len(words[0])), np.float32)
    changed = with_other_mark(Example(*statement, *slots, links), ("en", "es"))
    assert (changed.source, changed.target) == exclamation
    for text, moved in ((changed.source, changed.source_slots), (changed.target, changed.target_slots)):
        assert [text[slot.start : slot.end] for slot in moved] == ["Zork"] * len(moved)
    assert changed.links.shape == tuple(len(split_words(text)) for text in (changed.target, changed.source))
    assert (changed.links[1:-1, :-1] == links[:-1, :-1]).all() and (changed.links[0] == links[-1]).all()
    back = with_other_mark(changed, ("en", "es"))
    assert (back.source, back.target) == statement and (back.links == links).all()
    assert (back.source_slots, back.target_slots) == tuple(slots)


@pytest.mark.parametrize("pair", [("Is it?", "¿Sí?"), ("Go. Now.", "Ve. Ya."), ("Go!", "Ve."), ("Well...", "Pues...")])
def test_marks_of_other_pairs_stay(pair):
    example = Example(*pair)
    assert with_other_mark(example, ("en", "es")) is example


def test_accents_and_apostrophes_are_left_out():
    assert without_accents(Example("¿Qué año?", "What year?")).source == "¿Que ano?"
    assert without_accents(Example("I don't.", "No.")).source == "I dont."
    slots = [Slot(11, 15, NAMES[0])]
    kept = without_accents(Example("Él's: don't Zork.", "x", slots))
    assert kept.source == "El's: don't Zork." and kept.source_slots == slots
    assert without_accents(Example("ｶﾞ", "x")).source in ("ｶﾞ",)


def typing_errors(first: str, second: str) -> int:
    """Optimal string alignment: letters inserted, left out, replaced, and neighbours swapped."""
    if not first or not second:
        return len(first) + len(second)
    found = [
        typing_errors(first[1:], second) + 1,
        typing_errors(first, second[1:]) + 1,
        typing_errors(first[1:], second[1:]) + (first[0] != second[0]),
    ]
    if len(first) > 1 and len(second) > 1 and first[1::-1] == second[:2]:
        found.append(typing_errors(first[2:], second[2:]) + 1)
    return min(found)


def test_typos_are_in_one_or_two_words_that_are_no_names():
    text = "Tom went home with Zork, because they were late."
    slots = [Slot(text.index("Zork"), text.index(","), NAMES[0])]
    words = [word.text for word in split_words(text)]
    random = np.random.default_rng(1)
    seen = set()
    for _ in range(300):
        changed = with_typos(Example(text, "x", slots), {"hone", "worm"}, random)
        (slot,) = changed.source_slots
        assert changed.source[slot.start : slot.end] == "Zork"
        now = [word.text for word in split_words(changed.source)]
        differing = [pair for pair in zip(words, now, strict=True) if pair[0] != pair[1]]
        assert len(differing) <= 2
        for word, typed in differing:
            assert word in {"went", "home", "with", "because", "they", "were", "late"}
            assert typing_errors(word, typed) == 1 and typed not in {"hone", "worm"}
        seen.update(typed for _, typed in differing)
    assert {"becuase", "becase", "hoem", "wiht", "latte"} <= seen
    assert with_typos(Example("Zork, 1234!", "x"), (), random).source == "Zork, 1234!"


def test_phrases_are_linked_to_each_other_alone():
    """Every phrase is one of those that the definition of Koehn et al. (2003) allows, and each of these comes up."""
    pair = "I saw the old station yesterday", "Ayer vi la vieja estación"
    points = {(0, 5), (1, 1), (2, 2), (3, 3), (4, 4)}
    links = np.zeros((5, 6), np.float32)
    for point in points:
        links[point] = 0.95
    words = [text.split() for text in pair]
    allowed = set()
    for first, last in itertools.combinations(range(7), 2):
        targets = {row for row, column in points if first <= column < last}
        if last - first > 3 or {column for row, column in points if row in targets} != set(range(first, last)):
            continue
        if targets == set(range(min(targets), max(targets) + 1)):
            allowed.add((" ".join(words[0][first:last]), " ".join(words[1][min(targets) : max(targets) + 1])))
    random = np.random.default_rng(1)
    found = [phrase(pair, links, random) for _ in range(3000)]
    drawn = {(part.source.rstrip(".").lower(), part.target.rstrip(".").lower()) for part in found if part}
    assert drawn == {(source.lower(), target.lower()) for source, target in allowed}
    for part in filter(None, found):
        assert part.links.shape == tuple(len(split_words(text)) for text in (part.target, part.source))
        assert part.source.endswith(".") == part.target.endswith(".")
        assert (np.count_nonzero(part.links, axis=0) == 1).all() and (np.count_nonzero(part.links, axis=1) == 1).all()


def test_a_doubtful_link_makes_no_phrase():
    assert phrase(("cats", "gatos"), np.array([[0.5]], np.float32), np.random.default_rng(1)) is None
    links = np.array([[0.95, 0.2], [0, 0.95]], np.float32)
    found = (phrase(("old cats", "gatos viejos"), links, np.random.default_rng(seed)) for seed in range(50))
    assert not any(found)


def test_another_case_moves_no_character():
    assert recased(Example("İstanbul", "x"), str.lower).source == "İstanbul"  # its lower case is longer
    assert recased(Example("Tom", "x"), str.lower).source == "tom"
