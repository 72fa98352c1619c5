"""`nmt-align --learn` and the hidden Markov models behind it, on a made-up language."""

import itertools
import os
import signal
from functools import partial

import numpy as np
import pytest
import torch

from nmt.alignment.hmm import ALIKE_COUNT, JUMP, NULL, STEM_COUNT, JointHmm
from nmt.alignment.pharaoh import read_pharaoh
from nmt.alignment.word_corpus import WordPairs
from nmt.cli.align import main
from nmt.config import AlignerConfig
from nmt.errors import UserError
from nmt.text.cognates import alike
from nmt.translator import Translator
from tests.commands import Fork
from tests.test_aligner import TINY, toy_corpus


def error_rate(found, truth) -> float:
    right = sum(len(set(a) & b) for a, b in zip(found, truth, strict=True))
    return 1 - 2 * right / (sum(map(len, found)) + sum(map(len, truth)))


@pytest.fixture
def files(tmp_path):
    corpus = toy_corpus(600, seed=2)
    for side, name in enumerate(("source", "target")):
        (tmp_path / name).write_text("".join(f"{pair[side]}\n" for pair in corpus))
    return ["--learn", "--source", str(tmp_path / "source"), "--target", str(tmp_path / "target")], corpus


def test_forward_backward_gives_the_exact_posterior():
    """Every path of a small pair, weighed one by one."""
    pairs = WordPairs.read([("a b c", "x y z u"), ("b a", "y x"), ("c", "u z")], 10)
    model = JointHmm(pairs)
    model.learn(1, 1)
    block = next(block for block in model.blocks if 0 in block.pairs)
    forward, _ = model._forward_backward(block, 0)
    lexicon, null = model.lexicon[0][block.cells[0]].numpy(), model.null[0][block.words[1][0]].numpy()
    jumps = model.jumps[0].numpy()
    expected, total = np.zeros((4, 3)), 0.0
    for path in itertools.product(range(6), repeat=4):  # a place, or 3 + the place that a null word stays at
        weight, last = 1.0, -1
        for step, state in enumerate(path):
            start = last == -1
            row = np.array([jumps[to - last + JUMP] for to in range(3)])
            if state < 3:
                weight *= row[state] / row.sum() * lexicon[step, state] * (1 - NULL)
            elif start:  # the place that a first null word stands for is drawn as a word's is
                weight *= row[state - 3] / row.sum() * null[step] * NULL
            else:
                weight *= (state - 3 == last) * null[step] * NULL
            last = state % 3
        total += weight
        for step, state in enumerate(path):
            if state < 3:
                expected[step, state] += weight
    np.testing.assert_allclose(forward[0].numpy(), expected / total, atol=1e-4)


def test_alike_is_the_dice_coefficient_of_bigrams():
    tables = ["nation", "riqueza", "1987", "a"], ["nación", "richness", "1987", "zoo"]
    numbers = np.array([(i, j) for i in range(5) for j in range(5)])
    found = alike(tables, (numbers[:, 0], numbers[:, 1])).reshape(5, 5)
    assert not found[0].any() and not found[:, 0].any()
    # ^n na at ti io on n$ and ^n na ac ci io on n$: five of seven in common.
    assert found[1, 1] == pytest.approx(5 / 7) and found[3, 3] == 1 and found[4, 4] == 0
    assert found[2, 2] == pytest.approx(2 * 2 / (8 + 9))  # ^r, ri


def test_the_lexicon_is_made_of_links_stems_and_looks():
    """Every share of a small lexicon, counted one by one."""
    texts = [("nation land", "nacion tierra"), ("lands", "tierras"), ("land .", "tierra .")]
    model = JointHmm(WordPairs.read(texts, 10))
    agreed = torch.rand(len(model.possible), generator=torch.Generator().manual_seed(1)) * model.possible
    model._maximise(agreed, [torch.ones(len(count)) for count in model.counts[::-1]], [torch.zeros(1)] * 2)
    names = [["", *table] for table in model.pairs.table]
    counts = {"nacion": 1, "tierra": 2, "tierras": 1, ".": 1}
    cells = [(names[0][x], names[1][y], float(c)) for x, y, c in zip(*model.words, agreed, strict=True)]
    for number, (x, y, count) in enumerate(cells):
        if not x or not y or (x == ".") != (y == "."):
            assert model.lexicon[0][number] == 0
            continue
        family = sum(c for a, b, c in cells if a[:4] == x[:4] and b[:4] == y[:4])
        whole = sum(c for a, b, c in cells if a[:4] == x[:4])
        share = counts[y] / sum(c for word, c in counts.items() if word[:4] == y[:4])
        looks = (x, y) in (("nation", "nacion"), (".", "."))
        expected = count + STEM_COUNT * family / whole * share + ALIKE_COUNT * looks
        total = sum(c for a, _, c in cells if a == x) + STEM_COUNT + ALIKE_COUNT * (x in ("nation", "."))
        assert float(model.lexicon[0][number]) == pytest.approx(expected / total, rel=1e-4)


def test_hidden_markov_models_learn_a_toy_language_and_repeat_it():
    corpus = toy_corpus(600, seed=2)
    pairs = WordPairs.read([pair[:2] for pair in corpus], 60)

    def learned(workers):
        model = JointHmm(pairs, workers)
        model.learn(4, 1)
        return model.posteriors()

    cells = learned(1)
    found = [[(i, j) for j, i in np.argwhere(pairs.matrix_of(pair, cells) > 0.4)] for pair in range(len(pairs))]
    assert error_rate(found, [pair[2] for pair in corpus]) < 0.1
    np.testing.assert_array_equal(cells, learned(2))
    known = JointHmm(pairs)
    known.start(cells)
    assert np.abs(known.posteriors() - cells).mean() < 0.05  # it goes on from what it is given


def test_learns_from_the_pairs_that_it_aligns(files, tmp_path, capsys):
    arguments, corpus = files
    main([*arguments, "--minutes", "0.01", "--output", str(tmp_path / "links")])
    assert "pairs are few" in capsys.readouterr().err
    assert error_rate(list(read_pharaoh(tmp_path / "links")), [pair[2] for pair in corpus]) < 0.1


def test_saved_head_is_a_checkpoint_and_a_start(files, tmp_path, monkeypatch):
    arguments, corpus = files
    monkeypatch.setattr("nmt.cli.learn.PIECES", 400)
    directory, links = tmp_path / "head", tmp_path / "links"
    main([*arguments, "--minutes", "0.1", "--save", str(directory), "--languages", "nds-nl", "--output", str(links)])
    main([*arguments[1:], "--checkpoint", str(directory), "--output", str(links)])
    assert len(list(read_pharaoh(links))) == 600
    main([*arguments, "--minutes", "0.01", "--checkpoint", str(directory), "--output", str(links)])
    assert error_rate(list(read_pharaoh(links)), [pair[2] for pair in corpus]) < 0.1
    with pytest.raises(UserError, match="holds an aligner alone: use nmt-align --checkpoint, or Aligner.load"):
        Translator.load(directory).translate("ba")
    with pytest.raises(UserError, match="already exists"):
        main([*arguments, "--save", str(directory)])


@pytest.fixture
def tiny_recipe(monkeypatch):
    """Mixture models in every budget, each network's state kept after every second step, no process of its own."""
    monkeypatch.setattr(AlignerConfig, "for_minutes", lambda _: TINY)
    monkeypatch.setattr("nmt.training.alignment.SAVE_EVERY", 2)
    monkeypatch.setattr("nmt.cli.learn.PIECES", 400)
    monkeypatch.setattr("os.cpu_count", lambda: 1)


def test_a_run_that_is_killed_again_and_again_goes_on(files, tmp_path, tiny_recipe, monkeypatch):
    """SIGKILL before every fourth renaming of a file, so that each run leaves three more behind, and an unnamed one."""
    renamed, rename = [], os.replace

    def command(directory, *more):
        renamed.clear()
        return main([*files[0], "--save", str(directory), "--output", f"{directory}.links", *more])

    def replace(temporary, path, most=3):
        if len(renamed) == most:
            os.kill(os.getpid(), signal.SIGKILL)
        renamed.append(path)
        rename(temporary, path)

    monkeypatch.setattr("os.replace", partial(replace, most=None))
    command(tmp_path / "whole")
    count = len(renamed)
    monkeypatch.setattr("os.replace", replace)
    ends = [Fork(lambda: command(tmp_path / "broken")).wait()[0]]
    while ends[-1] == -signal.SIGKILL and len(ends) < count:
        ends.append(Fork(lambda: command(tmp_path / "broken", "--resume")).wait()[0])
    assert ends == [-signal.SIGKILL] * (-(-count // 3) - 1) + [0]  # nothing is made twice
    assert not list((tmp_path / "broken").rglob(".*"))
    for name in ("{}/aligner.safetensors", "{}/metadata.json", "{}.links"):
        whole, broken = ((tmp_path / name.format(run)).read_bytes() for run in ("whole", "broken"))
        assert whole == broken


def test_ctrl_c_gives_links_and_a_head_and_the_run_can_go_on(files, tmp_path, tiny_recipe, monkeypatch):
    def command(directory, *more):
        main([*files[0], "--save", str(directory), "--output", str(tmp_path / "links"), *more])
        assert len(list(read_pharaoh(tmp_path / "links"))) == 600
        return (directory / "aligner.safetensors").read_bytes()

    def interrupt(stage, step, *_):
        if (stage, step) == (broken, 4):
            raise KeyboardInterrupt

    whole = command(tmp_path / "whole")
    for broken in ("hidden Markov models", "reverse teacher", "alignment head"):
        with monkeypatch.context() as patch:
            patch.setattr("nmt.cli.learn._report", lambda: interrupt)
            with pytest.warns(UserWarning, match="interrupted"):
                assert command(tmp_path / broken) != whole
        assert command(tmp_path / broken, "--resume") == whole


def test_only_a_run_of_the_same_pairs_and_settings_is_resumed(files, tmp_path, tiny_recipe):
    arguments, directory = files[0], tmp_path / "head"
    main([*arguments, "--save", str(directory)])
    for other in (["--minutes", "3"], ["--checkpoint", str(directory)]):
        with pytest.raises(UserError, match="has other pairs, --minutes or --checkpoint"):
            main([*arguments, "--save", str(directory), "--resume", *other])
    (tmp_path / "source").write_text("ba\n" * 600)
    with pytest.raises(UserError, match="has other pairs"):
        main([*arguments, "--save", str(directory), "--resume"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match="holds no run of --learn"):
        main([*arguments, "--save", str(tmp_path / "mine"), "--resume"])
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["metadata.json"]


def test_a_large_corpus_is_sampled_evenly(monkeypatch, capsys):
    from nmt.cli.learn import _sample

    monkeypatch.setattr("nmt.cli.learn.MOST_CELLS", 40)
    chosen, left_out = _sample((f"{number}", "a") for number in range(100))
    assert [int(source) for source, _ in chosen] == list(range(0, 100, 4)) and left_out == 75
    assert "one in 4" in capsys.readouterr().err


def test_refuses_what_makes_no_sense():
    for arguments, message in (
        (["--save", "x"], "require --learn"),
        (["--minutes", "1"], "require --learn"),
        (["--learn", "a.tsv", "--resume"], "--save DIR"),
        (["--learn", "a.tsv", "--save", "nowhere", "--resume"], "there is no run in nowhere"),
        (["--learn"], "reads its pairs twice"),
        (["--learn", "a.tsv", "--languages", "english"], "write two codes"),
        (["--learn", "a.tsv", "--languages", "english-german"], "write two codes"),
        (["--learn", "a.tsv", "--languages", "en-jp"], "--languages: there is no language 'jp'; did you mean ja"),
    ):
        with pytest.raises(UserError, match=message):
            main(arguments)
