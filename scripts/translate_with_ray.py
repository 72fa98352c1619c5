#!/usr/bin/env python
"""Translate corpora too large for one machine: text or Parquet in, shards of translations out, on a Ray cluster.

    pip install -e ".[ray]"
    python -m scripts.translate_with_ray corpus/*.txt --output translated
    python -m scripts.translate_with_ray pages.parquet --column text --format parquet --output translated
    python -m scripts.translate_with_ray corpus/*.txt --output translated --address auto --workers 1000

The input is cut into slices, and a translator actor writes each as one shard, atomically. Run again, the command
translates what is missing; Ray restarts a killed actor with its slice. Shards in the order of their names hold every
input row once, in the input's order, with `translation`, `score`, `alignment` (Pharaoh format) and `problem`, which
is null unless the row could not be read or translated. Input, checkpoint and output must have the same paths on all
machines. See docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nmt import Translator
from nmt.checkpoint import METADATA, find_checkpoint, write_text
from nmt.cli.common import TRANSLATING, add_shared, parser, positive, run
from nmt.errors import UserError
from nmt.files import atomic_path, sha256_of
from nmt.translation import Translation

PLAN = "plan.json"
SUMMARY = "summary.json"
ADDED = ("translation", "score", "alignment", "problem")


def main(arguments: list[str]) -> None:
    """Plan, translate what is missing, count."""
    options = make_parser().parse_args(arguments)
    output = Path(options.output).resolve()
    options.output = str(output)
    options.checkpoint = str(find_checkpoint(options.checkpoint).resolve())  # as this machine's environment names it
    plan = make_plan(options)
    keep_plan(output, plan)
    missing = [task for task in tasks(plan) if not (output / task["shard"]).exists()]
    print(f"{len(list(tasks(plan))):,} slices, {len(missing):,} of them to translate", file=sys.stderr)
    started = time.monotonic()
    rows = translate(missing, options) if missing else 0
    seconds = time.monotonic() - started
    counted = [count_rows(output / task["shard"]) for task in tasks(plan)]
    summary = {"shards": len(counted), "rows": sum(counted), "rows_this_time": rows, "seconds": round(seconds, 1)}
    write_text(output / SUMMARY, json.dumps(summary) + "\n")
    print(json.dumps(summary))


def make_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    arguments = parser("translate_with_ray.py", __doc__)
    arguments.add_argument("inputs", nargs="+", metavar="FILE", help="UTF-8 text, one sentence a line, or .parquet")
    arguments.add_argument("--output", required=True, metavar="DIR", help="where the shards go; run again to resume")
    arguments.add_argument("--format", choices=["jsonl", "parquet"], default="jsonl", help="of shards (default: jsonl)")
    arguments.add_argument("--column", default="source", help="Parquet: the column to translate (default: source)")
    arguments.add_argument("--slice-bytes", type=positive, default=2**18, help="text in a slice (default: 256 KiB)")
    arguments.add_argument("--slice-rows", type=positive, default=5000, help="Parquet rows in a slice (default: 5000)")
    arguments.add_argument("--workers", type=positive, help="translator actors (default: one a core of the cluster)")
    arguments.add_argument("--address", help="a Ray cluster, such as auto (default: this machine alone)")
    add_shared(arguments, *TRANSLATING)
    arguments.set_defaults(threads=1)  # of an actor
    return arguments


def make_plan(options: argparse.Namespace) -> dict[str, Any]:
    """Everything the shards depend on. Raises UserError for unusable input."""
    checkpoint = Translator.load(options.checkpoint, options.engine).checkpoint
    inputs = []
    for name in options.inputs:
        path = Path(name).resolve()
        if not path.is_file():
            raise UserError(f"there is no file {name}")
        size = path.stat().st_size
        if path.suffix == ".parquet":
            try:
                rows, schema = pq.read_metadata(path).num_rows, pq.read_schema(path)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{name} is not a Parquet file ({' '.join(str(error).split())})") from error
            if options.column not in schema.names:
                raise UserError(f"{name} has no column {options.column} among {', '.join(schema.names)}")
            if (kind := schema.field(options.column).type) not in (pa.string(), pa.large_string()):
                raise UserError(f"column {options.column} of {name} holds {kind}, not text")
            inputs.append({"path": str(path), "bytes": size, "units": rows})
        else:
            inputs.append({"path": str(path), "bytes": size, "units": size})
    return {
        "inputs": inputs,
        "column": options.column,
        "slices": [options.slice_bytes, options.slice_rows],
        "format": options.format,
        "checkpoint": sha256_of(checkpoint.directory / METADATA),
        "search": [options.engine, options.beam, options.length_penalty],
    }


def keep_plan(output: Path, plan: dict[str, Any]) -> None:
    """Write the plan, or check the existing one. Raises UserError if the directory holds something else."""
    path = output / PLAN
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is damaged; choose another --output") from error
        changed = [key for key in plan if kept.get(key) != plan[key]]
        if changed:
            raise UserError(f"{output} was begun with other {', '.join(changed)}; choose another --output")
    elif output.exists() and any(output.iterdir()):
        raise UserError(f"{output} is not empty and holds no {PLAN}; choose another --output")
    else:
        write_text(path, json.dumps(plan, indent=1) + "\n")


def tasks(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The slices of the input: bytes `first` to `last` of a text, those rows of a Parquet file; and their shards."""
    for number, one in enumerate(plan["inputs"]):
        path = Path(one["path"])
        size = plan["slices"][path.suffix == ".parquet"]
        for place, first in enumerate(range(0, one["units"], size)):
            last = min(first + size, one["units"])
            shard = f"{number:05d}-{path.stem}-{place:07d}.{plan['format']}"
            yield {"path": one["path"], "first": first, "last": last, "shard": shard}


def translate(missing: list[dict[str, Any]], options: argparse.Namespace) -> int:
    """Translate slices on a pool of actors; returns the rows written."""
    try:
        import ray
    except ImportError as error:
        raise UserError("Ray is not installed: run pip install -e '.[ray]' in the clone") from error
    from tqdm import tqdm

    ray.init(address=options.address, log_to_driver=False, include_dashboard=False, configure_logging=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    workers = options.workers or max(1, int(ray.cluster_resources()["CPU"]) // options.threads)
    slices = ray.data.from_items(missing, override_num_blocks=len(missing))  # a block is what an actor is given
    done = slices.map_batches(
        Worker,
        fn_constructor_args=(vars(options),),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(missing))),
        num_cpus=options.threads,
        max_restarts=-1,  # a killed actor is started again, and its slice done again
        max_task_retries=-1,
    )
    rows = 0
    with tqdm(total=len(missing), unit=" slices", disable=None) as bar:
        for result in done.iter_rows():
            rows += int(result["rows"])
            bar.update()
    ray.shutdown()
    return rows


class Worker:
    """A translator that turns slices into shards."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.translator = Translator.load(options["checkpoint"], options["engine"], options["threads"])
        self.search = {key: options[key] for key in ("beam", "length_penalty", "batch_size")}
        self.column, self.output = options["column"], Path(options["output"])

    def __call__(self, batch: dict[str, Any]) -> dict[str, list]:
        """Write the shards of a batch of slices; returns the rows of each."""
        names = ("path", "first", "last", "shard")
        return {"rows": [self.work(*row) for row in zip(*(batch[name] for name in names), strict=True)]}

    def work(self, path: str, first: int, last: int, shard: str) -> int:
        """Write one shard, whole or not at all."""
        if path.endswith(".parquet"):
            table = read_rows(Path(path), int(first), int(last))
            problems: list[str | None] = [None] * len(table)
            texts = [text or "" for text in table[self.column].to_pylist()]
        else:
            texts, problems = read_slice(Path(path), int(first), int(last))
            table = pa.table({"source": pa.array(texts, pa.string())})
        found = self.translations(texts, problems)
        columns = {
            "translation": pa.array([one.text if one else None for one in found], pa.string()),
            "score": pa.array([one.score if one else None for one in found], pa.float64()),
            "alignment": pa.array(
                [one.pharaoh if one and one.alignment is not None else None for one in found], pa.string()
            ),
            "problem": pa.array(problems, pa.string()),
        }
        for name in ADDED:
            table = table.drop_columns([name]) if name in table.column_names else table
            table = table.append_column(name, columns[name])
        with atomic_path(self.output / shard) as temporary:
            if shard.endswith(".parquet"):
                pq.write_table(table, temporary)
            else:
                lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in table.to_pylist())
                temporary.write_text("".join(lines), encoding="utf-8")
        return len(table)

    def translations(self, texts: list[str], problems: list[str | None]) -> list[Translation | None]:
        """Translate all texts; a text that the model refuses gets None, and its reason goes to the problems."""
        try:
            return list(self.translator.stream(texts, **self.search))
        except UserError:
            found: list[Translation | None] = []
            for row, text in enumerate(texts):
                try:
                    found.append(self.translator.translate(text, **self.search))
                except UserError as error:
                    found.append(None)
                    problems[row] = str(error)
            return found


def read_slice(path: Path, first: int, last: int) -> tuple[list[str], list[str | None]]:
    """Lines that begin in bytes `first` to `last` of a text, and the problem of each, if any."""
    texts: list[str] = []
    problems: list[str | None] = []
    with open(path, "rb") as file:
        if first:
            file.seek(first - 1)
            file.readline()  # the rest of a line that began before
        while file.tell() < last and (line := file.readline()):
            if file.tell() == len(line):
                line = line.removeprefix(b"\xef\xbb\xbf")
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            text = line.decode("utf-8", "replace")
            texts.append(text)
            problems.append(None if text.encode() == line else "not UTF-8: the bytes that are not were replaced")
    return texts, problems


def read_rows(path: Path, first: int, last: int) -> pa.Table:
    """Rows `first` to `last` of a Parquet file; only the row groups that hold them are read."""
    file = pq.ParquetFile(path)
    groups, before, end = [], None, 0
    for number in range(file.metadata.num_row_groups):
        start, end = end, end + file.metadata.row_group(number).num_rows
        if start < last and end > first:
            groups.append(number)
            before = start if before is None else before
    return file.read_row_groups(groups).slice(first - (before or 0), last - first)


def count_rows(shard: Path) -> int:
    """The rows of a shard."""
    if shard.suffix == ".parquet":
        return pq.ParquetFile(shard).metadata.num_rows
    with open(shard, "rb") as file:
        return sum(1 for _ in file)


if __name__ == "__main__":
    sys.exit(run("translate_with_ray.py", main))
