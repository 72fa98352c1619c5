"""`nmt-translate` from a clone: python scripts/decode.py [TEXT ...]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nmt.cli.translate import entry  # noqa: E402

sys.exit(entry())
