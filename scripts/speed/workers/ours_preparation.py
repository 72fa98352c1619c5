"""A corpus of generated pairs on its way to training: argument: a directory with train, dev and their languages."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from nmt.batching import BatchSampler
from nmt.config import load_config
from nmt.corpus import load_corpus
from nmt.text.subwords import Subwords
from nmt.training.run import encode_splits
from scripts.report import ROOT


class Watch(threading.Thread):
    """The largest amounts of memory so far, in bytes: the process's own, and mapped files' pages."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks = {"RssAnon": 0, "RssFile": 0}

    def run(self) -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in self.peaks:
                    self.peaks[name] = max(self.peaks[name], int(rest.split()[0]) * 1024)
            time.sleep(0.05)


def main() -> None:
    watch = Watch()
    watch.start()
    place = Path(sys.argv[1])
    started = time.perf_counter()
    files = [f"data.{split}=[{place}/{split}.en, {place}/{split}.es]" for split in ("train", "dev")]
    settings = [*files, "data.target=es", f"data.cache={place}/cache", f"checkpoint={place}/run"]
    config = load_config(ROOT / "configs" / "files.yaml", settings)
    corpus = load_corpus(config.data)
    subwords = Subwords.load(ROOT / "checkpoints/tatoeba-en-es/subwords.model")
    pairs, _ = encode_splits(config, corpus, subwords, print)
    prepared = time.perf_counter()
    batches = BatchSampler(pairs.source_lengths, pairs.target_lengths, 4096).batches(0)
    for rows in batches[:20]:
        pairs.batch(rows)
    ended = time.perf_counter()
    memory = {"peak_bytes": watch.peaks["RssAnon"], "mapped_bytes": watch.peaks["RssFile"]}
    print(json.dumps({"seconds": prepared - started, "epoch_seconds": ended - prepared, **memory}))


if __name__ == "__main__":
    main()
