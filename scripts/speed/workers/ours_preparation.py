"""A corpus of generated pairs on its way to training: argument: a directory with train, dev and their languages."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from nmt.batching import BatchSampler
from nmt.config import load_config
from nmt.corpus import load_corpus
from nmt.text.subwords import Subwords
from nmt.training.preparation import encode_splits
from scripts.report import ROOT
from scripts.watch import Watch, memory


def main() -> None:
    watch = Watch(lambda: memory(os.getpid(), ("RssAnon", "RssFile")))
    place = Path(sys.argv[1])
    started = time.perf_counter()
    files = [f"data.{split}=[{place}/{split}.en, {place}/{split}.es]" for split in ("train", "dev")]
    settings = [*files, "data.target=es", f"data.cache={place}/cache", f"checkpoint={place}/run"]
    config = load_config(ROOT / "configs" / "files.yaml", settings)
    corpus = load_corpus(config.data)
    subwords = Subwords.load(ROOT / "checkpoints/tatoeba-en-es/subwords.model")
    pairs, _ = encode_splits(config, corpus, subwords, print)
    seconds = time.perf_counter() - started
    batches = BatchSampler(pairs.source_lengths, pairs.target_lengths, 4096).batches(0)
    for rows in batches[:20]:
        pairs.batch(rows)
    peaks = watch.stop()
    found = {"peak_bytes": peaks["RssAnon"], "mapped_bytes": peaks["RssFile"]}
    print(json.dumps({"seconds": seconds, **found}))


if __name__ == "__main__":
    main()
