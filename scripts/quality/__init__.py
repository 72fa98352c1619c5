"""The quality measures: a module a command, one door in `scripts/quality.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # from a clone that is not installed
