"""Every kind of network as a whole checkpoint: trained, searched, inspected, served, and what it honestly lacks."""

import json
import pickle

import numpy as np
import pytest
import torch
from architectures import RECURRENT
from safetensors.numpy import load_file
from test_recurrent import slow_pass
from tiny import ENGLISH, SPANISH, write_tiny_checkpoint
from toy import NAMES, toy_config

from nmt import Translator
from nmt.checkpoint import Checkpoint, write_checkpoint_metadata
from nmt.engines.torch_engine import TorchEngine
from nmt.errors import UserError
from nmt.inspection.explorer import explorer_page, page_data
from nmt.inspection.figures import plot_heads
from nmt.search.options import SearchOptions
from nmt.text.subwords import END, START, Subwords
from nmt.training.pairs import make_batch

RNNS = {name: RECURRENT[name] for name in ("rnnsearch", "rnnsearch dot", "rnnencdec")}
KINDS = {**RNNS, "local": {"attention": "local", "window": 3}, "linear": {"attention": "linear"}}
SOURCES = [*ENGLISH[:3], SPANISH[0], "Birds!", "the boat " * 5]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A directory of tiny checkpoints, each made when it is first asked for."""
    place = tmp_path_factory.mktemp("architectures")

    def checkpoint(name: str):
        directory = place / name.replace(" ", "-")
        return directory if directory.exists() else write_tiny_checkpoint(directory, steps=30, **KINDS[name])

    return checkpoint


def engine_of(directory) -> tuple[Subwords, TorchEngine]:
    checkpoint = Checkpoint(directory)
    subwords = Subwords.load(checkpoint.path("subwords.model"))
    return subwords, TorchEngine.load(checkpoint, subwords)


@pytest.mark.parametrize("name", KINDS)
def test_scores_and_attention_of_every_hypothesis_are_those_of_a_pass_of_its_own(checkpoints, name):
    subwords, engine = engine_of(checkpoints(name))
    ids = subwords.encode_ids(SOURCES)
    options = SearchOptions(beam=4, n_best=3, max_length_factor=1.5, max_length_extra=4)
    found = engine.translate(ids, options)
    backwards = engine.translate(ids[::-1], options, batch_sentences=3)[::-1]
    maps = iter(
        engine.attention(
            [source for source, hypotheses in zip(ids, found, strict=True) for _ in hypotheses],
            [one.pieces for hypotheses in found for one in hypotheses],
        )
    )
    attends = engine.model.config.attention is not None
    for source, hypotheses, others in zip(ids, found, backwards, strict=True):
        assert [one.pieces for one in others] == [one.pieces for one in hypotheses]
        for one in hypotheses:
            target = [START, *one.pieces]
            labels = [*one.pieces, END][: len(one.pieces) + one.ended]
            with torch.inference_mode():
                inputs = torch.tensor([[*source, END]]), torch.tensor([len(source) + 1]), torch.tensor([target])
                states = engine.model(*inputs)
                scores = engine.model.logits(states)[0].log_softmax(-1)
            total = sum(scores[row, piece].item() for row, piece in enumerate(labels))
            assert one.log_probability == pytest.approx(total, abs=1e-3)
            seen = next(maps)
            recurrent = engine.model.config.type != "transformer"
            kinds = ("encoder", "decoder", "cross")
            present = {kind: getattr(seen, kind) for kind in kinds if getattr(seen, kind) is not None}
            assert list(present) == (["cross"] * attends if recurrent else ["encoder", "decoder", "cross"])
            for weights in present.values():
                np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["rnnsearch", "rnnsearch dot"])
def test_attention_under_beam_search_is_the_equations(checkpoints, name):
    """The weights that each step of the search itself used, and those that come back, by the slow pass."""
    subwords, engine = engine_of(checkpoints(name))
    ids = subwords.encode_ids(SOURCES[:3])
    steps = []
    inner = engine.model._advance

    def recorded(*arguments):
        state, weights = inner(*arguments)
        steps.append(weights)
        return state, weights

    engine.model._advance = recorded
    found = engine.translate(ids, SearchOptions(beam=4, n_best=4))
    del engine.model._advance
    engine.model.double()
    for source, hypotheses in zip(ids, found, strict=True):
        maps = engine.attention([source] * len(hypotheses), [one.pieces for one in hypotheses])
        for one, seen in zip(hypotheses, maps, strict=True):
            with torch.inference_mode():
                _, expected = slow_pass(engine.model, [*source, END], [START, *one.pieces])
            np.testing.assert_allclose(seen.cross[0, 0], expected.numpy(), atol=1e-5)
            for step, row in enumerate(expected[: len(one.pieces) + one.ended]):
                used = steps[step].flatten(0, 1)[:, : len(row)].double()  # of all hypotheses that were alive
                assert (used - row).abs().amax(dim=1).min() < 1e-5


@pytest.mark.parametrize("name", KINDS)
def test_a_replica_has_the_same_parameters_and_shares_add_up(checkpoints, name):
    """What training on several cores relies on: a network is pickled as its shape, and two shares are the whole."""
    from nmt.training.loss import Objective, StepLoss, batch_loss, plain_cross_entropy

    subwords, engine = engine_of(checkpoints(name))
    model, copied = engine.model, pickle.loads(pickle.dumps(StepLoss(engine.model, Objective()))).model.eval()
    for own, other in zip(model.parameters(), copied.parameters(), strict=True):
        other.data = own.data
    batch, *parts = (
        make_batch(subwords.encode_ids(ENGLISH[rows]), subwords.encode_ids(SPANISH[rows]))
        for rows in (slice(6), slice(0, 6, 2), slice(1, 6, 2))
    )
    whole = batch_loss(model, batch, Objective(), plain_cross_entropy)
    shares = [batch_loss(copied, part, Objective(), plain_cross_entropy) for part in parts]
    assert sum(share.item() for share in shares) == pytest.approx(whole.item(), rel=1e-4)
    whole.backward()
    sum(shares).backward()
    for (name, own), other in zip(model.named_parameters(), copied.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.parametrize("name", ["rnnsearch", "rnnencdec", "local", "linear"])
def test_a_run_learns_and_translates(tmp_path, command, name):
    model = {"dropout": 0.0, **KINDS[name]}
    path = toy_config(tmp_path, model=model, training={"max_steps": 120, "validate_every": 20, "learning_rate": 0.02})
    assert command("train")(path).status == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if record["kind"] == "validation"]
    assert losses[-1] < 0.75 * losses[0]
    ended = command("translate")("3 1 4", "--checkpoint", tmp_path / "run", "--format", "json")
    found = json.loads(ended.output)
    assert set(found["translation"].split()) <= set(NAMES) and found["target_words"]
    assert (found["attention"] is None) == (found["alignment"] is None) == (name == "rnnencdec")


def test_no_attention_no_alignment_and_a_clear_word(tmp_path, checkpoints, command):
    directory = checkpoints("rnnencdec")
    given = ["--checkpoint", directory]
    for extra in (["--show", "alignment"], ["--plot", tmp_path / "a.png"], ["--plot", tmp_path / "a.html"]):
        assert "no attention" in command("translate").refused(ENGLISH[0], *given, *extra)
    assert "no attention" in command("translate").refused(ENGLISH[0], *given, "--attention", tmp_path / "a.safetensors")
    for output in ("a.png", "a.html"):
        assert "no attention" in command("inspect").refused(ENGLISH[0], *given, "--output", tmp_path / output)
    assert "no attention" in command("align").refused(*given, stdin="a ||| b\n")
    assert list(tmp_path.iterdir()) == []

    translator = Translator.load(directory)
    for asked in (
        lambda: translator.attention("a", "b"),
        lambda: translator.align([("a", "b")]),
        lambda: translator.translate("a", heads=True),
        lambda: translator.translate(ENGLISH[0]).pharaoh,
        lambda: explorer_page([translator.translate(ENGLISH[0])]),
    ):
        with pytest.raises(UserError, match="no attention"):
            asked()
    found = translator.translate(["", ENGLISH[0]], n_best=2)
    for one in (*found, *found[1].hypotheses):
        assert one.attention is None and one.alignment is None and one._repr_html_() is None
        assert one.as_dict()["attention"] is None and one.as_dict()["alignment"] is None
    assert command("translate")(ENGLISH[0], *given).output.strip() == found[1].text


def test_a_head_beside_it_does_not_pretend_to_be_its_attention(tmp_path):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=1, type="rnnencdec")
    (directory / "aligner.safetensors").write_bytes(b"whatever it holds")
    write_checkpoint_metadata(directory, Checkpoint(directory).metadata.record)
    translator = Translator.load(directory)
    assert translator.aligner is None and translator.translate(ENGLISH[0]).attention is None


def test_pictures_of_a_network_without_self_attention(tmp_path, checkpoints, command):
    given = ["--checkpoint", checkpoints("rnnsearch")]
    assert command("translate")(ENGLISH[0], *given, "--attention", tmp_path / "a.safetensors").status == 0
    assert set(load_file(tmp_path / "a.safetensors")) == {"0.cross"}
    assert command("translate")(ENGLISH[0], *given, "--show", "alignment", "--plot", tmp_path / "a.png").status == 0
    assert command("inspect")(ENGLISH[0], *given, "--heads", "cross", "--output", tmp_path / "heads.png").status == 0
    assert command("inspect")(ENGLISH[0], *given, "--output", tmp_path / "page.html").status == 0
    assert "choose cross" in command("inspect").refused(
        ENGLISH[0], *given, "--heads", "encoder", "--output", tmp_path / "none.png"
    )
    translation = Translator.load(given[1]).translate(ENGLISH[0], heads=True)
    assert translation.heads.encoder is None and translation.heads.decoder is None
    heads = page_data([translation])["sentences"][0]["hypotheses"][0]["heads"]
    assert "cross" in heads and not {"encoder", "decoder"} & set(heads)
    with pytest.raises(UserError, match="choose cross"):
        plot_heads(translation.heads, tmp_path / "none.png", "decoder")


@pytest.mark.parametrize(
    ("name", "mention"),
    [("rnnsearch", "model.type rnnsearch"), ("local", "model.attention local"), ("linear", "model.attention linear")],
)
def test_export_refuses_what_ctranslate2_cannot_compute(checkpoints, command, tmp_path, name, mention):
    directory = checkpoints(name)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    assert mention in command("export").refused(directory, "--output", tmp_path / "model")
    assert mention in command("export").refused(directory, "--quantization", "int8")
    assert {path: path.read_bytes() for path in directory.iterdir()} == before and not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=mention):
        Translator.load(directory, "ctranslate2")
    assert not Translator.load(directory).fast


@pytest.mark.parametrize("positions", ["learned", "none"])
def test_ctranslate2_keeps_other_positions(tmp_path, positions):
    directory = write_tiny_checkpoint(tmp_path / "tiny", steps=60, positions=positions)
    texts = [Translator.load(directory, engine).translate(ENGLISH) for engine in ("torch", "ctranslate2")]
    assert [one.text for one in texts[0]] == [one.text for one in texts[1]]
