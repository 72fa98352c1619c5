"""The demo's server: right answers to many at once, limits with clear messages, no traceback, a clean end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from demo_server import Echo, EchoModels, ask, running

from nmt.cli.common import run
from nmt.cli.demo import main as demo
from nmt.demo.limits import RateLimit, Refused
from nmt.demo.models import Models
from nmt.errors import UserError
from nmt.translator import Translator


@pytest.fixture(scope="module")
def address():
    """A demo with stand-in models and generous limits."""
    with running(EchoModels()) as address:
        yield address


def translated(address: str, text: str, **options) -> dict:
    status, _, content = ask(address, "/api/translate", {"text": text, **options})
    assert status == 200, content
    return json.loads(content)


def test_fifty_clients_at_once_get_their_own_answers():
    start = threading.Barrier(50)

    def client(number: int) -> list[tuple[str, dict]]:
        start.wait()
        texts = [f"client{number} sentence{count}" for count in range(8)]
        model = "second" if number % 2 else None
        return [(text, translated(address, text, model=model)) for text in texts]

    with running(EchoModels(seconds=0.001)) as address, ThreadPoolExecutor(50) as pool:
        answers = [answer for found in pool.map(client, range(50)) for answer in found]
    assert len(answers) == 400
    for text, answer in answers:
        number = int(re.match(r"client(\d+)", text).group(1))
        model = "second" if number % 2 else "first"
        assert answer["source"] == text and answer["model"] == model
        assert answer["translation"] == " ".join(word[::-1] for word in text.split()) + f" {model}"
        assert answer["alignment"] == "0-0 1-1" and np.array(answer["attention"]).shape == (3, 3)


def test_a_full_queue_answers_503_and_says_when_to_come_back():
    models, release = EchoModels(), threading.Event()
    models.loaded["first"].translate = lambda text, **_: release.wait(60) and Echo("first", 0).translate(text)
    with running(models, queue=3) as address, ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, address, "/api/translate", {"text": f"a{number}"}) for number in range(12)]
        refused = [one.result() for one in islice(as_completed(asked), 9)]  # while the other three wait
        release.set()
        answered = [json.loads(text) for status, _, text in (one.result() for one in asked) if status == 200]
        assert {status for status, *_ in refused} == {503} and len(answered) == 3
        assert all(answer["translation"] == f"{answer['source'][::-1]} first" for answer in answered)
        _, headers, text = refused[0]
        assert headers["retry-after"] == "1" and "waiting already" in json.loads(text)["error"]
        assert translated(address, "afterwards")["translation"] == "sdrawretfa first"


def test_a_client_above_its_rate_gets_429():
    with running(EchoModels(), rate=0.01, burst=3) as address:
        found = [ask(address, "/api/translate", {"text": "a"}) for _ in range(5)]
        assert [status for status, _, _ in found] == [200, 200, 200, 429, 429]
        assert 50 < int(found[-1][1]["retry-after"]) <= 100
        assert json.loads(found[-1][2]) == {"error": "too many requests from here; wait a moment"}
        assert ask(address, "/api/models")[0] == 200


def test_the_rate_limit_refills_and_forgets_the_longest_silent():
    now = 0.0
    limit = RateLimit(rate=2, burst=2, clock=lambda: now, most_clients=100)
    limit.take("a")
    limit.take("a")
    with pytest.raises(Refused) as caught:
        limit.take("a")
    assert caught.value.status == 429
    now = 0.5
    limit.take("a")
    for number in range(1000):
        limit.take(f"client {number}")
    assert len(limit._buckets) == 100 and "a" not in limit._buckets and "client 999" in limit._buckets


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"text": "x" * 501}, 413, "the text has 501 characters; at most 500 are taken"),
        ({"text": "too long"}, 422, "subword pieces"),
        ({"text": "a", "model": "../secret"}, 422, "there is no model '../secret'"),
        ({"text": "a", "beam": 0}, 422, "beam: Input should be greater than or equal to 1"),
        ({"text": "a", "beam": 11}, 422, "beam"),
        ({"text": "a", "length_penalty": -1}, 422, "length_penalty"),
        ({"text": "a", "n_best": "many"}, 422, "n_best"),
        ({"text": "a", "cheese": 1}, 422, "cheese: Extra inputs are not permitted"),
        ({}, 422, "text: Field required"),
        ([], 422, ""),
        (b"{broken", 422, ""),
        (b"\xff\xfe\x00", 400, ""),
        (b'{"text": "' + b"x" * 70_000 + b'"}', 413, "the request is too large"),
        ({"text": "explode"}, 500, "something went wrong here"),
    ],
)
def test_bad_requests_get_one_clear_line(address, body, status, message):
    found, headers, content = ask(address, "/api/translate", body)
    assert found == status
    error = json.loads(content)["error"]
    assert message in error and "\n" not in error
    assert "Traceback" not in content and "secret detail" not in content and ".py" not in content


def test_a_body_without_announced_length_is_limited_too(address):
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /api/translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        answer = b""
        for _ in range(20):
            try:
                connection.sendall(chunk)
            except OSError:
                break
        answer = connection.recv(200)
    assert b" 413 " in answer.splitlines()[0]


@pytest.mark.parametrize("text", ["", "   ", "\ud800", "<script>alert(1)</script>", "a\nb\r\nc", "\0", "😀 שלום"])
def test_any_text_is_answered(address, text):
    assert translated(address, text)["source"] == " ".join(text.split())


def test_unknown_pages_and_methods(address):
    assert ask(address, "/nothing")[0] == 404
    assert ask(address, "/static/demo/../../app.py")[0] == 404
    assert ask(address, "/static/demo/app.py")[0] == 404
    assert ask(address, "/api/translate")[0] == 405


@pytest.mark.parametrize(("host", "everywhere"), [("0", True), ("0.0.0.0", True), ("127.0.0.1", False)])
def test_all_addresses_are_known_however_spelled(tiny_checkpoint, monkeypatch, host, everywhere):
    seen: list = []
    monkeypatch.setattr("nmt.demo.app.create_app", lambda models, settings: settings)
    monkeypatch.setattr(
        "nmt.demo.server.serve", lambda settings, listener, ready: (seen.append(settings.hosts), listener.close())
    )
    place = ["--checkpoints", str(tiny_checkpoint.parent), "--model", tiny_checkpoint.name]
    assert run("nmt-demo", demo, [*place, "--host", host, "--port", "0"]) == 0
    assert (seen[0] == ("*",)) is everywhere


def test_an_empty_host_is_refused(capsys):
    assert run("nmt-demo", demo, ["--host", ""]) == 2
    assert "--host is empty" in capsys.readouterr().err


def test_other_host_names_are_refused(address):
    status, headers, _ = ask(address, "/api/models", headers={"Host": "evil.example"})
    assert status == 400 and headers["x-content-type-options"] == "nosniff"
    for name in ("localhost:1234", "127.0.0.1", "[::1]:8000"):
        assert ask(address, "/api/models", headers={"Host": name})[0] == 200


def test_pages_have_strict_headers_and_name_nothing_foreign(address):
    for path in ("/", "/docs"):
        status, headers, content = ask(address, path)
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert not re.search(r"""(?:src|href)=["'](?!/|data:,)""", content)
        for link in re.findall(r'(?:src|href)="(/static[^"]+)"', content):
            assert ask(address, link)[0] == 200


def test_openapi_describes_what_is_answered(address):
    import jsonschema

    description = json.loads(ask(address, "/openapi.json")[2])
    assert set(description["paths"]) == {"/api/models", "/api/translate", "/explorer"}
    operation = description["paths"]["/api/translate"]["post"]
    assert {"200", "413", "422", "429", "503"} <= set(operation["responses"])
    schema = {
        **operation["responses"]["200"]["content"]["application/json"]["schema"],
        "components": description["components"],
    }
    jsonschema.validate(translated(address, "Good morning"), schema)
    models = json.loads(ask(address, "/api/models")[2])
    assert [model["name"] for model in models["models"]] == ["first", "second"] and models["default"] == "first"


def test_real_checkpoints_answer_as_the_translator_does(tiny_checkpoint):
    translator = Translator.load(tiny_checkpoint, threads=1)
    expected = translator.translate("My sister paints small birds.", beam=3, n_best=2)
    with running(Models(tiny_checkpoint.parent, tiny_checkpoint.name, threads=1)) as address:
        answer = translated(address, "My sister paints small birds.", beam=3, n_best=2)
        assert answer["translation"] == expected.text and answer["alignment"] == expected.pharaoh
        assert [one["translation"] for one in answer["hypotheses"]] == [one.text for one in expected.hypotheses]
        assert np.array(answer["attention"]) == pytest.approx(expected.attention, abs=1e-6)
        status, headers, page = ask(address, "/explorer?text=My+sister+paints&n_best=2&beam=2")
        assert status == 200 and headers["content-security-policy"] == "frame-ancestors 'self'"
        assert "Cross-attention" in page and '"heads":{' in page
        status, headers, page = ask(address, "/explorer?text=My+sister+paints&beam=0")
        assert status == 422 and "beam" in page  # the demo's frame must be let to show it
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'self'"
        assert translated(address, "")["translation"] == ""


def test_models_are_the_checkpoints_of_one_directory(tiny_checkpoint, tmp_path):
    (tmp_path / "not-a-checkpoint").mkdir()
    with pytest.raises(UserError, match="there is no checkpoint in"):
        Models(tmp_path)
    with pytest.raises(UserError, match="there is no checkpoint in"):
        Models(tmp_path / "missing")
    with pytest.raises(UserError, match="'other'"):
        Models(tiny_checkpoint.parent, "other")
    models = Models(tiny_checkpoint.parent, tiny_checkpoint.name)
    assert models.get(None) is models.get(tiny_checkpoint.name)
    for name in ("..", "../" + tiny_checkpoint.parent.name, str(tiny_checkpoint), ".", "a/b"):
        with pytest.raises(UserError, match="there is no model"):
            models.get(name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_starts_and_ends_cleanly(tiny_checkpoint, number):
    process, address = started(tiny_checkpoint)
    try:
        assert json.loads(ask(address, "/api/models")[2])["default"] == tiny_checkpoint.name
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.stderr.close()


def started(checkpoint) -> tuple[subprocess.Popen, str]:
    command = [
        sys.executable,
        "-m",
        "nmt.cli.demo",
        "--port",
        "0",
        "--checkpoints",
        checkpoint.parent,
        "--threads",
        "1",
        "--model",
        checkpoint.name,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    line = process.stderr.readline()
    return process, re.search(r"http://127\.0\.0\.1:\d+", line).group(0)


def test_a_taken_port_is_one_clear_line(tiny_checkpoint, capsys, monkeypatch):
    from nmt.cli.demo import entry

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr("sys.argv", ["nmt-demo", "--port", port, "--checkpoints", str(tiny_checkpoint.parent)])
        assert entry() == 2
    error = capsys.readouterr().err
    assert f"port {port}" in error and error.count("\n") == 1


@pytest.mark.parametrize("rate", ["0", "-1", "nan"])
def test_a_rate_that_limits_nothing_is_refused(rate, capsys, monkeypatch):
    from nmt.cli.demo import entry

    monkeypatch.setattr("sys.argv", ["nmt-demo", "--rate", rate])
    assert entry() == 2 and "--rate is" in capsys.readouterr().err


def test_finished_requests_give_their_place_in_the_queue_back():
    with running(EchoModels(), queue=2) as address:
        for number in range(30):
            assert translated(address, f"a{number}")["translation"] == f"{f'a{number}'[::-1]} first"


def test_the_load_script_finds_right_answers_and_wrong_ones(tiny_checkpoint):
    script = Path(__file__).parent.parent / "scripts" / "load_demo.py"
    with running(Models(tiny_checkpoint.parent, tiny_checkpoint.name, threads=1)) as address:
        command = [sys.executable, script, address, "--clients", "50", "--seconds", "2"]
        result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["right"] >= 50 and "wrong" not in report and "broken" not in report
    models = EchoModels()
    numbers = iter(range(10**9))
    models.loaded["first"].translate = lambda text, **_: Echo(f"{next(numbers)}", 0).translate(text)
    with running(models) as address:
        command = [sys.executable, script, address, "--clients", "2", "--seconds", "0.5"]
        assert subprocess.run(command, capture_output=True).returncode == 1
