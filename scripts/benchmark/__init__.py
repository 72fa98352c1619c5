"""The speed benchmark: a module a claim, peers in their own processes, one door in `scripts/benchmark.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # from a clone that is not installed

THREADS = 2
"""CPU threads of every contestant."""
