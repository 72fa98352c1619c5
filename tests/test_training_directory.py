"""Directories that training may not use: nothing in them is lost, and one line says why."""

import contextlib
import shutil

import pytest
from toy_runs import fit, metadata, weights

from nmt.checkpoint import Checkpoint, find_checkpoint
from nmt.config import load_config
from nmt.errors import UserError
from nmt.training.run import train


def test_a_finished_checkpoint_without_a_state_is_not_begun_anew(place, whole, tmp_path):
    """A clone has the shipped checkpoint, but not what it was trained with."""
    copy = tmp_path / "run"
    shutil.copytree(whole, copy, ignore=shutil.ignore_patterns("training"))
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(UserError, match="finished, without a state"):
        train(load_config(place / "run.yaml", [f"checkpoint={copy}"]), resume=True)
    assert {name: (copy / name).read_bytes() for name in before} == before


def test_a_run_resumed_from_an_older_state_ends_in_the_same_weights(place, whole, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    newest = max((copy / "training").glob("step-*"))
    (newest / "optimizer.pt").write_bytes(b"damaged")
    train(load_config(place / "run.yaml", [f"checkpoint={copy}"]), resume=True)
    assert (copy / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_another_configuration_is_not_resumed(place, whole, command):
    before = weights(whole)
    line = command("train").refused(place / "run.yaml", f"checkpoint={whole}", "training.seed=7", "--resume")
    assert "another configuration (training.seed)" in line
    assert "only training.max_epochs, max_minutes, max_steps, patience may change" in line
    assert weights(whole) == before


def test_a_full_directory_is_refused_without_overwrite(place, whole, tmp_path, command):
    before = weights(whole)
    line = command("train").refused(place / "run.yaml", f"checkpoint={whole}")
    assert "--resume" in line and "--overwrite" in line
    assert weights(whole) == before

    directory = tmp_path / "run"
    shutil.copytree(whole, directory)
    train(load_config(place / "run.yaml", [f"checkpoint={directory}", "training.max_steps=2"]), overwrite=True)
    assert metadata(directory)["steps"] == 2


def test_overwrite_empties_no_directory_that_holds_no_run(place, tmp_path, command):
    (tmp_path / "thesis.tex").write_text("years of work")
    line = command("train").refused(place / "run.yaml", f"checkpoint={tmp_path}", "--overwrite")
    assert "holds no run" in line
    (tmp_path / "config.yaml").write_text("of: another program\n")
    assert "holds no run" in command("train").refused(place / "run.yaml", f"checkpoint={tmp_path}", "--overwrite")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert (tmp_path / "config.yaml").read_text() == "of: another program\n"


def test_overwrite_leaves_what_no_run_has_written(place, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    (tmp_path / "run" / ".weights.safetensors.12345678").mkdir()  # left by a run that was killed
    overrides = [f"checkpoint={tmp_path / 'run'}", "training.max_steps=2"]
    train(load_config(place / "run.yaml", overrides), overwrite=True)
    assert metadata(tmp_path / "run")["steps"] == 2
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in whole.iterdir()} | {
        "thesis.tex"
    }
    states = [path.name for path in (tmp_path / "run" / "training").glob("step-*")]
    assert states == ["step-00000002"]


@pytest.mark.parametrize("flags", [[], ["--resume"], ["--overwrite"]])
def test_a_refused_directory_keeps_everything(place, tmp_path, command, flags):
    for name in (".ssh.original", ".config.disabled", "training/.git.20261126"):
        (tmp_path / name).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    command("train").refused(place / "run.yaml", f"checkpoint={tmp_path}", *flags)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_tilde_is_the_home_directory(place, tmp_path, command, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run = train(load_config(place / "run.yaml", ["checkpoint=~/m", "training.max_steps=1"]))
    assert run == tmp_path / "m" and [path.name for path in tmp_path.iterdir()] == ["m"]
    assert Checkpoint(find_checkpoint("~/m")).metadata.record["steps"] == 1
    assert "~nobodyhere" in command("train").refused(place / "run.yaml", "checkpoint=~nobodyhere/m")
    with pytest.raises(UserError, match="~nobodyhere"):
        find_checkpoint("~nobodyhere/m")


def test_a_file_in_the_place_of_the_directory(place, tmp_path, command):
    (tmp_path / "file").write_text("")
    for flags in ([], ["--overwrite"], ["--resume"]):
        line = command("train").refused(place / "run.yaml", f"checkpoint={tmp_path / 'file'}", *flags)
        assert str(tmp_path / "file") in line


def test_there_is_nothing_to_resume(place, tmp_path, command):
    assert "--resume" in command("train").refused(place / "run.yaml", f"checkpoint={tmp_path / 'none'}", "--resume")


def test_a_finished_run_goes_on_with_a_larger_budget(place, command):
    directory = fit(place, "larger", "training.max_steps=12")
    given = [place / "run.yaml", f"checkpoint={directory}", "--resume"]
    status, _, lines = command("train")(*given, "training.max_steps=24", "training.patience=9")
    news = [line for line in lines if "training.max_steps 12 -> 24" in line]
    assert status == 0 and len(news) == 1 and "training.patience None -> 9" in news[0] and "schedule" in news[0]
    assert metadata(directory)["steps"] == 24
    assert load_config(directory / "config.yaml").training.max_steps == 24
    status, _, lines = command("train")(*given, "training.max_steps=24", "training.patience=9")
    assert status == 0 and not any("->" in line or "put back" in line for line in lines)
    status, _, lines = command("train")(*given, "training.max_steps=12", "training.patience=9")
    assert status == 0  # spent: it ends as it is
    assert "the translator's budget of 12 steps is spent; raise it to train on: --resume training.max_steps=48" in lines
    assert metadata(directory)["steps"] == 24


def test_a_budget_that_was_spent_before_any_validation_is_refused(place, command, monkeypatch):
    from nmt.training import loop

    monkeypatch.setattr(loop, "graceful_signals", lambda: contextlib.nullcontext([2]))  # stopped after its first step
    with pytest.raises(KeyboardInterrupt):
        fit(place, "spent", "training.max_steps=24")
    monkeypatch.undo()
    given = [place / "run.yaml", f"checkpoint={place / 'spent'}", "--resume"]
    status, _, lines = command("train")(*given, "training.max_steps=1")
    assert status == 2 and "the translator's budget of 1 steps is spent" in lines[-1]
    assert command("train")(*given, "training.max_steps=12").status == 0
