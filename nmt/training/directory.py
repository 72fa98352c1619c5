"""The directory of a run: locking, contents, beginning and resuming."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from nmt.checkpoint import ALIGNER, CONFIG, KNOWN_WORDS, METADATA, SUBWORDS, WEIGHTS, write_text
from nmt.config import RunConfig, dump_config, load_config
from nmt.errors import UserError
from nmt.files import atomic_path, remove_scratch
from nmt.text.subwords import Subwords
from nmt.training.card import CARD
from nmt.training.distributed import launch, same_launch
from nmt.training.log import LOG
from nmt.training.state import Progress, State, find_state

LOCK = ".lock"
OWN_FILES = (CONFIG, SUBWORDS, KNOWN_WORDS, LOG, "tensorboard", "training", WEIGHTS, ALIGNER, CARD, METADATA)
"""Files of a run, except the lock."""
BUDGET = {"max_steps", "max_epochs", "max_minutes", "patience"}
"""Keys of `training` that may change when a run resumes."""
LAUNCH = "training/launch"
"""Which torchrun launch began the run."""


@contextlib.contextmanager
def run_lock(directory: Path) -> Iterator[None]:
    """Lock `directory` for this process; create it, and remove it again if it stays empty.

    The lock is the kernel's (flock) on the file `.lock`, which names the owner. The kernel releases it when the owner
    ends; after a crash only the name remains, and the next run takes over with a warning. Across hosts it needs a file
    system that shares flock, such as NFS without local locks. Raises UserError while another process holds it.
    """
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / LOCK
    try:
        with FileLock(path, timeout=0):
            if left := _owner(path):
                print(f"taking over the lock of {left}, which did not exit cleanly", file=sys.stderr)
            since = time.strftime("%Y-%m-%d %H:%M:%S %z")
            path.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}))
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # a read-only disk must not hide the original error
                    path.unlink()  # filelock handles processes that opened the file meanwhile
                    if made:
                        directory.rmdir()
    except Timeout:
        owner = _owner(path) or "another process"
        raise UserError(f"{directory} is in use by {owner}; wait for its end, or choose another checkpoint") from None


def check_place(directory: Path, resume: bool) -> None:
    """Check the directory before it is locked. Raises UserError."""
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is not a directory; set checkpoint to another place")
    if resume and not directory.exists():
        raise UserError(f"there is no run in {directory} to resume; run without --resume")


def check_directory(directory: Path, config: RunConfig, resume: bool, overwrite: bool) -> State | None:
    """The state to resume from, or None to begin; also removes temporary files of killed writes. Raises UserError."""
    for name in OWN_FILES:
        remove_scratch(directory / name)
    if not resume:
        if any(path.name != LOCK for path in directory.iterdir()):
            if not overwrite:
                raise UserError(
                    f"{directory} is not empty; continue its run with --resume, or replace it with --overwrite"
                )
            if not _holds_a_run(directory):
                raise UserError(f"{directory} holds no run; --overwrite will not empty it")
        return None
    state = find_state(directory)
    kept = (state.place if state else directory) / CONFIG
    if not kept.exists():
        raise UserError(f"there is no run in {directory} to resume; run without --resume")
    remove_scratch(directory / "training/*")
    earlier = load_config(kept, warn=False)
    changed = changed_keys(earlier, config)
    guided = earlier.alignment.guide_weight or config.alignment.guide_weight
    other_head = changed and all(key.startswith("alignment.") for key in changed)
    if other_head and state and state.progress.finished and not guided:
        print("the translator is finished; training its alignment head anew", file=sys.stderr)
    elif changed:
        raise UserError(
            f"the run in {directory} has another configuration ({', '.join(changed)}); resume it with its own: "
            f"only training.{', '.join(sorted(BUDGET))} may change"
        )
    if state is None and (directory / METADATA).exists():
        raise UserError(f"{directory} is finished, without a state to go on from; replace it with --overwrite")
    if state is None:
        print(f"no state was saved in {directory} yet: training from the beginning", file=sys.stderr)
    if state and (news := changed_budget(earlier, config)):
        print(news, file=sys.stderr)
        state.progress.finished = False  # training decides anew
    if state and (spent := spent_budget(state.progress, config)):
        if not state.progress.validations:
            raise UserError(f"{spent}; the run in {directory} has no validation yet")
        print(spent, file=sys.stderr)
    return state


def changed_keys(before: RunConfig, now: RunConfig) -> list[str]:
    """The keys that differ, without those that may."""
    old, new = (
        dict(_leaves(one.model_dump(exclude={"checkpoint": True, "training": BUDGET}))) for one in (before, now)
    )
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _leaves(tree: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def changed_budget(before: RunConfig, now: RunConfig) -> str:
    """One line on the changed budget of a resumed run and its learning rate; empty if unchanged."""
    changes = [
        f"training.{key} {old} -> {new}"
        for key in sorted(BUDGET)
        if (old := getattr(before.training, key)) != (new := getattr(now.training, key))
    ]
    if not changes:
        return ""
    if now.training.schedule in ("cosine", "linear"):
        rate = f"the {now.training.schedule} schedule spans the new budget, and the next rate is the one due there"
    else:
        rate = "the learning rate is as before"
    return f"{', '.join(changes)}: {rate}"


def write_changes(directory: Path, config: RunConfig, state: State) -> None:
    """Write the configuration of a resumed run whose budget changed, or the alignment of its finished translator; an
    alignment head of the old configuration is removed."""
    earlier = load_config(directory / CONFIG, warn=False)
    if earlier.alignment != config.alignment:
        state.change_alignment(dump_config(config))
        (directory / ALIGNER).unlink(missing_ok=True)
    elif not changed_budget(earlier, config):
        return
    write_text(directory / CONFIG, dump_config(config))


def spent_budget(progress: Progress, config: RunConfig) -> str:
    """One line if the translator's budget is spent: which, and how to raise it; else empty."""
    for unit, done in (("steps", progress.step), ("epochs", progress.epoch), ("minutes", progress.seconds / 60)):
        most = getattr(config.training, f"max_{unit}")
        if most is not None and done >= most:
            told = f"the translator's budget of {most:,.10g} {unit} is spent"
            return f"{told}; raise it to train on: --resume training.max_{unit}={math.ceil(2 * done)}"
    return ""


def _holds_a_run(directory: Path) -> bool:
    try:
        load_config(directory / CONFIG, warn=False)
    except UserError:
        return False
    return True


def began_before_restart(directory: Path, overwrite: bool) -> bool:
    """Whether torchrun restarted this process to continue a run that its launch began here."""
    try:
        before, now = json.loads((directory / LAUNCH).read_text()), launch()
        return same_launch(before, now) and (before == now or not overwrite)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def begin_directory(directory: Path, config: RunConfig, subwords: Subwords) -> None:
    """Remove an earlier run's files, then write the configuration and subword model, from which the run can resume.

    Other files stay.
    """
    for path in (directory / name for name in OWN_FILES if name != CONFIG):  # CONFIG marks the directory as a run's
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_text(directory / CONFIG, dump_config(config))
    if started := launch():
        write_text(directory / LAUNCH, json.dumps(started))
    if subwords.known_words:
        write_text(directory / KNOWN_WORDS, "\n".join(sorted(subwords.known_words.words)) + "\n")
    with atomic_path(directory / SUBWORDS) as temporary:
        subwords.save(temporary)


def _owner(path: Path) -> str | None:
    """The owner named in the lock file; None if there is none."""
    try:
        told = json.loads(path.read_text())
        return f"process {told['process']} on {told['host']} (since {told['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
