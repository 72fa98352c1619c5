"""What a search is asked for and what it finds; torch-free, because every engine uses it."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np

from nmt.errors import UserError
from nmt.untrusted import DECODING, within


@dataclass(frozen=True)
class SearchOptions:
    """How to search."""

    beam: int = 5
    """Hypotheses kept a step; 1 is greedy search."""
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

    def __post_init__(self) -> None:
        for name, (kind, least, most) in {**DECODING, "n_best": (numbers.Integral, 1, self.beam)}.items():
            value = getattr(self, name)
            if not within(value, kind, least, most):
                number = "whole number" if kind is numbers.Integral else "number"
                last = f"the beam, {most}" if name == "n_best" else f"{most:,}"
                raise UserError(f"{name.replace('_', '-')} is {value!r}; it must be a {number} from {least} to {last}")

    def max_length(self, source_pieces: int) -> int:
        """Most pieces of a hypothesis, `</s>` counted, for a source of `source_pieces` without it."""
        ended = self.min_length + 1 if self.min_length else 1  # `</s>` counts here
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


def length_penalty(length: int | float, exponent: float) -> float:
    """lp(Y) = ((5 + |Y|) / (5 + 1))^exponent (Wu et al. 2016, equation 14); `</s>` counts in |Y|."""
    return ((5 + length) / 6) ** exponent
