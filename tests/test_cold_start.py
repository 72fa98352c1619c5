"""nmt-translate starts without the heavy libraries: what a process has imported is looked at as it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ["torch", "datasets", "pyarrow", "matplotlib", "pydantic", "sacrebleu", "tqdm"]
RUNNER = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from nmt.cli.translate import entry
sys.exit(entry())
"""


def python(code: str, *arguments: object) -> tuple[str, set[str]]:
    """The output of a program and the modules that it names in the last line of its errors."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ended.stdout, set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("form", ["text", "json"])
def test_translating_imports_nothing_heavy(tiny_checkpoint, form):
    sentence = "Where is the station?"
    arguments = ["--checkpoint", tiny_checkpoint, "--threads", 1, "--format", form]
    _, modules = python(RUNNER, sentence, *arguments)  # the first time may convert the network
    assert not modules & {"torch", "datasets", "pyarrow", "matplotlib", "sacrebleu", "tqdm"}
    output, modules = python(RUNNER, sentence, *arguments)
    assert output.strip() and (form == "text" or json.loads(output)["alignment"])
    assert "ctranslate2" in modules and "sentencepiece" in modules  # it did translate, by the fast engine
    assert not modules & set(HEAVY)


def test_help_imports_nothing_at_all():
    output, modules = python(RUNNER, "--help")
    assert "usage: nmt-translate" in output
    assert not modules & {*HEAVY, "ctranslate2", "sentencepiece", "numpy"}


def test_the_package_is_lazy():
    code = "import json, sys, nmt; nmt.__version__; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    _, modules = python(code)
    assert {name for name in modules if name.startswith("nmt")} == {"nmt"}
    assert not modules & {*HEAVY, "ctranslate2", "sentencepiece", "numpy"}
    code = "import json, sys; from nmt import Translator; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    _, modules = python(code)
    assert "nmt.translator" in modules and not modules & {*HEAVY, "ctranslate2"}


def test_an_unknown_name_is_an_attribute_error():
    import nmt

    with pytest.raises(AttributeError, match="Translatr"):
        nmt.Translatr  # noqa: B018
