"""Sentence pairs in local files: TSV, JSON lines, or two parallel text files, each gzipped or not."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.corpus.columns import Column, find_column, sentence_at
from nmt.corpus.origin import PairSource, SentencePair
from nmt.errors import UserError
from nmt.files import expanded, sha256_of
from nmt.lines import parallel_lines, read_lines

if TYPE_CHECKING:
    from nmt.config import DataConfig

Pairs = Iterable[SentencePair]


def read_text(path: Path) -> Iterator[str]:
    """`read_lines`; also raises UserError for a NUL byte, which marks UTF-16 and binary files."""
    for number, line in enumerate(read_lines(path), start=1):
        yield _without_nul(line, path, number)


def _without_nul(line: str, path: Path, number: int) -> str:
    if "\0" in line:
        raise UserError(f"{path}:{number}: a NUL byte, so this is not UTF-8 text; convert it")
    return line


def check_file(path: str | Path, key: str) -> Path:
    """The path of a readable plain file; `key` is its configuration key. Raises UserError for anything else."""
    path = expanded(path)
    if not path.exists():
        raise UserError(f"{path}: no such file: set {key} to a file that is there")
    if not path.is_file():
        raise UserError(f"{path} is not a plain file (it is read more than once): set {key} to one")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read: give yourself the permission, or set {key} to another file")
    return path


@dataclass(frozen=True)
class ParallelFiles:
    """Two text files; line N of one is the translation of line N of the other."""

    source: Path
    target: Path

    def __iter__(self) -> Iterator[SentencePair]:
        for number, row in enumerate(parallel_lines((self.source, self.target)), start=1):
            if row is not None:  # plain files never keep one waiting
                yield SentencePair(_without_nul(row[0], self.source, number), _without_nul(row[1], self.target, number))


@dataclass(frozen=True)
class TSV:
    """Tab-separated columns, by number from 0, or by name when the first line is a header. Blank lines are empty pairs.

    Tabs cannot be escaped or quoted: a quotation mark is a quotation mark.
    """

    path: Path
    source_column: str | int
    target_column: str | int
    languages: tuple[str, str] | None = None
    """Columns of these names are taken instead where the first line has both."""

    def __iter__(self) -> Iterator[SentencePair]:
        columns: list[str | int] = [self.source_column, self.target_column]
        if self.languages and set(self.languages) <= set(next(iter(read_text(self.path)), "").split("\t")):
            columns = [*self.languages]
        lines = enumerate(read_text(self.path), start=1)
        if any(isinstance(column, str) for column in columns):
            header = next(lines, (1, ""))[1].split("\t")
            for name in (column for column in columns if isinstance(column, str)):
                if name not in header:
                    raise UserError(
                        f"{self.path}:1: no column {name!r} in the header {', '.join(header)}: set data.source_column "
                        "and data.target_column (numbers count from 0 and mean that there is no header)"
                    )
            columns = [header.index(column) if isinstance(column, str) else column for column in columns]
        source, target = map(int, columns)
        for number, line in lines:
            cells = line.split("\t")
            if len(cells) > max(source, target):
                yield SentencePair(cells[source], cells[target])
            elif line == "":
                yield SentencePair("", "")
            else:
                raise UserError(
                    f"{self.path}:{number}: {len(cells)} tab-separated column{'s'[: len(cells) != 1]}, but column "
                    f"{max(source, target)} (from 0) is wanted: give every line a source and a target"
                )


@dataclass(frozen=True)
class JSONLines:
    """One JSON object a line; see `nmt.corpus.columns` for the names of its columns. Blank lines are passed over."""

    path: Path
    data: DataConfig

    def __iter__(self) -> Iterator[SentencePair]:
        columns: tuple[Column, Column] | None = None
        for number, line in enumerate(read_text(self.path), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{self.path}:{number}: not JSON ({error}): write one object a line") from error
            if not isinstance(record, dict):
                raise UserError(f"{self.path}:{number}: not a JSON object: write one object a line")
            where = f"{self.path}:{number}"
            columns = columns or (
                find_column(record, "source", self.data.source, self.data.source_column, where),
                find_column(record, "target", self.data.target, self.data.target_column, where),
            )
            source_column, target_column = columns
            yield SentencePair(sentence_at(record, source_column, where), sentence_at(record, target_column, where))


def reader(data: DataConfig, key: str, value: str | list[str]) -> tuple[Pairs, list[Path]]:
    """The reader of one configured split, and its files. Raises UserError for a missing file or unknown format."""
    if isinstance(value, list):
        if len(value) != 2:
            raise UserError(f"{key} names {len(value)} files: give one .tsv or .jsonl, or [source file, target file]")
        source, target = (check_file(path, key) for path in value)
        return ParallelFiles(source, target), [source, target]
    path = check_file(value, key)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in (".jsonl", ".ndjson", ".json"):
        return JSONLines(path, data), [path]
    if suffix in (".tsv", ".tab"):
        source_column = 0 if data.source_column is None else data.source_column
        target_column = 1 if data.target_column is None else data.target_column
        for column in (source_column, target_column):
            if isinstance(column, int) and column < 0:
                raise UserError(
                    f"column {column} of {path}: columns are numbered from 0, set data.source_column and so on"
                )
        by_position = data.source_column is None and data.target_column is None
        return TSV(path, source_column, target_column, (data.source, data.target) if by_position else None), [path]
    raise UserError(
        f"{path}: the name tells no format: {key} is a .tsv or .jsonl (or .gz of one), or [source file, target file]"
    )


def local(data: DataConfig) -> PairSource:
    """The pairs of the local files `data.train` and, if given, `data.dev` and `data.test`.

    Paths are relative to the working directory. The cache identifies files by content, so changed files are read again
    and moved ones are not. Raises UserError for missing files, and, on reading, for malformed ones.
    """
    configured = {name: getattr(data, name) for name in ("train", "dev", "test") if getattr(data, name) is not None}
    if "train" not in configured:
        raise UserError("data.train is missing: give one .tsv or .jsonl file, or [source file, target file]")
    readers = {name: reader(data, f"data.{name}", value) for name, value in configured.items()}
    hashes = {name: [sha256_of(path) for path in paths] for name, (_, paths) in readers.items()}
    every_hash = [one for split in hashes.values() for one in split]

    formats = {name: type(pairs).__name__ for name, (pairs, _) in readers.items()}
    columns = [data.source, data.target, data.source_column, data.target_column]
    return PairSource(
        description=f"{data.source}-{data.target} of "
        + ", ".join(p.name for _, paths in readers.values() for p in paths),
        identity=json.dumps(["files", hashes, formats, columns, "headers"]),
        sha256=every_hash[0] if len(every_hash) == 1 else hashlib.sha256("\n".join(every_hash).encode()).hexdigest(),
        numbered=False,
        read=lambda: {name: pairs for name, (pairs, _) in readers.items()},
    )


@dataclass(frozen=True)
class ExtraPairs:
    """The pairs of `data.extra`, each file's so often as it says, and what identifies them.

    Raises UserError for a missing file or unknown format, and, on reading, for malformed ones.
    """

    files: list[tuple[Pairs, int]]
    sha256: list[str]
    """Of each file and its number of copies."""
    description: str

    @staticmethod
    def of(data: DataConfig) -> ExtraPairs:
        plain = data.model_copy(update={"source_column": None, "target_column": None})
        readers = [(*reader(plain, "data.extra", path), copies) for path, copies in data.extra.items()]
        return ExtraPairs(
            [(pairs, copies) for pairs, _, copies in readers],
            [f"{sha256_of(path)} x {copies}" for _, (path,), copies in readers],
            "".join(f", and {path.name} {copies} times" for _, (path,), copies in readers),
        )

    def __iter__(self) -> Iterator[SentencePair]:
        for pairs, copies in self.files:
            for pair in pairs:
                yield from itertools.repeat(pair, copies)
