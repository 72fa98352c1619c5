"""`nmt-train` from a clone: python scripts/train.py CONFIG [key=value ...]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nmt.cli.train import entry  # noqa: E402

sys.exit(entry())
