"""Numbers that are not finite, two runs in one place, files altered behind the program's back."""

import json
import math
import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import toy_config

from nmt import Translator
from nmt.checkpoint import METADATA, Checkpoint, write_checkpoint_metadata
from nmt.config import TrainingConfig, load_config
from nmt.engines.conversion import set_quantization
from nmt.errors import UserError
from nmt.training import loop, loss
from nmt.training.directory import LOCK, run_lock
from nmt.training.log import RunLog
from nmt.training.run import train
from nmt.training.state import Progress

# --- numbers ----------------------------------------------------------------------------------------------------

MAGNITUDES = st.sampled_from([math.nan, math.inf, -math.inf, 3e38, -1e30, 1.9e19, 1.7e19, 1.0, 1e-30, 0.0])


@given(values=st.lists(st.lists(MAGNITUDES, min_size=3, max_size=3), min_size=1, max_size=4), clip=st.booleans())
@settings(max_examples=150)
def test_no_gradient_that_is_let_through_poisons_a_moment(values, clip):
    # As the loop does it: the norm, the verdict, the step.
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter], lr=0.1, betas=(0.9, 0.98), fused=True)
    for gradient in values:
        parameter.grad = torch.tensor(gradient)
        norm = torch.nn.utils.clip_grad_norm_([parameter], 1.0 if clip else math.inf)
        if loss.non_finite_reason(1.0, norm.item()) is None:
            optimizer.step()
        else:  # nothing that could have been stepped on is refused
            assert not all(abs(value) < 1e19 for value in gradient)
        kept = [parameter, *(value for value in optimizer.state[parameter].values())]
        assert all(torch.isfinite(value).all() for value in kept)


def poison(monkeypatch, calls: set[int], value: float, of: str) -> None:
    """Make the loss, or the gradient alone, of the training batches numbered in `calls` not finite."""
    real, count = loss.batch_loss, [0]

    def poisoned(model, *arguments):
        found = real(model, *arguments)
        count[0] += 1
        if count[0] in calls:
            if of == "loss":
                return found * value
            found.register_hook(lambda gradient: gradient * value)
        return found

    monkeypatch.setattr(loss, "batch_loss", poisoned)


@pytest.mark.parametrize("of, value", [("loss", math.nan), ("loss", math.inf), ("gradient", math.nan)])
def test_a_poisoned_batch_is_named_and_leaves_no_trace(tmp_path, command, monkeypatch, of, value):
    path = toy_config(tmp_path, training={"max_steps": 8, "validate_every": 4, "accumulate": 2})
    seen, real = [], loop.EncodedPairs.batch

    def batch(self, rows, seed=None, kinds=None):
        if seed is not None:
            seen.append(self.numbers[rows])
        return real(self, rows, seed, kinds)

    monkeypatch.setattr(loop.EncodedPairs, "batch", batch)
    poison(monkeypatch, {5}, value, of)  # the first half of the third step
    ended = command("train")(path)
    assert ended.status == 0
    (said,) = [line for line in ended.errors if "skipped" in line]
    first = ", ".join(map(str, sorted(np.concatenate(seen[4:6]))[:5]))
    assert said.startswith(f"step 3 (epoch 0, batches up to 6, pairs {first} and "), said
    assert f"the {of} is not finite" in said
    state = torch.load(tmp_path / "run/training/step-00000008/optimizer.pt", weights_only=True)["optimizer"]["state"]
    assert {int(values["step"]) for values in state.values()} == {7}
    assert all(torch.isfinite(moment).all() for values in state.values() for moment in values.values())
    assert json.loads((tmp_path / "run" / METADATA).read_text())["skipped_steps"] == 1


def test_a_poisoned_batch_stops_the_run_when_that_is_asked(tmp_path, command, monkeypatch):
    path = toy_config(tmp_path, training={"max_steps": 8, "validate_every": 4, "non_finite": "stop"})
    poison(monkeypatch, {6}, math.nan, "loss")
    ended = command("train")(path)
    assert ended.status == 2 and ended.errors[-1].startswith("nmt-train: step 6 (epoch 0, batch 6, pairs ")
    assert "learning_rate" in ended.errors[-1] and "kept" in ended.errors[-1]
    assert [place.name for place in (tmp_path / "run/training").iterdir()] == ["step-00000004"]


def test_too_many_in_a_row_stop_the_run_even_over_a_resumption(tmp_path, command, monkeypatch):
    path = toy_config(
        tmp_path, training={"max_steps": 12, "validate_every": 6, "non_finite_limit": 3, "average": "none"}
    )
    real = loss.batch_loss
    poison(monkeypatch, {2, 3, 5, 6}, math.nan, "loss")  # never three in a row
    monkeypatch.setattr(loop, "out_of_patience", lambda *_: os.kill(os.getpid(), signal.SIGINT) or False)
    assert command("train")(path).status == 130
    monkeypatch.undo()
    assert real is loss.batch_loss
    poison(monkeypatch, {1}, math.nan, "loss")
    ended = command("train")(path, "--resume")
    assert ended.status == 2 and "3 steps in a row" in ended.errors[-1] and "non_finite_limit" in ended.errors[-1]


def test_a_skipped_step_counts_until_one_is_taken():
    progress = Progress(step=4)
    config = TrainingConfig(max_steps=9, non_finite_limit=2)
    assert "step 5 " in loop.skip_step(config, progress, "the loss is not finite", [np.array([3, 1])])
    with pytest.raises(UserError, match="pairs 1, 3"):
        loop.skip_step(config, progress, "the loss is not finite", [np.array([3, 1])])


# --- two runs in one directory ----------------------------------------------------------------------------------


def hold(directory: Path, ready) -> None:
    with run_lock(directory):
        ready.set()
        signal.pause()


def test_a_second_run_is_refused_and_a_killed_ones_lock_taken_over(tmp_path, command):
    path = toy_config(tmp_path, training={"max_steps": 1})
    directory = tmp_path / "run"
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    owner = context.Process(target=hold, args=(directory, ready))
    owner.start()
    try:
        while not ready.wait(1):  # on a busy machine no time is too long
            assert owner.is_alive()
        scratch = directory / ".weights.safetensors.abcd1234"  # what the owner may be writing just now
        scratch.mkdir()
        for flag in ([], ["--resume"], ["--overwrite"]):
            line = command("train").refused(path, *flag)
            assert f"process {owner.pid} on {os.uname().nodename}" in line and "since 2" in line
        assert scratch.exists()
        scratch.rmdir()
    finally:
        owner.kill()
        owner.join()
    ended = command("train")(path)
    assert ended.status == 0
    assert [line for line in ended.errors if f"taking over the lock of process {owner.pid}" in line]
    assert not (directory / LOCK).exists()
    assert not [line for line in command("train")(path, "--resume").errors if "taking over" in line]


def test_a_lock_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(ValueError), run_lock(tmp_path / "new"):
        raise ValueError
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with run_lock(tmp_path / "old"):
        pass
    assert not list((tmp_path / "old").iterdir())


@pytest.mark.parametrize("content", [b"", b"\xff\0", b"[1]", b'{"process": 3}'])
def test_whatever_a_lock_file_holds_it_is_taken_over(tmp_path, content):
    (tmp_path / LOCK).write_bytes(content)
    with run_lock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()


def encode(config: Path, barrier) -> None:
    barrier.wait()
    train(load_config(config, [f"checkpoint={config.parent / str(os.getpid())}"]))


def test_two_runs_that_encode_the_same_corpus_at_once(tmp_path):
    path = toy_config(tmp_path, training={"max_steps": 1})
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    both = [context.Process(target=encode, args=(path, barrier)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    one, other = (tmp_path / str(process.pid) / "weights.safetensors" for process in both)
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["encoded/*/source.ids", "corpora/*/train.arrow"])
def test_a_cache_that_was_damaged_is_made_again(tmp_path, name):
    path = toy_config(tmp_path, training={"max_steps": 2})
    first = train(load_config(path))
    file = min((tmp_path / "cache").glob(name))
    content = file.read_bytes()
    place = content.find(b"seven") if "arrow" in name else 0  # a letter, a piece: nothing that would be stumbled on
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    second = train(load_config(path, [f"checkpoint={tmp_path / 'second'}"]))
    assert (first / "weights.safetensors").read_bytes() == (second / "weights.safetensors").read_bytes()
    assert file.read_bytes() == content


def test_tensorboard_is_told_where_a_resumed_run_draws_again(tmp_path, monkeypatch):
    made = []

    class Writer:
        def __init__(self, place, purge_step):
            made.append((place, purge_step))

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    RunLog(tmp_path, 20).close()
    assert made == [(tmp_path / "tensorboard", 21)]


# --- checksums --------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=150)
def test_no_flipped_bit_of_the_metadata_changes_what_is_read(data, tiny_checkpoint, tmp_path_factory):
    whole = Checkpoint(tiny_checkpoint).metadata.record
    content = bytearray((tiny_checkpoint / METADATA).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    copy = tmp_path_factory.mktemp("flipped")
    (copy / METADATA).write_bytes(content)
    try:
        read = Checkpoint(copy).metadata.record
    except UserError as error:
        assert METADATA in str(error)
    else:  # white space, or the name of the checksum itself
        assert whole == {key: value for key, value in read.items() if key in whole}


def test_metadata_of_early_versions_has_no_checksum(tiny_checkpoint, tmp_path):
    copy = shutil.copytree(tiny_checkpoint, tmp_path / "early")
    told = json.loads((copy / METADATA).read_text())
    del told["sha256"]
    (copy / METADATA).write_text(json.dumps(told))
    assert Translator.load(copy).translate("Who left?", beam=1).text is not None
    write_checkpoint_metadata(copy, told)
    assert (copy / METADATA).read_bytes() == (tiny_checkpoint / METADATA).read_bytes()


def test_damage_is_not_signed_as_whole_when_the_metadata_change(tiny_checkpoint, tmp_path):
    copy = shutil.copytree(tiny_checkpoint, tmp_path / "damaged")
    content = bytearray((copy / "subwords.model").read_bytes())
    content[-1] ^= 1
    (copy / "subwords.model").write_bytes(content)
    with pytest.raises(UserError, match="subwords.model does not match"):
        set_quantization(copy, "int8")
