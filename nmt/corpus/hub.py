"""Sentence pairs of a data set on the Hugging Face Hub, or of a local directory in one of its formats."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets

from nmt.corpus.columns import find_column, sentence_at
from nmt.corpus.origin import PairSource, SentencePair
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.config import DataConfig


@dataclass(frozen=True)
class HubSplit:
    """The pairs of one loaded split."""

    dataset: datasets.Dataset
    data: DataConfig
    name: str

    def __iter__(self) -> Iterator[SentencePair]:
        if not len(self.dataset):
            return
        data = self.data
        # Other columns (images, say) are not even decoded.
        kinds = (dict, datasets.Translation, datasets.Value)
        textual = [column for column, feature in self.dataset.features.items() if isinstance(feature, kinds)]
        first = self.dataset.select_columns(textual)[0]
        source_column = find_column(first, "source", data.source, data.source_column, self.name)
        target_column = find_column(first, "target", data.target, data.target_column, self.name)
        needed = self.dataset.select_columns(list({source_column[0], target_column[0]}))
        for number, record in enumerate(needed):
            where = f"{self.name} row {number}"
            yield SentencePair(sentence_at(record, source_column, where), sentence_at(record, target_column, where))


def hub(data: DataConfig, cache: Path) -> PairSource:
    """The pairs of the data set `data.name`, downloaded on first use; train, dev and test are splits or slices of it
    ("train[:1%]").

    Code that comes with a data set is never run. Raises UserError if the Hub cannot be reached or has no such data set,
    configuration, split or column.
    """
    if data.name is None:
        raise UserError("data.name is missing: give the data set's name on the Hub, such as bentrevett/multi30k")
    if data.train is None:
        raise UserError(f"data.train is missing: give a split of {data.name}, such as train")
    loaded = {
        name: _load(data, split, cache, f"data.{name}")
        for name in ("train", "dev", "test")
        if (split := getattr(data, name)) is not None
    }

    name = data.name if data.configuration is None else f"{data.name} ({data.configuration})"
    # A loaded data set's fingerprint follows from its revision on the Hub (or its files), configuration and split.
    fingerprints = {split: dataset._fingerprint for split, dataset in loaded.items()}
    columns = [data.source, data.target, data.source_column, data.target_column]
    return PairSource(
        description=f"{data.source}-{data.target} of {name}, Hugging Face Hub",
        identity=json.dumps(["hub", name, fingerprints, columns]),
        sha256=None,
        numbered=False,
        read=lambda: {
            split: HubSplit(dataset, data, f"{data.name} {getattr(data, split)}") for split, dataset in loaded.items()
        },
    )


def _load(data: DataConfig, split: str | list[str], cache: Path, key: str) -> datasets.Dataset:
    if not isinstance(split, str):
        raise UserError(f"{key} is a list of files, but data.corpus is hub: give the name of a split, such as train")
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    what = " ".join(part for part in (data.name, data.configuration, data.revision) if part)
    try:
        where = {"revision": data.revision, "cache_dir": str(cache / "hub")}
        builder = datasets.load_dataset_builder(data.name, data.configuration, **where)
        as_text = _cells_as_text(builder) if hasattr(builder.config, "keep_default_na") else {}
        return datasets.load_dataset(data.name, data.configuration, split=split, **where, **as_text)
    except ConnectionError as error:
        raise UserError(f"the Hub cannot be reached for {what} ({_line(error)}): check the network") from error
    # The library raises many kinds of errors; in any case name, configuration and split are what a user can fix.
    except Exception as error:
        raise UserError(
            f"cannot load {what}, split {split!r} ({_line(error)}): check data.name, data.configuration and {key}"
        ) from error


def _cells_as_text(builder: datasets.DatasetBuilder) -> dict[str, Any]:
    """Options by which CSV files are read as text. pandas takes the words "None", "NA", "null" and "nan" for empty
    cells, and 10,000 rows of numbers for numbers, of which it forgets the spelling."""
    columns: dict[str, str] = next(iter(next(iter(builder.as_streaming_dataset().values()))), {})
    return {"keep_default_na": False, "features": datasets.Features(dict.fromkeys(columns, datasets.Value("string")))}


def _line(error: Exception) -> str:
    """The error in one line; the library wraps the telling error in one that is not."""
    cause = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) else None
    return " ".join(str(cause or error).split())[:300] or type(error).__name__
