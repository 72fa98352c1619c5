"""The scripts of the explorer and of the translator page: unit tests of their arithmetic in Node, and the linter."""

import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from tools import missing, program

TESTS = Path(__file__).parent / "javascript"


def test_arithmetic_in_node():
    node = program("node", "apt-get install nodejs")
    scripts = sorted(str(path) for path in TESTS.glob("*.test.mjs"))
    result = subprocess.run([node, "--test", *scripts], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"pass [1-9]\d", result.stdout)


def test_linter_finds_nothing():
    oxlint = shutil.which("oxlint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if oxlint is None:
        missing("oxlint is not installed (pip install oxlint)")
    sources = [str(files("nmt.inspection") / "explorer"), str(files("nmt.page")), str(TESTS)]
    command = [oxlint, "--deny-warnings", "-D", "correctness", "-D", "suspicious", *sources]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
