"""What the experiments share: their options and models, their pages, and a toy corpus for their quick forms."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The project's directory."""
sys.path.insert(0, str(ROOT))  # from a clone that is not installed
