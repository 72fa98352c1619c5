"""What the experiments measure attention with, against slow and obvious ways of measuring the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from tiny import ENGLISH, SPANISH, learned_model, tiny_config, tiny_subwords

from nmt.alignment.error_rate import GoldPair
from nmt.alignment.links import argmax_links
from nmt.alignment.pieces import over_words
from nmt.models.attention import MultiHeadAttention
from nmt.text.subwords import END, START
from nmt.translation import AttentionMaps
from nmt.translator import Translator
from scripts.experiments import fixed_vector, heads
from scripts.experiments.common import effects, habits, softness, timing


@pytest.fixture(scope="module")
def trained():
    subwords = tiny_subwords()
    return learned_model(tiny_config(), subwords, steps=40), subwords


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=2, max_size=9))
def test_kendalls_tau_is_that_of_a_count_over_pairs(rows):
    agree = differ = first_apart = second_apart = 0
    for i in range(len(rows)):
        for j in range(i):
            (a, b), (c, d) = rows[i], rows[j]
            agree += (a - c) * (b - d) > 0
            differ += (a - c) * (b - d) < 0
            first_apart += a != c
            second_apart += b != d
    found = effects.kendall_tau(*np.array(rows, float).T)
    if first_apart and second_apart:
        assert math.isclose(found, (agree - differ) / math.sqrt(first_apart * second_apart), abs_tol=1e-12)
    else:
        assert math.isnan(found)


def test_agreement_is_of_orders_and_of_first_words():
    scores = np.array([[1.0, 5.0, 3.0], [9.0, 2.0, 4.0]])
    assert effects.agreement(np.exp(scores), scores) == (1, 1)
    assert effects.agreement(-scores, scores) == (-1, 0)
    assert effects.agreement(np.array([[0.0, 1.0, 0.5], [0.0, 1.0, 2.0]]), scores) == pytest.approx(
        ((1 - 1 / 3) / 2, 0.5)
    )
    tau, _ = effects.agreement(np.ones((2, 3)), scores)
    assert math.isnan(tau)


def test_leaving_a_word_out_is_translating_without_its_pieces(trained):
    model, subwords = trained
    source, target = subwords.encode(ENGLISH[1]), subwords.encode(SPANISH[1])
    found = effects.Sentence(model, source, target).left_out()
    assert found.shape == (len(target.words), len(source.words))
    with torch.no_grad():
        whole = _word_scores(model, source.ids, target)
        for word in range(len(source.words)):
            ids = [one for one, words in zip(source.ids, source.words_of_piece, strict=True) if word not in words]
            without = _word_scores(model, ids, target)
            np.testing.assert_allclose(found[:, word], whole - without, atol=1e-4)


def test_silencing_a_word_leaves_its_place(trained):
    model, subwords = trained
    source, target = subwords.encode(ENGLISH[2]), subwords.encode(SPANISH[2])
    found = effects.Sentence(model, source, target).silenced()
    words, whole = source.words_of_piece, _word_scores(model, source.ids, target)
    table = model.target_embedding.weight
    pieces = list(zip(source.ids, words, strict=True))
    compared = 0
    for word in range(len(source.words)):
        hidden = {piece for piece, of in pieces if word in of}
        if any(piece in hidden and word not in of for piece, of in pieces):
            continue  # a piece stands elsewhere too: the plain way would silence both
        compared += 1
        with torch.no_grad():
            kept = table.clone()
            table[sorted(hidden)] = 0
            memory, mask, _ = model.encode(torch.tensor([[*source.ids, END]]), torch.tensor([len(source.ids) + 1]))
            table.copy_(kept)
            without = _word_scores(model, source.ids, target, (memory, mask))
        np.testing.assert_allclose(found[:, word], whole - without, atol=1e-4)
    assert compared >= 2


def test_gradient_times_input_is_the_slope_of_silencing(trained):
    model, subwords = trained
    source, target = subwords.encode(ENGLISH[3]), subwords.encode(SPANISH[3])
    found = effects.Sentence(model, source, target).gradient_times_input()
    covered = torch.from_numpy(effects.coverage(source)).float()
    ids, length = torch.tensor([[*source.ids, END]]), torch.tensor([len(source.ids) + 1])
    for word in (0, len(source.words) - 1):
        ends = []
        for size in (-0.01, 0.01):
            with torch.no_grad(), effects.scaled_embeddings(model, 1 + size * covered[[word]]):
                memory, mask, _ = model.encode(ids, length)
            ends.append(_word_scores(model, source.ids, target, (memory, mask)))
        np.testing.assert_allclose(found[:, word], (ends[1] - ends[0]) / 0.02, atol=0.02, rtol=0.02)


def test_rollout_through_heads_that_look_at_themselves_changes_nothing():
    cross = np.random.default_rng(1).dirichlet(np.ones(4), size=(2, 3, 5))  # [layers, heads, target, source]
    mean = cross.mean(axis=(0, 1))
    np.testing.assert_allclose(effects.rollout(np.broadcast_to(np.eye(4), (3, 2, 4, 4)), cross), mean)
    ahead = np.broadcast_to(np.roll(np.eye(4), 1, axis=1), (1, 2, 4, 4))  # each looks at the next
    np.testing.assert_allclose(effects.rollout(ahead, cross), (mean + np.roll(mean, 1, axis=1)) / 2)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_a_removed_head_is_one_that_was_never_there(trained, kind):
    model, _ = trained
    layer = model.encoder_layers[1] if kind == "encoder" else model.decoder_layers[1]
    attention = layer.cross_attention if kind == "cross" else layer.self_attention
    x, memory = torch.randn(2, 3, 32), torch.randn(2, 5, 32)
    before = [parameter.clone() for parameter in model.parameters()]
    with habits.removed(model, habits.Head(kind, 1, 2)), torch.no_grad():
        found, _ = attention(x, attention.project(memory))
    expected = attention.output.bias.expand(2, 3, 32).clone()
    with torch.no_grad():
        keys, values = attention.key_value(memory).split(32, dim=-1)
        for head in (0, 1, 3):  # each by itself, from its own rows of the matrices
            of = slice(8 * head, 8 * head + 8)
            scores = attention.query(x)[..., of] @ keys[..., of].transpose(1, 2) / math.sqrt(8)
            expected += scores.softmax(-1) @ values[..., of] @ attention.output.weight[:, of].T
    torch.testing.assert_close(found, expected)
    assert all((one == other).all() for one, other in zip(before, model.parameters(), strict=True))
    assert len(habits.heads_of(model)) == 3 * 2 * 4


def test_habits_of_heads_made_by_hand():
    source, target = ["▁a", ",", "▁b", "</s>"], ["▁c", ".", "</s>"]
    previous = np.eye(4)[[0, 0, 1, 2]]  # the first has none before it and looks at itself
    end = np.eye(4)[[3, 3, 3, 3]]
    start, own = np.eye(3)[[0, 0, 0]], np.eye(3)
    cross = np.eye(4)[[0, 1, 3]], np.eye(4)[[2, 1, 3]]
    maps = AttentionMaps(
        *(np.stack(pair)[None].astype(np.float32) for pair in ((previous, end), (start, own), cross)), source, target
    )
    found = habits.habits([maps])
    first, second = found[habits.Head("encoder", 0, 0)], found[habits.Head("encoder", 0, 1)]
    assert (first.previous, first.same, first.next, first.special) == pytest.approx((1, 1 / 3, 0, 0))
    assert (first.offset, first.punctuation, first.entropy) == pytest.approx((-2 / 3, 1 / 3, 0))
    assert (second.special, second.next, second.offset) == pytest.approx((1, 1 / 3, 2))
    starts, owns = (found[habits.Head("decoder", 0, number)] for number in (0, 1))
    assert (starts.special, starts.previous, starts.offset) == pytest.approx((1, 0.5, -1.5))
    # The decoder's inputs are `<s>`, c and the full stop.
    assert (owns.same, owns.special, owns.punctuation) == pytest.approx((1, 0, 0.5))
    aligned = found[habits.Head("cross", 0, 0)]
    assert (aligned.same, aligned.punctuation, aligned.special) == pytest.approx((1, 0.5, 0))
    assert found["encoder"].entropy == pytest.approx(math.log(4))
    assert found["decoder"].special == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_a_heads_error_rate_is_against_the_gold_links(tiny_checkpoint):
    translator = Translator.load(tiny_checkpoint, engine="torch", threads=1)
    pairs = list(zip(ENGLISH[:3], SPANISH[:3], strict=True))
    gold = []
    for source, target in pairs:
        ahead, back = translator.subwords.encode(source), translator.subwords.encode(target)
        weights = translator.attention(source, target).cross[1, 2, :-1]
        links = argmax_links(over_words(weights, ahead, back))
        gold.append(GoldPair(0, 0, frozenset(links), frozenset()))
    rates = heads.error_rates(translator, gold, pairs)
    assert rates.shape == (2, 4) and rates[1, 2] == 0 and (np.delete(rates.reshape(-1), 6) > 0).all()


def test_bleu_from_sums_is_sacrebleus():
    texts = ["the old boat leaves at dawn", "it rained", "my sister paints small birds on cups today", ""]
    targets = [["the old boat leaves the harbour at dawn"], ["it rained for nine days", "it rained"], ["a b"], ["c"]]
    targets[2] = ["my sister paints small birds on blue cups"]
    bleu = heads.Bleu(targets, 40, seed=1)
    counts = bleu.counts(texts)
    streams = [[group[0] for group in targets], [None, "it rained", None, None]]
    assert bleu.of(counts.sum(0)) == pytest.approx(BLEU().corpus_score(texts, streams).score)
    assert bleu.difference(counts, counts) == (0, 0, 0)
    worse, low, high = bleu.difference(bleu.counts(["nothing"] * 4), counts)
    assert low <= worse < 0 and worse <= high


@given(st.floats(0.2, 3), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_exponents_of_power_laws_are_found(power, factor, count):
    sizes = [128 * 2**k for k in range(count)]
    values = [factor * size**power for size in sizes]
    early = max(0, count - 4)
    values[:early] = [1.0] * early  # the short end says nothing
    assert timing.exponent(sizes, values) == pytest.approx(power)


def test_peak_memory_counts_what_lives_at_once():
    x = torch.ones(50_000)
    assert 200_000 <= timing.peak_bytes(lambda: x + 1) < 201_000
    assert 200_000 <= timing.peak_bytes(lambda: [(x + 1).sum() for _ in range(5)]) < 201_000  # one after the other
    assert 600_000 <= timing.peak_bytes(lambda: [x + 1 for _ in range(3)]) < 601_000


def test_the_softmax_gradient_is_the_jacobians_norm():
    for spread in (0.1, 3.0, 30.0):
        scores = spread * torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        jacobian = torch.autograd.functional.jacobian(lambda x: x.softmax(0), scores)
        found = softness.softmax_jacobian_norm(scores.softmax(0)).item()
        assert found == pytest.approx(jacobian.norm().item(), abs=1e-9)


def test_without_the_scale_dot_products_are_bare():
    layer = softness.unscaled(MultiHeadAttention(8, 2, key_width=9))
    x = torch.randn(1, 3, 8)
    with torch.no_grad():
        _, weights = layer(x, layer.project(x), with_weights=True)
        query = x @ layer.query.weight.T + layer.query.bias
        key = (x @ layer.key_value.weight.T + layer.key_value.bias)[..., :18]
        for head in range(2):
            of = slice(9 * head, 9 * head + 9)
            torch.testing.assert_close(weights[:, head], (query[..., of] @ key[..., of].mT).softmax(-1))


def test_the_fixed_vector_is_given_a_joined_text_whole():
    text = f"{ENGLISH[4]} {ENGLISH[2]}"
    translator = Translator.load(engine="torch", threads=1)
    test = fixed_vector.Test([text], [""], {})
    fixed_vector.translate(test, "shipped", translator)
    assert test.translations["shipped"] == [translator.translate(text, one_sentence=True, beam=1).text]
    assert test.translations["shipped"] != [translator.translate(text, beam=1).text]


def _word_scores(model, ids, target, encoded=None):
    """[target words]: log-probabilities by the plainest way."""
    with torch.no_grad():
        if encoded is None:
            encoded = model.encode(torch.tensor([[*ids, END]]), torch.tensor([len(ids) + 1]))[:2]
        states, _, _ = model.decode(torch.tensor([[START, *target.ids]]), *encoded)
        scores = model.logits(states)[0].log_softmax(-1)
    totals = np.zeros(len(target.words))
    for step, (piece, words) in enumerate(zip(target.ids, target.words_of_piece, strict=True)):
        for word in words:
            totals[word] += scores[step, piece].item()
    return totals
