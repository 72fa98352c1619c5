"""Training: it learns, it stops when it should, and a broken-off run ends with the weights of an unbroken one."""

import math
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from toy import NAMES, toy_config, toy_pairs, write_pairs
from toy_runs import fit, metadata, validations, weights

from nmt.checkpoint import Checkpoint
from nmt.config import TrainingConfig, load_config
from nmt.files import sha256_of
from nmt.training import loop, loss
from nmt.training.log import RunLog, read_log
from nmt.training.run import train
from nmt.training.schedule import learning_rate
from nmt.training.state import averaged_steps, needed_steps

ROOT = Path(__file__).resolve().parent.parent


# --- learning -------------------------------------------------------------------------------------------------


def test_it_learns_a_toy_language(place):
    directory = fit(place, "learned", "training.max_steps=700", "training.validate_every=100", "model.dropout=0.0")
    losses = [record["loss"] for record in validations(directory)]
    assert losses[-1] < 0.2 * math.log(len(NAMES)) < losses[0]  # guessing a digit's name costs log 10 nats
    from nmt import Translator

    translator = Translator.load(directory)
    unseen = toy_pairs(340)[:60]
    found = translator.translate([source for source, _ in unseen])
    assert sum(one.text == target for one, (_, target) in zip(found, unseen, strict=True)) >= 55


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(place, whole):
    assert weights(fit(place, "again")) == weights(whole)
    assert weights(fit(place, "other", "training.seed=2")) != weights(whole)


def test_log_and_metadata_tell_what_happened(whole, place):
    records = read_log(whole)
    steps = {kind: [record["step"] for record in records if record["kind"] == kind] for kind in ("train", "validation")}
    assert steps["validation"] == [12, 24, 36, 48, 60] and steps["train"] == [20, 40, 60]
    for record in records:
        fields = {"train": {"epoch", "learning_rate", "tokens_per_second"}, "validation": {"bleu", "chrf"}}
        assert set(record) == {"kind", "step", "loss", "seconds"} | fields[record["kind"]]
        assert math.isfinite(record["loss"]) and record["seconds"] >= 0
    settings = load_config(place / "run.yaml").training
    for record in records:
        if record["kind"] == "train":
            share = (record["step"] - 1) / settings.max_steps
            assert record["learning_rate"] == pytest.approx(learning_rate(settings, record["step"], share))

    told = metadata(whole)
    assert told["steps"] == 60 and told["seed"] == 1 and told["source"] == "digits" and told["target"] == "names"
    assert told["versions"]["torch"] == torch.__version__ and told["versions"]["python"] == sys.version.split()[0]
    assert told["parameters"] == sum(array.size for array in load_file(whole / "weights.safetensors").values())
    assert told["files"]["weights.safetensors"] == sha256_of(whole / "weights.safetensors")
    assert set(told["files"]) == {"config.yaml", "subwords.model", "weights.safetensors"}
    assert {"corpus_sha256", "minutes", "threads", "target_pieces", "epochs"} <= set(told)
    assert Checkpoint(whole).path("config.yaml").exists()


def test_the_corpus_hash_is_the_files_own(tmp_path):
    path = toy_config(tmp_path, training={"max_steps": 1})
    one = {"data.train": "train", "data.dev": "null", "data.test": "null"}
    file = tmp_path / "train.tsv"
    overrides = [f"{key}={file if value == 'train' else value}" for key, value in one.items()]
    directory = train(load_config(path, overrides))
    assert metadata(directory)["corpus_sha256"] == sha256_of(file)


# --- going on after an end that was not planned -----------------------------------------------------------------


STRUCK = """
import os, sys
from nmt.cli.train import entry
from nmt.training import loss
left, number, real = int(sys.argv.pop(1)), int(sys.argv.pop(1)), loss.batch_loss
def struck(*given):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), number)
    return real(*given)
loss.batch_loss = struck
sys.exit(entry())
"""
"""nmt-train that sends itself a signal at its n-th batch; `tests/test_crash.py` has other moments."""


@pytest.mark.parametrize(
    "number, overrides",
    [
        (signal.SIGINT, ["subwords.sampling=0.3", "training.average=last", "training.threads=2"]),
        (
            signal.SIGKILL,
            ["training.accumulate=2", "training.average=best", "training.optimizer=muon", "training.threads=2"],
        ),
        (signal.SIGHUP, ["training.validate_every=40"]),
    ],
    ids=["SIGINT", "SIGKILL", "SIGHUP"],
)
def test_an_interrupted_run_ends_as_an_unbroken_one(place, number, overrides):
    overrides = [*overrides, "training.max_steps=84"]
    unbroken = fit(place, f"unbroken-{number.name}", *overrides)
    directory = place / f"broken-{number.name}"
    batch = random.Random(number).randint(30, 80)
    command = [sys.executable, "-c", STRUCK, str(batch), str(int(number)), place / "run.yaml"]
    command += [f"checkpoint={directory}", *overrides]
    # As in a terminal: under nohup, the suite's children would ignore it.
    as_in_a_terminal = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)}
    process = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **as_in_a_terminal)
    errors = process.stderr
    told = f"signal at batch {batch}: {errors}"
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130), told
    assert not (directory / "metadata.json").exists(), told
    if number != signal.SIGKILL:
        assert "--resume" in errors.splitlines()[-1]

    fit(place, directory.name, *overrides, resume=True)
    assert weights(directory) == weights(unbroken), told
    assert validations(directory) == validations(unbroken), told
    told_by_both = [{**metadata(one), "minutes": None, "files": None, "sha256": None} for one in (directory, unbroken)]
    assert told_by_both[0] == told_by_both[1]


def test_a_run_that_was_killed_before_its_first_state_begins_anew(place, whole, command):
    directory = place / "early"
    directory.mkdir()
    shutil.copy(whole / "config.yaml", directory)  # all that a run leaves which was killed at once
    status, _, lines = command("train")(place / "run.yaml", f"checkpoint={directory}", "--resume")
    assert status == 0 and any("from the beginning" in line for line in lines)
    assert weights(directory) == weights(whole)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "name, damage",
    [("weights-00000048.safetensors", flip), ("progress.json", Path.unlink), ("checksums.json", truncate)],
)
def test_a_damaged_newest_state_means_the_one_before(place, whole, tmp_path, command, name, damage):
    directory = tmp_path / "run"
    shutil.copytree(whole, directory)
    (directory / "metadata.json").unlink()
    damage(directory / "training" / "step-00000060" / name)
    status, _, lines = command("train")(place / "run.yaml", f"checkpoint={directory}", "--resume")
    assert status == 0
    (said,) = [line for line in lines if line.startswith("resuming from")]
    assert "step-00000048 (step-00000060 is damaged: " in said and (name in said or name == "checksums.json")
    assert weights(directory) == weights(whole)
    assert validations(directory) == validations(whole)


def test_no_whole_state_is_said_in_one_line(place, whole, tmp_path, command):
    directory = tmp_path / "run"
    shutil.copytree(whole, directory)
    states = sorted((directory / "training").glob("step-*"))
    assert len(states) == 2
    for state in states:
        flip(state / "optimizer.pt")
    status, _, lines = command("train")(place / "run.yaml", f"checkpoint={directory}", "--resume")
    assert status == 2
    assert [line for line in lines if line.startswith("nmt-train:")] == [lines[-1]]
    assert "damaged" in lines[-1] and "--overwrite" in lines[-1]


def test_leftovers_of_a_killed_write_are_cleared(place, whole, tmp_path):
    directory = tmp_path / "run"
    shutil.copytree(whole, directory)
    names = [".weights.safetensors.abcd1234", ".README.md._bcd1234", "training/.step-00000072.abcd1234"]
    left = [directory / name for name in names]
    for path in left:
        path.mkdir()
        (path / "half").write_bytes(b"x" * 1000)
    train(load_config(place / "run.yaml", [f"checkpoint={directory}"]), resume=True)
    assert not [path for path in left if path.exists()]
    assert weights(directory) == weights(whole)


def test_a_changed_corpus_is_not_resumed(tmp_path, command):
    path = toy_config(tmp_path, training={"max_steps": 24})
    train(load_config(path))
    write_pairs(tmp_path / "train.tsv", toy_pairs(340, seed=5)[60:])
    status, _, lines = command("train")(path, "--resume")
    assert status == 2 and "corpus" in lines[-1] and "changed" in lines[-1]


# --- numbers ----------------------------------------------------------------------------------------------------


def test_a_step_whose_gradient_is_not_finite_is_skipped(place, monkeypatch, capfd):
    seen: list[list[torch.Tensor]] = []
    real = loss.batch_loss

    def poisoned(model, *arguments):
        seen.append([parameter.detach().clone() for parameter in model.parameters()])
        return real(model, *arguments) * (math.nan if len(seen) == 3 else 1)

    monkeypatch.setattr(loss, "batch_loss", poisoned)
    directory = fit(place, "poisoned", "training.max_steps=24")
    assert [line for line in capfd.readouterr().err.splitlines() if "step 3" in line and "skipped" in line]
    same = [all(map(torch.equal, *pair)) for pair in zip(seen, seen[1:], strict=False)]
    assert same == [number == 2 for number in range(len(same))]  # only the third step changed nothing
    assert all(np.isfinite(array).all() for array in load_file(directory / "weights.safetensors").values())
    assert all(math.isfinite(record["loss"]) for record in read_log(directory))


def test_a_dev_loss_that_is_not_finite_stops_the_run_with_the_last_good_state(place, monkeypatch, command):
    real, calls = loss.batch_loss, []

    def ruins(model, *arguments):
        calls.append(1)
        if len(calls) == 15:
            with torch.no_grad():
                model.output_bias.fill_(math.nan)
        return real(model, *arguments)

    monkeypatch.setattr(loss, "batch_loss", ruins)
    directory = place / "ruined"
    status, _, lines = command("train")(place / "run.yaml", f"checkpoint={directory}")
    assert status == 2 and "not finite" in lines[-1] and lines[-1].startswith("nmt-train:")
    assert [path.name for path in (directory / "training").glob("step-*")] == ["step-00000012"]


def test_early_stopping(place):
    # At this rate no weight changes in float32, so that no validation is better than the first.
    still = ["training.learning_rate=1e-12", "training.patience=2", "training.validate_every=5"]
    directory = fit(place, "patient", *still)
    losses = [record["loss"] for record in validations(directory)]
    assert len(losses) == 3 and len(set(losses)) == 1
    assert metadata(directory)["steps"] == 15


def test_a_budget_of_minutes_ends(place):
    directory = fit(place, "minutes", "training.max_steps=null", "training.max_minutes=0.02")
    told, records = metadata(directory), validations(directory)
    assert 0 < told["steps"] == records[-1]["step"]
    seconds = [record["seconds"] for record in read_log(directory)]
    assert seconds == sorted(seconds) and seconds[-1] >= 1.2
    # Nothing was trained after the budget: whatever came before the last validation began within it.
    assert all(record["seconds"] <= 1.2 + 5 for record in read_log(directory) if record["kind"] == "train")


def test_a_budget_of_epochs_ends_with_every_pair_seen_so_often(place, monkeypatch):
    seen: list[int] = []
    real = loop.EncodedPairs.batch

    def counted(self, rows, seed=None, kinds=None):
        if seed is not None:
            seen.extend(rows.tolist())
        return real(self, rows, seed, kinds)

    monkeypatch.setattr(loop.EncodedPairs, "batch", counted)
    fit(place, "epochs", "training.max_steps=null", "training.max_epochs=2")
    assert sorted(seen) == sorted([*range(280), *range(280)])


@pytest.mark.parametrize(
    ("kind", "steps"), [("last", [50, 40, 30]), ("best", [40, 20, 50]), ("none", [40])], ids=["last", "best", "none"]
)
def test_the_average_is_of_the_last_or_the_best_steps(kind, steps):
    settings = TrainingConfig(max_steps=50, average=kind, average_count=3)
    history = [[3.0, 10], [1.5, 20], [2.5, 30], [1.0, 40], [2.0, 50]]
    assert averaged_steps(settings, history) == steps
    assert needed_steps(settings, history) == sorted({*steps, 40})


@pytest.mark.parametrize("better", [True, False], ids=["the-mean-is-better", "the-mean-is-worse"])
@pytest.mark.parametrize("kind", ["last", "best", "none"])
def test_the_final_weights_are_the_mean_of_the_right_steps(place, kind, better, monkeypatch):
    kept: dict[int, dict] = {}
    real = loop.save_state

    def keep(directory, progress, model, *arguments):
        weights = {name: parameter.detach().double().numpy().copy() for name, parameter in model.named_parameters()}
        kept[progress.step] = weights
        return real(directory, progress, model, *arguments)

    monkeypatch.setattr(loop, "save_state", keep)
    monkeypatch.setattr("nmt.training.run.dev_loss", lambda *_: 0.0 if better else 100.0)  # of the chosen weights
    # A rate far too high: dev losses go up and down, so that the best checkpoints are not the last.
    overrides = [f"training.average={kind}", "training.learning_rate=0.05", "training.schedule=constant"]
    directory = fit(place, f"average-{kind}-{better}", *overrides, "training.validate_every=6")
    history = [(record["loss"], record["step"]) for record in validations(directory)]
    if kind == "last":
        steps = [step for _, step in history[-2:]]
    else:
        steps = [step for _, step in sorted(history)[: 2 if kind == "best" else 1]]
    found, told = load_file(directory / "weights.safetensors"), metadata(directory)["weights"]
    if not better:  # then the best single checkpoint is taken
        steps = [min(history)[1]]
    assert told == (f"mean of steps {sorted(steps)}" if len(steps) > 1 else f"step {steps[0]}")
    for name, array in found.items():
        mean = np.mean([kept[step][name] for step in steps], axis=0).astype(np.float32)
        np.testing.assert_array_equal(array, mean, err_msg=name)


def test_the_log_drops_what_a_resumed_run_writes_again(tmp_path):
    log = RunLog(tmp_path, 0)
    for step in (10, 20, 30):
        log.write("train", step, loss=1.0)
    log.close()
    with open(tmp_path / "log.jsonl", "ab") as file:
        file.write(b'\xff\0{"kind": "tr\n{"kind": "train", "st')  # what a crash may leave
    RunLog(tmp_path, 20).close()
    assert [record["step"] for record in read_log(tmp_path)] == [10, 20]
