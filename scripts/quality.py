#!/usr/bin/env python
"""How good: every figure of docs/results/quality.md.

    python scripts/quality.py multi30k checkpoints/multi30k-en-de --target de
    python scripts/quality.py tatoeba                       # the shipped English-Spanish one
    scripts/benchmark/peers.sh                              # once: JoeyNMT in an environment of its own
    python scripts/quality.py joeynmt --corpus multi30k     # 30 minutes each, one after the other
    python scripts/quality.py joeynmt --corpus tatoeba --minutes 30 60 --nmt-minutes 10 30
    python scripts/quality.py page                          # the page anew, from what has been measured

Each writes docs/results/quality/NAME.json and the page. Test sets are for the final table: choose on dev.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from quality.door import main  # noqa: E402

from nmt.cli.common import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run("quality.py", main))
