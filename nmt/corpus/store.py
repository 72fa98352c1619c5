"""Cached Arrow files of pairs, streamed to disk once and then memory-mapped."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
from datasets.arrow_writer import ArrowWriter
from tqdm import tqdm

from nmt.corpus.origin import SentencePair
from nmt.files import built_once, sha256_of

LAYOUT = 2
"""Part of every key; raise it when the same input gives other pairs."""
ROWS_AT_A_TIME = 1000


def key_of(**settings: object) -> str:
    """Name of a cache entry: a hash of everything that the pairs depend on."""
    return hashlib.sha256(json.dumps({"layout": LAYOUT, **settings}, sort_keys=True).encode()).hexdigest()[:32]


def write_split(path: Path, pairs: Iterable[SentencePair], numbered: bool) -> str:
    """Write pairs to an Arrow file; returns the SHA-256 of all sentences in order, each ended by a line feed."""
    columns = {"source": "string", "target": "string"} | (
        {"source_id": "int64", "target_id": "int64"} if numbered else {}
    )
    features = datasets.Features({name: datasets.Value(kind) for name, kind in columns.items()})
    content = hashlib.sha256()
    stream = iter(tqdm(pairs, desc=f"reading {path.stem}", unit=" pairs", disable=None, leave=False))
    with ArrowWriter(path=str(path), features=features) as writer:
        while batch := list(itertools.islice(stream, ROWS_AT_A_TIME)):
            writer.write_batch({name: [getattr(pair, name) for pair in batch] for name in columns})
            content.update("".join(f"{pair.source}\n{pair.target}\n" for pair in batch).encode())
        writer.finalize()
    return content.hexdigest()


def open_or_build(
    directory: Path, build: Callable[[Path], dict[str, Any]]
) -> tuple[dict[str, datasets.Dataset], dict[str, Any]]:
    """The splits of a cache entry and its report; `build(empty directory) -> report` writes a missing one.

    Damaged entries are rebuilt.
    """

    def write(empty: Path) -> None:
        report = build(empty)
        report["files"] = {path.name: sha256_of(path) for path in sorted(empty.glob("*.arrow"))}
        (empty / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")

    return built_once(directory, lambda: _open(directory), write)


def _open(directory: Path) -> tuple[dict[str, datasets.Dataset], dict[str, Any]] | None:
    """The entry, or None if it is missing or damaged."""
    try:
        report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
        # Entries of early versions have no checksums.
        if any(sha256_of(directory / name) != value for name, value in report.pop("files", {}).items()):
            return None
        splits = {name: datasets.Dataset.from_file(str(directory / f"{name}.arrow")) for name in report["splits"]}
        whole = all(len(splits[name]) == counts["kept"] for name, counts in report["splits"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # pyarrow's errors are among them
        return None
    return (splits, report) if whole else None
