"""fuzz.py's targets that are files: configurations, corpora, checkpoint directories."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import math
import random
import resource
import shutil
import struct
from collections import Counter
from pathlib import Path

import yaml

from nmt.checkpoint import _digest
from nmt.config import DataConfig, dump_config, load_config, parse_config
from nmt.errors import UserError
from scripts.reliability import nasty
from scripts.reliability.fuzz_lines import check_translation, ensure

MEMORY = 2 * 2**30
"""Bytes that a target may allocate beyond its start."""
SMALL = """\
checkpoint: checkpoints/x
data: {corpus: files, source: en, target: es, train: [a.txt, b.txt], max_length_ratio: 3.0, cache: ~/x}
subwords: {vocabulary_size: 8000, sampling: 0.1}
model: {encoder_layers: 2, decoder_layers: 2, width: 128, heads: 4, dropout: 0.3, max_length: 64}
training: {learning_rate: 2e-3, max_minutes: 5, seed: 1}
decoding: {beam: 5}
alignment: {layer: 1}
"""


def limit_memory() -> None:
    """Let a runaway allocation fail in this process instead of taking the machine's memory."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))


def config(seed: str, cases: int, place: Path) -> Counter:
    """Configurations are refused in one line, or equal themselves after writing and reading."""
    limit_memory()
    chance, counts = random.Random(seed), Counter()
    path = place / "run.yaml"
    for _ in range(cases):
        kind = chance.random()
        if kind < 0.4:
            content = nasty.mutated(chance, SMALL.encode())
        elif kind < 0.8:
            tree = nasty.altered(chance, yaml.safe_load(SMALL))
            content = yaml.safe_dump(tree).encode()
        elif kind < 0.9:
            content = SMALL.encode() + chance.choice(nasty.DOCUMENTS).encode()
        else:
            content = chance.choice(nasty.DOCUMENTS).encode() + chance.choice((b"", b"\n" + SMALL.encode()))
        path.write_bytes(content)
        overrides = [] if chance.random() < 0.8 else [_override(chance)]
        try:
            found = load_config(path, overrides)
        except UserError as error:
            counts[one_line(error)] += 1
            continue
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__}: {error} for {content!r} {overrides!r}") from error
        again = parse_config(yaml.load(dump_config(found), _loader()), "again")
        ensure(again == found, again, found)
        counts["answered"] += 1
    return counts


def _loader() -> type:
    from nmt.config.loading import _Loader

    return _Loader


def _override(chance: random.Random) -> str:
    keys = ("training.seed", "model.width", "checkpoint", "data", "data.train", "x.y", "", ".", "a..b", "model.width.x")
    value = chance.choice((*nasty.DOCUMENTS, *map(str, nasty.VALUES), nasty.text(chance, 10)))
    return chance.choice(keys) + chance.choice(("=", "=", "=", "")) + value[:200]


def one_line(error: UserError) -> str:
    """Outcome of a refusal; its message must be short."""
    ensure(0 < len(str(error)) < 20_000, "message of", len(str(error)))
    return "refused"


def corpus(seed: str, cases: int, place: Path) -> Counter:
    """Corpora in every format: each pair is read unchanged, or the file is refused with its line."""
    limit_memory()
    from nmt.corpus.local import local

    chance = random.Random(seed)
    form = chance.choice(("parallel", "tsv", "jsonl"))
    pairs = [(_plain(chance, form), _plain(chance, form)) for _ in range(cases)]
    folder = place / "corpus"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if form == "parallel":
        contents = {f"{side}.txt": [pair[side] for pair in pairs] for side in (0, 1)}
    elif form == "tsv":
        contents = {"pairs.tsv": [f"{source}\t{target}" for source, target in pairs]}
    else:
        plain = chance.random() < 0.5
        rows = [json.dumps(dict(zip(("en", "es"), pair, strict=True)), ensure_ascii=plain) for pair in pairs]
        contents = {"pairs.jsonl": rows}
    harm = chance.choice((None, None, "line", "bytes", "bytes"))
    wrong, packed = chance.randrange(cases), chance.random() < 0.3
    paths = []
    for number, (name, rows) in enumerate(contents.items()):
        lines = [row.encode() for row in rows]
        if harm == "line" and number == 0:
            lines[wrong] = nasty.bad_line(chance) if form != "jsonl" else chance.choice((b"[1]", b"{", b"\0", b"\xff"))
        content = b"".join(line + b"\n" for line in lines)
        content = gzip.compress(content, 1) if packed else content
        if harm == "bytes":
            content = nasty.mutated(chance, content)
        paths.append(folder / (name + ".gz" * packed))
        paths[-1].write_bytes(content)
    files: str | list[str] = [str(path) for path in paths] if form == "parallel" else str(paths[0])
    source = local(DataConfig(corpus="files", train=files))
    try:
        found = [(pair.source, pair.target) for pair in source.read()["train"]]
    except UserError as error:
        ensure(harm is not None, error)
        if harm == "line":
            ensure(f":{wrong + 1}:" in str(error), error, "for line", wrong + 1)
        return Counter({one_line(error): 1})
    ensure(harm != "line", "line", wrong + 1, "was taken")
    if harm is None:
        ensure(found == pairs, "pairs changed")
        return Counter(answered=cases)
    for pair in found:
        ensure(all(isinstance(side, str) and "\0" not in side or form == "jsonl" for side in pair), pair)
    return Counter(answered=1)


def _plain(chance: random.Random, form: str) -> str:
    text = nasty.text(chance).removeprefix("\ufeff")
    return text if form == "jsonl" else text.replace("\t", " ").replace("\0", " ").replace("\r", " ") + "."


def checkpoint(seed: str, cases: int, place: Path) -> Counter:
    """Alter a file of a checkpoint and fix its checksum: it is refused, or it translates."""
    chance, counts = random.Random(seed), Counter()
    good, bad = place / "checkpoint", place / "altered"
    if not bad.exists():
        shutil.copytree(good, bad)
        attempt(bad, "torch")  # what is loaded once is loaded before memory is limited
        attempt(bad, "ctranslate2")
    limit_memory()
    names = [str(path.relative_to(good)) for path in good.rglob("*") if path.is_file()]
    for _ in range(cases):
        name = chance.choice(names)
        before = (good / name).read_bytes()
        content = _harmed(chance, name, before)
        (bad / name).write_bytes(content)
        if name == "metadata.json":
            # What is no object has nothing to sign.
            with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
                (bad / name).write_text(json.dumps(signed(json.loads(content))))
        else:
            metadata = json.loads((good / "metadata.json").read_text())
            metadata["files"][name] = hashlib.sha256(content).hexdigest()
            (bad / "metadata.json").write_text(json.dumps(signed(metadata)))
        try:
            attempt(bad, chance.choice(("torch", "ctranslate2")))
            counts["answered"] += 1
        except UserError as error:
            counts[one_line(error)] += 1
        except BaseException as error:
            kept = place.parent / f"nmt-fuzz-failure-{hashlib.sha256(content).hexdigest()[:8]}"
            kept.write_bytes(content)
            raise AssertionError(f"{type(error).__name__}: {error} in {name}, kept as {kept}") from error
        (bad / name).write_bytes(before)
        (bad / "metadata.json").write_bytes((good / "metadata.json").read_bytes())
    return counts


def signed(metadata: dict) -> dict:
    """The metadata with its own checksum made to agree."""
    return {**metadata, "sha256": _digest({key: value for key, value in metadata.items() if key != "sha256"})}


def attempt(directory: Path, engine: str) -> None:
    """Translate a sentence with all parts of a checkpoint and check the answer."""
    from nmt.translator import Translator

    translator = Translator.load(directory, engine, threads=1)  # type: ignore[arg-type]
    source = "The boat leaves at dawn, doesn't it? 😀"
    short = {"max_length_factor": 0.1, "max_length_extra": 5, "min_length": 0}
    translation = translator.translate(source, beam=1, heads=engine == "torch", **short)
    ensure(math.isfinite(translation.score), translation.score)
    if translator.attends:
        check_translation(translation.as_dict(), source)
    else:  # an altered alignment_layer can say that the network has no attention
        ensure(translation.attention is None and translation.alignment is None, translation.as_dict())


def _harmed(chance: random.Random, name: str, content: bytes) -> bytes:
    if chance.random() < 0.05:
        return chance.choice((b"", b"\0", chance.randbytes(50), content * 2, content[:-1], b"{}", b"[]"))
    if name.endswith(".json") and chance.random() < 0.8:
        return json.dumps(nasty.altered(chance, json.loads(content))).encode()
    if name.endswith(".yaml") and chance.random() < 0.8:
        return yaml.safe_dump(nasty.altered(chance, yaml.safe_load(content))).encode()
    if name.endswith(".safetensors") and chance.random() < 0.8:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.dumps(nasty.altered(chance, json.loads(content[8 : 8 + length]))).encode()
        return struct.pack("<Q", len(header)) + header + content[8 + length :]
    return nasty.mutated(chance, content, near=chance.choice((None, 200, 5000)))
