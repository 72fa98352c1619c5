#!/usr/bin/env python
"""Copy an alignment head to a translator of the same pair of languages, in the same direction or the other.

    python -m scripts.turn_alignment_head checkpoints/tatoeba-en-es checkpoints/tatoeba-es-en
    python -m scripts.turn_alignment_head HEAD checkpoints/mine       # HEAD: of nmt-align --learn --save HEAD

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
    parser.add_argument("taker", help="finished checkpoint of the same languages")
    options = parser.parse_args(arguments)
    from nmt.alignment.head import Aligner
    from nmt.checkpoint import ALIGNER, SUBWORDS, Checkpoint, write_checkpoint_metadata
    from nmt.errors import UserError
    from nmt.text.subwords import Subwords

    giver, taker = Checkpoint(options.giver), Checkpoint(options.taker)
    given, wanted = ((one.metadata.source, one.metadata.target) for one in (giver, taker))
    turned = wanted != given
    if turned and wanted != given[::-1]:
        raise UserError(f"{options.taker} is {'-'.join(wanted)}, neither {'-'.join(given)} nor the other direction")
    for name in taker.files:
        if name != ALIGNER:
            taker.path(name)  # refuses a damaged one
    head = Aligner.read(giver.path(ALIGNER), Subwords.load(taker.path(SUBWORDS)))
    head.save(taker.directory / ALIGNER, turned)
    if record := giver.metadata.record.get("alignment_head"):
        taker.metadata.record["alignment_head"] = {**record, "taken_from": giver.directory.resolve().name}
    write_checkpoint_metadata(taker.directory, taker.metadata.record)


if __name__ == "__main__":
    sys.exit(run("turn_alignment_head", main))
