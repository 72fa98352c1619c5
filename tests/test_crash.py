"""A short form of scripts/reliability/crash.py: runs broken in every way, resumed, compared bit for bit."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_broken_runs_end_as_unbroken_ones():
    # In a process of its own: children are forked from it, so that no thread may have been started there.
    command = [sys.executable, "-m", "scripts.reliability.crash", "--runs", "6", "--seed", "5"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr[-3000:]
    rows = [re.findall(r"\| (.+?) \| (\d+) \| (\d+) \| (\d+) \|", line)[0] for line in ended.stdout.splitlines()[2:]]
    faults = " ".join(name for name, *_ in rows)
    assert "killed" in faults and "every saved state" in faults and "loading" in faults and "one file" in faults
    assert all(int(runs) == int(survived) > 0 == int(lost) for _, runs, survived, lost in rows)
    skipped = [line for line in ended.stderr.splitlines() if "skipped, " in line]  # without root, two kinds are
    assert len(skipped) + sum("disk full" in name or "read-only" in name for name, *_ in rows) == 2
