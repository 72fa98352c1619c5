"""What every stage of a training run shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.config import RunConfig
from nmt.corpus import Corpus
from nmt.text.subwords import Subwords
from nmt.training.distributed import Ranks


@dataclass(frozen=True)
class Run:
    """A training run, as this process sees it."""

    config: RunConfig
    directory: Path
    """The checkpoint directory."""
    corpus: Corpus
    subwords: Subwords
    ranks: Ranks
    device: torch.device
