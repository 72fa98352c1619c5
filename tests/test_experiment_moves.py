"""Moving attention: exactly the weight it says, rows sum to 1, and the network goes on with the moved weights."""

import re

import numpy as np
import pytest
import torch
from tiny import ENGLISH, SPANISH, learned_model, tiny_config, tiny_subwords

from nmt.engines.torch_engine import TorchEngine
from nmt.search.options import SearchOptions
from nmt.text.subwords import START
from nmt.text.words import split_words
from scripts.experiments import antecedent, moved_attention
from scripts.experiments.common import habits, lexicon, moves
from scripts.report import wilson


@pytest.fixture(scope="module")
def trained():
    subwords = tiny_subwords()
    return learned_model(tiny_config(), subwords, steps=40), subwords


def _all_weights(model, sources, targets):
    source, lengths = moves.source_batch(sources)
    target = torch.tensor([[START, *targets[0]]] * len(sources))
    with torch.no_grad():
        memory, mask, encoder = model.encode(source, lengths, with_weights=True)
        _, own, cross = model.decode(target, memory, mask, with_weights=True)
    return {"encoder": torch.stack(encoder), "decoder": torch.stack(own), "cross": torch.stack(cross)}


@pytest.mark.parametrize("kind", ["encoder", "cross"])
@pytest.mark.parametrize("queries", [slice(2, None), [1, 3]])
def test_exactly_the_weight_that_is_told_moves(kind, queries, trained):
    model, subwords = trained
    sources = [subwords.encode(ENGLISH[0]).ids] * 2
    targets = [subwords.encode(SPANISH[0]).ids] * 2
    before = _all_weights(model, sources, targets)[kind]  # [layers, batch, heads, rows, columns]
    head = habits.Head(kind, 1, 2)
    with moves.moved(model, {head: [moves.Move(1, queries, [0, 1], [3, 4])]}):
        after = _all_weights(model, sources, targets)[kind]
    expected = before.clone()
    rows = expected[1, 1, 2]
    rows[queries, 3] += before[1, 1, 2][queries][:, :2].sum(1) / 2
    rows[queries, 4] += before[1, 1, 2][queries][:, :2].sum(1) / 2
    rows[queries, 0] = rows[queries, 1] = 0
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.sum(-1), torch.ones(after.shape[:-1]))
    assert (before[1, 1, 2][queries][:, :2] > 1e-4).any()  # there was something to move
    assert not any("attend" in vars(module) for module in model.modules())


def test_all_weight_on_one_position_is_its_value_alone(trained):
    model, _ = trained
    module = model.decoder_layers[0].cross_attention
    x, memory = torch.randn(1, 3, 32), torch.randn(1, 5, 32)
    heads = [habits.Head("cross", 0, number) for number in range(4)]
    whole = [moves.Move(0, slice(None), list(range(5)), [4])]
    with torch.no_grad():
        with moves.moved(model, dict.fromkeys(heads, whole)):
            found, weights = module(x, module.project(memory))
        value = module.key_value(memory[:, 4:])[..., -32:]
        torch.testing.assert_close(found, module.output(value).expand(1, 3, 32))
    assert weights is None


def test_with_nothing_moved_it_translates_as_ever(trained):
    model, subwords = trained
    sources = [subwords.encode(text).ids for text in ENGLISH[:4]]
    options = SearchOptions(beam=3)
    expected = [one[0].pieces for one in TorchEngine(model).translate(sources, options)]
    assert moves.translate_moved(model, sources, {}, options) == expected


@pytest.mark.parametrize("text", ENGLISH[:6])
def test_a_word_is_written_again_when_nothing_is_moved(trained, text):
    model, subwords = trained
    source = subwords.encode(text)
    (found,) = TorchEngine(model).translate([source.ids], SearchOptions(beam=1))
    target = subwords.decode_with_spans(found[0].pieces, source)
    attention = TorchEngine(model).attention([source.ids], [target.ids])[0].cross
    heads = [head for head in habits.heads_of(model) if head.kind == "cross"]
    for word in range(len(target.words) - 1):
        if sum(word in words for words in target.words_of_piece) >= moved_attention.LONGEST_WORD:
            continue
        own = target.words[word].text
        example = moved_attention.Example(source, target, word, 1, 2, 3, frozenset({own.lower()}), None)
        cases = {moved_attention.UNMOVED: ([], 1, 2), ("all", "moved"): (heads, 1, 2)}
        intact, moved = moved_attention.write_on(model, subwords, example, attention, cases).values()
        assert intact.word == own and intact.other and not intact.changed and intact.moved == 0
        assert 0 < moved.moved < 1 and 0 < moved.probability <= 1 and 0 < intact.probability <= 1


def test_a_lexicon_has_what_is_linked_often_enough():
    pair = (["The", "cat", "sleeps"], ["El", "gato", "duerme"], [(0, 0), (1, 1), (2, 2)])
    other = (["a", "cat", "naps"], ["echa", "una", "siesta"], [(2, 0), (2, 2)])
    found = lexicon.Lexicon.of([pair] * 3 + [other], least=2)
    assert found.translations == {"the": ["el"], "cat": ["gato"], "sleeps": ["duerme"]}
    assert found.frequent["source"][0] == "cat"
    assert lexicon.one_to_one([(0, 0), (1, 0), (2, 1), (3, 2), (3, 3), (4, 4)]) == [(2, 1), (4, 4)]
    matrix = np.array([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1], [0.2, 0.1, 0.7]])
    assert lexicon.greedy_links(matrix) == [(0, 1), (1, 0)]


def test_wilsons_interval():
    assert wilson(5, 10) == pytest.approx((0.5, 0.2366, 0.7634), abs=1e-3)
    assert wilson(0, 0) == (0, 0, 1) and wilson(0, 10)[1] == 0 and wilson(10, 10)[2] == 1


def test_the_pairs_of_antecedents_are_what_their_page_says():
    sentences = antecedent.read_pairs(antecedent.PAIRS)
    kinds = [one.kind for one in sentences]
    assert [kinds.count(kind) for kind in antecedent.KINDS] == [2 * 60, 2 * 40, 2 * 20]
    assert len({one.text for one in sentences}) == len(sentences)
    for feminine, masculine in zip(sentences[::2], sentences[1::2], strict=True):
        assert feminine.kind == masculine.kind and feminine.antecedent != masculine.antecedent
        for one, ending in ((feminine, "a"), (masculine, "o")):
            words = [word.text for word in split_words(one.text)]
            nouns = [one.antecedent, one.other] if one.other else [one.antecedent]
            assert all(words.count(word) == 1 for word in ["it", *nouns])
            assert all(words.index(noun) < words.index("it") for noun in nouns)
            accepted, rejected = (_forms(pattern) for pattern in (one.accepted, one.rejected))
            assert all(form.endswith(ending) for form in accepted)
            assert rejected == [form[:-1] + ("o" if ending == "a" else "a") for form in accepted]
        if feminine.kind == "alone":
            assert not feminine.other and not masculine.other
            texts = [
                one.text.replace(f" {one.antecedent} ", " _ ").replace(f" {one.antecedent},", " _,")
                for one in (feminine, masculine)
            ]
            assert texts[0] == texts[1]
        else:
            assert (feminine.antecedent, feminine.other) == (masculine.other, masculine.antecedent)
        if feminine.kind == "between":
            words, others = ([word.text for word in split_words(one.text)] for one in (feminine, masculine))
            assert sorted(words) == sorted(others)
            assert words.index(feminine.antecedent) < words.index(feminine.other)


def test_agreement_needs_one_gender_alone():
    house = antecedent.read_pairs(antecedent.PAIRS)[0]
    assert house.agreement("La casa es vieja, pero es BONITA.") == 1
    assert house.agreement("La casa es vieja, pero es bonito.") == -1
    assert house.agreement("La casa bonita es bonito.") == house.agreement("La casa es vieja.") == 0


def _forms(pattern):
    return re.search(r"\(\?:(.*)\)", pattern.pattern)[1].split("|")
