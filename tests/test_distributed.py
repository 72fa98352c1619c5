"""Training by several processes: they share batches without gaps, agree with one process, and outlive a killed one."""

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import Fork
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from toy import toy_config

from nmt.cli.common import run
from nmt.cli.train import main
from nmt.config import load_config
from nmt.training.distributed import Ranks
from nmt.training.pairs import Feed
from nmt.training.run import train
from nmt.training.state import Progress

ROOT = Path(__file__).resolve().parent.parent
STEPS = 20


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=60),
    ranks=st.integers(1, 5),
    accumulate=st.integers(1, 4),
    steps=st.integers(1, 12),
)
def test_ranks_share_the_sequence_of_one_process_without_duplicates_or_gaps(lengths, ranks, accumulate, steps):
    pairs = SimpleNamespace(draw=lambda seed, epoch: None, lengths=lambda kinds: (np.array(lengths),) * 2)

    def sequence(count: int, taken: int) -> list[tuple]:
        feed = Feed(pairs, 20, 1, Progress())
        drawn = [feed.next() for _ in range(count * taken)]
        return [(fed.rows.tolist(), fed.seed) for fed in drawn]

    a_step = max(accumulate, ranks)
    whole = sequence(steps, a_step)
    for step in range(steps):
        batches = whole[step * a_step : (step + 1) * a_step]
        shares = [Ranks(rank, ranks).share(batches) for rank in range(ranks)]
        assert all(shares)  # gradients are exchanged in the last batch of each
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert sorted(str(one) for share in shares for one in share) == sorted(map(str, batches))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The toy corpus and its configuration: 20 steps; no dropout, which ranks draw each for itself; float32, because
    what is compared differs by the order of sums alone."""
    return toy_place(tmp_path_factory.mktemp("toy"))


def toy_place(place: Path, optimizer: str = "adamw") -> Path:
    training = {"max_steps": STEPS, "validate_every": 5, "learning_rate": 0.003, "precision": "float32"}
    toy_config(place, training={**training, "optimizer": optimizer}, model={"dropout": 0.0})
    return place


def two_processes(place: Path, name: str, accumulate: int, *options: str) -> subprocess.Popen:
    """Start two processes that train into `place/name`."""
    module = ["-m", "nmt.cli.train", place / "run.yaml", f"checkpoint={place / name}"]
    return subprocess.Popen(
        # torchrun looks each second: until it ends the others, they have the time to say that one is lost.
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *options]
        + ["--monitor-interval", "1"]
        + [*module, f"training.accumulate={accumulate}"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def one_process(place: Path, name: str, accumulate: int, resume: bool = False) -> Path:
    overrides = [f"checkpoint={place / name}", f"training.accumulate={accumulate}"]
    return train(load_config(place / "run.yaml", overrides), resume=resume)


def differences(one: Path, other: Path) -> tuple[float, float]:
    """The largest difference of the last weights of two runs, without and with the biases of keys."""
    mine, theirs = (
        load_file(place / "training" / f"step-{STEPS:08d}" / f"weights-{STEPS:08d}.safetensors")
        for place in (one, other)
    )
    assert mine.keys() == theirs.keys()
    apart = {name: abs(mine[name] - theirs[name]) for name in mine}
    biases = [apart[name][: len(apart[name]) // 2].max() for name in apart if name.endswith("key_value.bias")]
    for name in apart:
        if name.endswith("key_value.bias"):
            apart[name] = apart[name][len(apart[name]) // 2 :]
    rest = max(values.max() for values in apart.values())
    return float(rest), float(max(rest, *biases))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_end_with_the_weights_of_one(tmp_path, optimizer):
    place = toy_place(tmp_path, optimizer)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    def rank(number: int) -> int:
        world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        names = {**world, "RANK": number, "LOCAL_RANK": number}  # as torchrun sets them
        os.environ.update({name: str(value) for name, value in names.items()})
        settings = [f"checkpoint={place / 'two'}", "training.accumulate=2"]
        return run("nmt-train", main, [str(place / "run.yaml"), *settings])

    ended = [one.wait() for one in [Fork(partial(rank, number)) for number in range(2)]]
    errors = ended[0][1]
    assert [status for status, _ in ended] == [0, 0], ended
    assert "2 processes on cpu" in errors and (place / "two" / "metadata.json").exists()
    assert differences(place / "two", one_process(place, "one", 2))[1] < 1e-5


def kill_a_worker(agent: int) -> None:
    """Kill one of torchrun's workers; not the first, which is rank 0."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    os.kill(max(map(int, children)), signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc, which Linux has")
def test_a_killed_worker_and_another_number_of_processes(place):
    """Killed once, torchrun's restart resumes; killed again, the run stops, and one process brings it to its end."""
    process = two_processes(place, "killed", 3, "--max-restarts", "1")
    errors = ""
    for line in process.stderr or []:
        errors += line
        if line.startswith(("step 10, ", "resuming from")):  # the state of step 5 has been saved
            kill_a_worker(process.pid)
    process.wait()
    assert process.returncode != 0, errors
    assert "resuming from" in errors, errors
    assert "has lost another, which was killed or has failed; go on with --resume" in errors, errors
    assert not (place / "killed" / "metadata.json").exists()
    assert errors.count("train: 280 of 280 pairs") == 2, errors  # rank 0 alone prints, once a start

    one_process(place, "killed", 3, resume=True)
    # Three gradients are added in another order. The gradient of a key's bias is zero but for rounding (softmax does
    # not see what all keys share), which Adam scales up: the biases differ, and what the network computes does not.
    assert differences(place / "killed", one_process(place, "whole", 3))[0] < 1e-5
