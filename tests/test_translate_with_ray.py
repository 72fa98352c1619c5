"""Translation on a Ray cluster: every row once and in order, whatever is killed meanwhile, and only what is missing."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENGLISH

from nmt import Translator
from nmt.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "translate_with_ray.py"

specification = importlib.util.spec_from_file_location("translate_with_ray", SCRIPT)
assert specification and specification.loader
script = importlib.util.module_from_spec(specification)
specification.loader.exec_module(script)


@given(content=st.binary(max_size=60) | st.text("ab\n\r", max_size=40).map(str.encode), size=st.integers(1, 20))
@settings(deadline=None)
def test_slices_of_a_text_hold_each_line_once(tmp_path_factory, content, size):
    path = tmp_path_factory.getbasetemp() / "text"
    path.write_bytes(content)
    slices = [script.read_slice(path, first, first + size) for first in range(0, len(content), size)]
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines  # a text ends with a line's end, or with a last line without one
    expected = [line.removesuffix(b"\r") for line in lines] if content else []
    assert [text for texts, _ in slices for text in texts] == [line.decode("utf-8", "replace") for line in expected]
    problems = [problem is not None for _, found in slices for problem in found]
    assert problems == [line.decode("utf-8", "ignore").encode() != line for line in expected]


@pytest.mark.parametrize("group", [1, 4, 100])
def test_slices_of_a_table_hold_each_row_once(tmp_path, group):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"n": list(range(23))}), path, row_group_size=group)
    read = [script.read_rows(path, first, min(first + 5, 23))["n"].to_pylist() for first in range(0, 23, 5)]
    assert [number for part in read for number in part] == list(range(23))
    assert [len(part) for part in read] == [5, 5, 5, 5, 3]


def descendants(process: int) -> list[int]:
    """The process ids below a process."""
    children = Path(f"/proc/{process}/task/{process}/children")
    try:
        below = [int(child) for child in children.read_text().split()]
    except OSError:
        return []
    return below + [one for child in below for one in descendants(child)]


def actors(process: int) -> list[int]:
    """The translator actors below a process; Ray names each process by what it does."""
    found = []
    for one in descendants(process):
        try:
            if Path(f"/proc/{one}/cmdline").read_text().startswith("ray::MapWorker"):
                found.append(one)
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the actors in /proc, which Linux has")
def test_a_killed_actor_loses_and_repeats_nothing(tmp_path, tiny_checkpoint):
    pytest.importorskip("ray", reason="ray is not installed: pip install -e .[ray]")
    sentences = [f"{ENGLISH[number % len(ENGLISH)][:-1]} {number}." for number in range(240)]
    sentences[100] = "stars " * 100  # longer than the model takes
    (tmp_path / "text.txt").write_text("".join(f"{one}\n" for one in sentences), encoding="utf-8")
    rows = {"id": list(range(40)), "text": [None, *sentences[:39]]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    output = tmp_path / "out"
    command = [sys.executable, SCRIPT, tmp_path / "text.txt", tmp_path / "rows.parquet", "--output", output]
    command += ["--checkpoint", tiny_checkpoint, "--workers", "2", "--column", "text", "--beam", "1"]
    command += ["--slice-bytes", "500", "--slice-rows", "15"]
    # Ray's workers yield to everything else (niceness 15), and the suite may run beside other work.
    environment = {**os.environ, "RAY_worker_niceness": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(output.glob("*.jsonl")) and process.poll() is None:
        time.sleep(0.01)
    killed = actors(process.pid)[-1:]
    for actor in killed:
        os.kill(actor, signal.SIGKILL)
    told, errors = process.communicate()
    assert process.returncode == 0 and killed, errors
    shards = sorted(output.glob("*.jsonl"))
    summary = json.loads(told.splitlines()[-1])  # Ray tells of the killed actor before
    assert summary["rows"] == 280 and summary["shards"] == len(shards) > 20

    found = [json.loads(line) for shard in shards for line in shard.read_text(encoding="utf-8").splitlines()]
    assert [row["source"] for row in found[:240]] == sentences
    assert [(row["id"], row["text"]) for row in found[240:]] == list(zip(rows["id"], rows["text"], strict=True))
    (refused,) = [row for row in found if row["problem"]]
    assert refused["source"] == sentences[100] and refused["translation"] is None
    translator = Translator.load(tiny_checkpoint)
    for row in [*found[:20], *found[241:250]]:
        alone = translator.translate(row.get("source") or row["text"], beam=1)
        assert (row["translation"], row["alignment"]) == (alone.text, alone.pharaoh)
        assert row["score"] == pytest.approx(alone.score, abs=1e-4)

    # Again with all shards there: nothing is to do, and Ray is not even started.
    script.main([str(word) for word in command[2:]])
    assert json.loads((output / script.SUMMARY).read_text()) == {**summary, "rows_this_time": 0, "seconds": 0.0}
    with pytest.raises(UserError, match="begun with other slices"):
        script.main([str(word) for word in [*command[2:], "--slice-rows", "16"]])
