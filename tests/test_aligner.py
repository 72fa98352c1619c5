"""The alignment head: it learns a made-up language, and its numpy runtime computes what its torch module does."""

import os
import random
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Fork
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.alignment.head import LONGEST, Aligner
from nmt.alignment.mixture import MixtureAligner
from nmt.alignment.network import AlignmentHead, Sentences, WordTypes
from nmt.alignment.word_corpus import WordCorpus
from nmt.config import AlignerConfig
from nmt.errors import UserError
from nmt.text.subwords import Subwords
from nmt.text.words import is_punctuation
from nmt.training.alignment import HeadTraining, _mixed_cells, teach_mixtures, train_aligner
from nmt.training.workers import end_with_parent

SMALL = AlignerConfig(
    width=32, hidden=32, teacher_width=32, teacher_steps=100, student_steps=80, batch_words=600, learning_rate=1e-2
)


TINY = AlignerConfig(width=16, hidden=16, teacher_width=16, teacher_steps=5, student_steps=5, batch_words=100)


def toy_corpus(size: int, seed: int) -> list[tuple[str, str, set[tuple[int, int]]]]:
    """Pairs of a language and its translation with their true links: every "adjective" moves behind its noun, and
    each sentence of the second language begins with a particle that translates nothing."""
    draw = random.Random(seed)
    syllables = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti"]
    names = [first + second for first in syllables for second in syllables]
    adjectives, nouns = names[:12], names[12:44]
    translation = {word: "x" + word[::-1] for word in names}
    result = []
    for _ in range(size):
        source: list[str] = []
        target, links = ["zo"], set()
        for _ in range(draw.randint(1, 4)):
            noun, start = draw.choice(nouns), len(source)
            if draw.random() < 0.5:
                adjective = draw.choice(adjectives)
                source += [adjective, noun]
                links |= {(start + 1, len(target)), (start, len(target) + 1)}
                target += [translation[noun], translation[adjective]]
            else:
                source.append(noun)
                links.add((start, len(target)))
                target.append(translation[noun])
        result.append((" ".join(source), " ".join(target), links))
    return result


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    sentences = [side for pair in toy_corpus(500, seed=1) for side in pair[:2]]
    return Subwords.train([*sentences, "Where's the station? ¿Dónde está?"], 400)


@pytest.fixture(scope="module")
def trained(subwords, tmp_path_factory):
    pairs = [pair[:2] for pair in toy_corpus(1500, seed=2)]
    return train_aligner(pairs, subwords, HeadTraining(SMALL), tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def random_aligner(subwords) -> Aligner:
    """A head with random weights, so that nothing is nearly zero."""
    torch.manual_seed(3)
    head = AlignmentHead(SMALL, len(subwords))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return Aligner({name: value.numpy() for name, value in head.state_dict().items()}, subwords)


def test_learns_a_toy_language_without_supervision(subwords, trained):
    test = toy_corpus(200, seed=4)
    found = [set(pair.links) for pair in Aligner(trained, subwords).align([pair[:2] for pair in test])]
    truth = [pair[2] for pair in test]
    right = sum(len(a & b) for a, b in zip(found, truth, strict=True))
    error_rate = 1 - 2 * right / (sum(map(len, found)) + sum(map(len, truth)))
    assert error_rate < 0.05


def test_swapped_pairs_give_transposed_alignments(subwords, trained):
    pairs = [pair[:2] for pair in toy_corpus(30, seed=5)]
    aligner = Aligner(trained, subwords)
    turned_around = Aligner(trained, subwords, swapped=True)
    swapped = turned_around.align([(target, source) for source, target in pairs])
    for straight, turned in zip(aligner.align(pairs), swapped, strict=True):
        assert turned.source_words == straight.target_words
        np.testing.assert_array_equal(turned.probabilities, straight.probabilities.T)
        assert {(j, i) for i, j in turned.links} == set(straight.links)
        np.testing.assert_array_equal(turned.matrix, straight.reverse_matrix)


def test_same_seed_same_head_and_stages_are_kept(subwords, tmp_path):
    pairs = [pair[:2] for pair in toy_corpus(60, seed=6)]
    stages: list[str] = []

    def run(directory, seed):
        stages.clear()
        training = HeadTraining(TINY, seed, on_progress=lambda name, *_: stages.append(name))
        return train_aligner(pairs, subwords, training, directory)

    first = run(tmp_path / "a", 1)
    assert stages[-3:] == ["forward teacher", "reverse teacher", "alignment head"]
    again = run(tmp_path / "b", 1)
    resumed = run(tmp_path / "a", 1)
    assert stages == ["mixture models"]  # both are there, and the head
    other = run(tmp_path / "a", 2)
    assert "forward teacher" in stages
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        np.testing.assert_array_equal(value, resumed[name])
    assert any(not np.array_equal(value, other[name]) for name, value in first.items())


def test_two_processes_teach_what_one_does_and_say_how_far_they_are(subwords, tmp_path, capfd):
    corpus = WordCorpus.of([pair[:2] for pair in toy_corpus(60, seed=6)], subwords, TINY.longest)
    one = teach_mixtures(corpus, HeadTraining(TINY), tmp_path / "one")
    capfd.readouterr()
    two = teach_mixtures(corpus, HeadTraining(TINY, processes=2, on_progress=lambda *_: None), tmp_path / "two")
    np.testing.assert_array_equal(one, two)
    told = sorted(capfd.readouterr().err.splitlines())
    assert [line.partition(",")[0] for line in told] == ["forward teacher 5/5", "reverse teacher 5/5"]


@pytest.mark.parametrize("stage", ["forward teacher", "reverse teacher", "alignment head"])
def test_an_interrupted_stage_goes_on_to_the_same_head(subwords, tmp_path, monkeypatch, stage):
    monkeypatch.setattr("nmt.training.alignment.SAVE_EVERY", 2)
    pairs = [pair[:2] for pair in toy_corpus(60, seed=6)]
    steps: list[tuple[str, int]] = []

    def run(directory, until=None):
        def on_progress(name, step, *_):
            steps.append((name, step))
            if (name, step) == until:
                raise KeyboardInterrupt

        return train_aligner(pairs, subwords, HeadTraining(TINY, on_progress=on_progress), directory)

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", until=(stage, 4))
    before = list(steps)
    resumed = run(tmp_path / "broken")
    assert [step for name, step in steps[len(before) :] if name == stage] == [5]
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name])


def test_numpy_runtime_equals_torch_module(subwords, random_aligner):
    words = [(source.split(), target.split()) for source, target, _ in toy_corpus(40, seed=7)]
    words.append((["Where's", "ŭnseen", "?"], ["¿"]))
    long = [f"w{number}" for number in range(55)]  # further apart than relative positions are told
    words += [(long, ["xab", "zo"]), (["ba", "ke"], long)]
    tables: list[dict[str, int]] = [{}, {}]
    numbers = [
        [[table.setdefault(word, len(table) + 1) for word in side] for side, table in zip(pair, tables, strict=True)]
        for pair in words
    ]
    types = []
    for table in tables:
        pieces = [[0], *subwords.word_pieces(list(table))]
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in pieces])])
        types.append(WordTypes(np.concatenate(pieces).astype(np.int64), starts, np.ones(len(pieces), np.int64)))

    def padded(side):
        width = max(len(pair[side]) for pair in numbers)
        return Sentences.of(np.array([pair[side] + [0] * (width - len(pair[side])) for pair in numbers]))

    head = AlignmentHead(SMALL, len(subwords)).eval()
    head.load_state_dict({name: torch.from_numpy(value) for name, value in random_aligner.parameters.items()})
    with torch.no_grad():
        logits = head(padded(0), padded(1), types[0], types[1]).numpy()
    results = random_aligner.align_words(words)
    for row, (source, target) in enumerate(words):
        expected = 1 / (1 + np.exp(-logits[row, : len(target), : len(source)]))
        np.testing.assert_allclose(results[row].probabilities, expected, atol=2e-5)


def test_a_mark_and_a_word_are_no_pair(subwords):
    corpus = WordCorpus.of([("do x ?", "¿ x ?"), ("50 % .", "ok")], subwords, 60)
    mixed = _mixed_cells(corpus)
    assert corpus.matrix_of(0, mixed).tolist() == [[True, True, False], [False, False, True], [True, True, False]]
    assert corpus.matrix_of(1, mixed).tolist() == [[False, False, True]]  # `%` stands for a word
    assert [is_punctuation(word) for word in ("?", "¿", "...", "—", "%", "&", "+", "a", "d'or")] == [
        *[True] * 4,
        *[False] * 5,
    ]


def test_the_prior_of_a_word_sees_all_but_the_word(subwords):
    """Exchanging two words that both stand elsewhere too changes each row's prior but their own."""
    corpus = WordCorpus.of([("a b c d e", "v w x y z"), ("a b c d e", "v w z y z"), ("a", "x")], subwords, 60)
    torch.manual_seed(5)
    model = MixtureAligner(SMALL, corpus.pieces, *corpus.types).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)

    def prior(pairs: list[int]) -> np.ndarray:
        source, target = corpus.batch(0, np.array(pairs)), corpus.batch(1, np.array(pairs))
        source_words = model.source.vectors(source.words, model.source_embedding)
        target_words = model.target.vectors(target.words, model.target_embedding)
        with torch.no_grad():
            lexicon = model._translation(source, target, source_words, target_words)
            return (model(source, target) - lexicon).exp()[:2].numpy()

    one, other = prior([0, 1, 2])  # `x` against `z` in the third place; the batch's words are the same
    np.testing.assert_allclose(one.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(one[2], other[2], atol=1e-6)
    assert all(np.abs(one[row] - other[row]).max() > 1e-3 for row in (0, 1, 3, 4))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=5))
def test_bounds_and_row_sums_for_any_unicode(random_aligner, pairs):
    results = random_aligner.align(pairs)
    assert len(results) == len(pairs)
    for pair in results:
        source, target = len(pair.source_words), len(pair.target_words)
        assert pair.matrix.shape == (target, source + 1) and pair.reverse_matrix.shape == (source, target + 1)
        for matrix in (pair.matrix, pair.reverse_matrix):
            assert matrix.dtype == np.float32 and (matrix >= 0).all()
            np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
        assert pair.links == sorted(set(pair.links))
        assert all(0 <= i < source and 0 <= j < target for i, j in pair.links)


def test_a_pair_is_aligned_alike_alone_and_in_company(random_aligner):
    pairs = [pair[:2] for pair in toy_corpus(50, seed=8)]
    together = random_aligner.align(pairs)
    for pair, result in zip(pairs[:10], together, strict=False):
        np.testing.assert_allclose(random_aligner.align([pair])[0].probabilities, result.probabilities, atol=1e-5)


def test_threads_share_an_aligner_that_forgets_words(random_aligner, monkeypatch):
    """What the demo's threads can do to each other: one forgets all words while another looks up a new one."""

    word_pieces = Subwords.word_pieces

    def interrupted(subwords, words):
        monkeypatch.setattr(Subwords, "word_pieces", word_pieces)
        monkeypatch.setattr("nmt.alignment.head.WORDS_KEPT", 0)
        random_aligner._pieces_of(["another", "thread"])
        return word_pieces(subwords, words)

    random_aligner._pieces_of(["xab", "ba"])
    monkeypatch.setattr(Subwords, "word_pieces", interrupted)
    words = ["xab", "new", "ba"]
    assert random_aligner._pieces_of(words) == word_pieces(random_aligner.subwords, words)


def test_empty_and_overlong_sides_align_to_nothing(random_aligner):
    empty, both, long = random_aligner.align([("", "xab"), ("", ""), ("ba " * (LONGEST + 1), "xab")])
    assert not empty.links and empty.matrix.tolist() == [[1.0]] and empty.reverse_matrix.shape == (0, 2)
    assert not both.links and both.matrix.shape == (0, 1)
    assert not long.links and long.matrix[0, -1] == 1


def test_saved_head_loads_and_belongs_to_its_vocabulary(subwords, random_aligner, tmp_path):
    Aligner(random_aligner.parameters, subwords, threshold=0.4, swapped=True).save(tmp_path / "aligner.safetensors")
    loaded = Aligner.read(tmp_path / "aligner.safetensors", subwords)
    assert loaded.threshold == 0.4
    straight = random_aligner.align([("ba ke li", "zo xil xek")])[0]
    turned = loaded.align([("zo xil xek", "ba ke li")])[0]
    np.testing.assert_allclose(turned.probabilities, straight.probabilities.T, atol=0.02)
    loaded.save(tmp_path / "back.safetensors", turned=True)  # 16 bits of a number are kept as they are
    twice = Aligner.read(tmp_path / "back.safetensors", subwords)
    back = twice.align([("ba ke li", "zo xil xek")])[0]
    assert twice.threshold == 0.4
    np.testing.assert_array_equal(back.probabilities, turned.probabilities.T)
    with pytest.raises(UserError, match="another subword model"):
        Aligner.read(tmp_path / "aligner.safetensors", Subwords.train(["an other language"] * 3, 300))
    (tmp_path / "damaged").write_bytes(b"no head")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        Aligner.read(tmp_path / "damaged", subwords)
    with pytest.raises(UserError, match="cannot read"):
        Aligner.read(tmp_path / "missing", subwords)


def test_words_are_lower_cased_and_keep_their_pieces_anywhere(subwords):
    assert subwords.word_pieces(["STATION", "?"]) == subwords.word_pieces(["station", "?"])
    assert all(ids for ids in subwords.word_pieces(["", " ", "\u0301", "日本", "a" * 500]))


def test_corpus_without_usable_pairs_is_refused(subwords):
    with pytest.raises(UserError, match="no sentence pair"):
        WordCorpus.of([("", "xab"), ("ba", "...".replace(".", " "))], subwords, longest=60)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to see processes in")
def test_workers_end_when_the_run_is_killed(tmp_path):
    def run() -> None:
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent)
        (tmp_path / "worker").write_text(str(pool.submit(os.getpid).result()))
        os.kill(os.getpid(), signal.SIGKILL)

    status, errors = Fork(run).wait()
    assert status == -signal.SIGKILL, errors
    worker = Path("/proc") / (tmp_path / "worker").read_text()
    deadline = time.monotonic() + 60
    while (running := _runs(worker)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running


def _runs(process: Path) -> bool:
    """Whether it is there and no zombie, which nobody may reap in a container."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
