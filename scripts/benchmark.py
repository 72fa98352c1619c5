#!/usr/bin/env python
"""How fast, how large: the speed claims, each measured beside its peers on this machine.

    scripts/benchmark/peers.sh                     # once: JoeyNMT in an environment of its own
    python scripts/benchmark.py training           # one claim
    python scripts/benchmark.py training --quick   # ours and a plain loop alone, in short turns; writes nothing
    python scripts/benchmark.py all                # every claim but the two that take longest

Raw replies are kept in docs/speed/CLAIM.json; the page is written from these. `all --resume` leaves out claims that are
there already.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from benchmark.door import main  # noqa: E402

from nmt.cli.common import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run("benchmark.py", main))
