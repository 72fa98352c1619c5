#!/usr/bin/env python
"""Copy an alignment head to the translator of the other direction, trained on the same pairs.

    python -m scripts.turn_alignment_head checkpoints/tatoeba-en-es checkpoints/tatoeba-es-en

An alignment head reads both sentences and links them in either direction. Both checkpoints must have the same subword
model, as runs on the same corpus do.
"""

from __future__ import annotations

import argparse
import sys

from nmt.cli.common import run


def main(arguments: list[str]) -> None:
    """Read one, write the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("giver", help="checkpoint with an alignment head")
    parser.add_argument("taker", help="finished checkpoint of the other direction")
    options = parser.parse_args(arguments)
    from nmt.alignment.head import Aligner
    from nmt.checkpoint import ALIGNER, SUBWORDS, Checkpoint, write_checkpoint_metadata
    from nmt.errors import UserError
    from nmt.text.subwords import Subwords

    giver, taker = Checkpoint(options.giver), Checkpoint(options.taker)
    directions = [(one.metadata.source, one.metadata.target) for one in (giver, taker)]
    if directions[0] != directions[1][::-1]:
        names = ["-".join(direction) for direction in directions]
        raise UserError(f"{options.taker} is {names[1]}, not the other direction of {names[0]}")
    for name in taker.files:
        if name != ALIGNER:
            taker.path(name)  # refuses a damaged one
    head = Aligner.read(giver.path(ALIGNER), Subwords.load(taker.path(SUBWORDS)))
    head.save(taker.directory / ALIGNER, turned=True)
    if record := giver.metadata.record.get("alignment_head"):
        taker.metadata.record["alignment_head"] = {**record, "turned_from": giver.directory.resolve().name}
    write_checkpoint_metadata(taker.directory, taker.metadata.record)


if __name__ == "__main__":
    sys.exit(run("turn_alignment_head", main))
