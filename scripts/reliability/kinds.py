"""The kinds of fault that training is put through, and what must have become of each run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from nmt.checkpoint import Checkpoint
from nmt.errors import UserError
from nmt.files import sha256_of
from nmt.translator import Translator
from scripts.reliability.bench import Bench, finish, must, newest_state
from scripts.reliability.trainer import Ended, Moment, train

DISK = 8_000_000
"""Bytes of the small file systems."""
FULL = 100
"""From so many runs on, every file is damaged in every way."""


def kill(bench: Bench) -> None:
    """SIGKILL, once or several times in a run's life."""
    killed = number = 0
    while killed < bench.runs:
        config, whole, unbroken = bench.references[number % len(bench.references)]
        number += 1
        story: list[str] = []
        with bench.trial("killed (SIGKILL), up to three times a run", story) as directory:
            for _ in range(bench.draw.choice([1, 1, 1, 2, 3])):
                moment = bench.moment(unbroken)
                story.append(f"variant {number % len(bench.references)}, {moment}")
                begun = (directory / "config.yaml").exists() or newest_state(directory)
                ended = train(config, directory, *(["--resume"] if begun else []), moment=moment)
                must(not ended.traceback and ended.status != 2, "\n".join(ended.errors))
                killed += ended.status < 0
            finish(config, directory, whole, newest_state(directory))
    print(f"kill: {killed} kills in {number} runs", file=sys.stderr)
    name = next(iter(bench.count))
    bench.count[f"{name}: {killed} kills"] = bench.count.pop(name)
    if name in bench.lost:
        bench.lost[f"{name}: {killed} kills"] = bench.lost.pop(name)


@contextlib.contextmanager
def small_disk(bench: Bench) -> Iterator[Path]:
    """A small file system. Raises PermissionError where it cannot be mounted."""
    place = bench.place / "small"
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "nmt", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(f"it needs root, to mount a small file system ({done.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)])


def disk(bench: Bench) -> None:
    """The disk is full from a random file operation on, to the last byte or with a little room."""
    with small_disk(bench) as small:
        for number in range(max(1, bench.runs // 4)):
            config, whole, unbroken = bench.references[number % len(bench.references)]
            story: list[str] = []
            room = bench.draw.choice([0, 4096, 20_000, 100_000])

            def fill(room: int = room) -> None:
                free = os.statvfs(small)
                size = max(0, free.f_bavail * free.f_frsize - room)
                with open(small / "filler", "wb") as file, contextlib.suppress(OSError):
                    file.write(b"\0" * size)

            with bench.trial("disk full from a random write on", story):
                directory = small / "run"
                moment = bench.moment(unbroken, fill)
                story.append(f"{moment}, {room} bytes left")
                ended = train(config, directory, moment=moment)
                _refused_or_done(ended, "No space left")
                if ended.status:
                    _refused_or_done(train(config, directory, "--resume"), "")
                (small / "filler").unlink(missing_ok=True)
                finish(config, directory, whole, newest_state(directory))
                shutil.rmtree(directory)
            for path in small.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _refused_or_done(ended: Ended, mention: str) -> None:
    must(ended.status == 0 or (ended.in_one_line and mention in ended.errors[-1]), "\n".join(ended.errors[-3:]))


def readonly(bench: Bench) -> None:
    """The run's directory is read-only from a random file operation on."""
    with small_disk(bench) as small:
        directory = small / "run"

        def freeze() -> None:
            directory.mkdir(exist_ok=True)
            subprocess.run(["mount", "--bind", str(directory), str(directory)], check=True)
            subprocess.run(["mount", "-o", "remount,ro,bind", str(directory)], check=True)

        for number in range(max(1, bench.runs // 4)):
            config, whole, unbroken = bench.references[number % len(bench.references)]
            story: list[str] = []
            with bench.trial("directory read-only from a random write on", story):
                moment = bench.moment(unbroken, freeze)
                story.append(str(moment))
                try:
                    _refused_or_done(train(config, directory, moment=moment), "Read-only file system")
                    before = contents(directory)
                    again = train(config, directory, "--resume")
                    must(again.in_one_line, "\n".join(["resumed while read-only:", *again.errors]))
                    must(contents(directory) == before, "a refused resumption changed something")
                finally:
                    subprocess.run(["umount", str(directory)], capture_output=True)
                finish(config, directory, whole, newest_state(directory))
            shutil.rmtree(directory, ignore_errors=True)


def contents(directory: Path) -> dict[str, str]:
    """The hash of every file of a directory but the lock."""
    return {str(path): sha256_of(path) for path in directory.rglob("*") if path.is_file() and path.name != ".lock"}


def cut(path: Path, draw: random.Random) -> None:
    """Cut a file short."""
    os.truncate(path, draw.randrange(max(1, path.stat().st_size)))


def empty(path: Path, draw: random.Random) -> None:
    """Empty a file."""
    os.truncate(path, 0)


def flip(path: Path, draw: random.Random) -> None:
    """Flip one bit."""
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def delete(path: Path, draw: random.Random) -> None:
    """Delete a file."""
    path.unlink()


DAMAGES = {"cut short": cut, "emptied": empty, "bit flipped": flip, "deleted": delete}


def damage(bench: Bench) -> None:
    """Each file of an unfinished and of a finished run, in each way; a short form draws some of them."""
    config, whole, _ = bench.references[2]
    bases = {"unfinished": _unfinished(bench), "finished": whole}
    cases = [(base, name, way) for base in bases for name in _files(bases[base]) for way in DAMAGES]
    for base, name, way in cases if bench.runs >= FULL else bench.draw.sample(cases, bench.runs):
        origin = bases[base]
        newest, before = newest_state(origin), min(path.name for path in (origin / "training").glob("step-*"))
        with bench.trial(f"one file of a run {way}", [base, name, way]) as directory:
            shutil.copytree(origin, directory)
            DAMAGES[way](directory / name, bench.draw)
            hit = f"training/{newest}/" in name
            said = finish(config, directory, whole, before if hit else newest, newest if hit else None)
            if name in ("config.yaml", "subwords.model"):
                must(any(name in line and "put back" in line for line in said), f"nothing was said: {said}")


def _unfinished(bench: Bench) -> Path:
    """A run of the variant with an alignment head that was killed with two states saved, and more to come."""
    config, _, unbroken = bench.references[2]
    place = config.parent / "unfinished"
    while True:
        shutil.rmtree(place, ignore_errors=True)
        moment = Moment(bench.draw.randint(unbroken.events // 2, unbroken.events * 9 // 10))
        train(config, place, moment=moment)
        if len(list((place / "training").glob("step-*"))) == 2 and not (place / "aligner.safetensors").exists():
            return place


def _files(directory: Path) -> list[str]:
    """The files of a run, without what was half written."""
    names = (str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    return sorted(name for name in names if "/." not in f"/{name}")


def hopeless(bench: Bench) -> None:
    """A file of every saved state damaged: one line, status 2, and nothing is touched."""
    config, whole, _ = bench.references[2]
    for _ in range(max(1, bench.runs // 10)):
        story: list[str] = []
        with bench.trial("a file of every saved state damaged: refused", story) as directory:
            shutil.copytree(whole, directory)
            for state in (directory / "training").glob("step-*"):
                path = bench.draw.choice(sorted(state.iterdir()))
                damage = bench.draw.choice(list(DAMAGES))
                DAMAGES[damage](path, bench.draw)
                story.append(f"{state.name}/{path.name} {damage}")
            before = contents(directory)
            ended = train(config, directory, "--resume")
            must(ended.in_one_line and "no saved state" in ended.errors[-1], "\n".join(ended.errors))
            must(contents(directory) == before, "files were changed")


def load(bench: Bench) -> None:
    """A finished checkpoint with a damaged file is refused in one line, or translates as the whole one does."""
    _, whole, _ = bench.references[2]
    listed = sorted([*Checkpoint(whole).files, "metadata.json", "log.jsonl"])
    expected = translation(whole)
    for number in range(bench.runs):
        name, story = listed[number % len(listed)], list[str]()
        way = bench.draw.choice(list(DAMAGES))
        with bench.trial("a file of a finished checkpoint damaged: loading", story) as directory:
            shutil.copytree(whole, directory)
            DAMAGES[way](directory / name, bench.draw)
            story += [name, way]
            try:
                found = translation(directory)
            except UserError as error:
                must(name in str(error) or "metadata.json" in str(error), f"it names another file: {error}")
            else:
                must(name in ("log.jsonl", "metadata.json"), "it was loaded")
                must(found == expected, "it translates otherwise")


def translation(directory: Path) -> str:
    """What a checkpoint makes of a sentence, with its alignment, in a child (this process must start no thread)."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            found = Translator.load(directory, engine="torch").translate("flute grape drum", beam=2)
            os.write(tell, json.dumps([0, found.text, found.alignment, zlib.crc32(found.attention.tobytes())]).encode())
            status = 0
        except UserError as error:
            os.write(tell, json.dumps([2, str(error)]).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(tell)
    with open(told, "rb") as file:
        answer = file.read()
    _, status = os.waitpid(child, 0)
    must(status == 0 and bool(answer), "it ended with a traceback")
    answer = json.loads(answer)
    if answer[0] == 2:
        raise UserError(answer[1])
    return json.dumps(answer)


KINDS = {"kill": kill, "disk": disk, "readonly": readonly, "damage": damage, "hopeless": hopeless, "load": load}
