"""What a search is asked for and what it finds; torch-free, because every engine uses it."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nmt.errors import UserError
from nmt.untrusted import DECODING, LARGEST_VOCABULARY, within

SAMPLING: dict[str, tuple[Any, float, float]] = {
    "temperature": (numbers.Real, 0.01, 100),
    "top_k": (numbers.Integral, 0, LARGEST_VOCABULARY),
    "seed": (numbers.Integral, 0, 2**63 - 1),
}
"""Kind, least and most of the sampling options."""


@dataclass(frozen=True)
class SearchOptions:
    """How to search, or sample."""

    beam: int = 3
    """Hypotheses kept a step; 1 is greedy search. From 2 to 4 the shipped models' dev BLEU is the same within 0.5."""
    n_best: int = 1
    """Hypotheses returned, at most `beam`."""
    length_penalty: float = 1.0
    """Exponent of the length penalty (Wu et al. 2016, equation 14)."""
    min_length: int = 0
    """Fewest pieces of a hypothesis, `</s>` not counted."""
    max_length_factor: float = 2.0
    """A hypothesis has at most this many times the source's pieces ..."""
    max_length_extra: int = 10
    """... plus this many."""
    temperature: float | None = None
    """Sample from softmax(logits / temperature) instead of searching; None searches."""
    top_k: int = 0
    """Sample from this many likeliest pieces only (Fan et al. 2018); 0 samples from all."""
    seed: int = 0
    """Seed of the samples."""
    prefix: tuple[int, ...] = ()
    """Piece ids that every hypothesis begins with."""
    forbidden: tuple[int, ...] = ()
    """Piece ids that no hypothesis may have."""

    def __post_init__(self) -> None:
        own = {"n_best": (numbers.Integral, 1, self.beam), **SAMPLING}
        for name, (kind, least, most) in {**DECODING, **own}.items():
            value = getattr(self, name)
            if name == "temperature" and value is None:
                continue
            if not within(value, kind, least, most):
                number = "whole number" if kind is numbers.Integral else "number"
                last = f"the beam, {most}" if name == "n_best" else f"{most:,}"
                raise UserError(f"{name.replace('_', '-')} is {value!r}; it must be a {number} from {least} to {last}")

    def max_length(self, source_pieces: int) -> int:
        """Most pieces of a hypothesis, `</s>` counted, for a source of `source_pieces` without it."""
        ended = max(self.min_length, len(self.prefix)) + 1  # `</s>` counts here
        return max(ended, int(self.max_length_factor * source_pieces) + self.max_length_extra)


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation as pieces."""

    pieces: list[int]
    """Piece ids without `<s>` and `</s>`."""
    log_probability: float
    """Natural logarithm of the model's probability of the pieces and `</s>`."""
    score: float
    """`log_probability` divided by the length penalty."""
    ended: bool = True
    """Whether the model closed it with `</s>`; False when the maximum length cut it off."""
    attention: np.ndarray | None = None
    """[target pieces, source pieces + 1], the last column `</s>`: cross-attention of the alignment layer, averaged over
    its heads, where the engine returns it."""
    rivals: tuple[Hypothesis, ...] = field(default=(), compare=False, repr=False)
    """The other hypotheses that its search finished, best first; their own `rivals` are empty."""


def n_best_of(found: Sequence[Hypothesis], n_best: int) -> list[Hypothesis]:
    """The first `n_best` of a search's finished hypotheses, each with the others as its rivals."""
    return [replace(one, rivals=(*found[:number], *found[number + 1 :])) for number, one in enumerate(found[:n_best])]


def length_penalty(length: int | float, exponent: float) -> float:
    """lp(Y) = ((5 + |Y|) / (5 + 1))^exponent (Wu et al. 2016, equation 14); `</s>` counts in |Y|."""
    return ((5 + length) / 6) ** exponent
