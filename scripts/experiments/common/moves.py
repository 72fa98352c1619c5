"""Move attention weights between positions while the model runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.batching import pad
from nmt.engines.torch_engine import SPECIAL
from nmt.models import Transformer
from nmt.models.attention import MultiHeadAttention, attention
from nmt.search.beam import beam_search
from nmt.search.options import SearchOptions
from nmt.text.subwords import END, PADDING
from scripts.experiments.common.habits import Head, attention_of


class Move(NamedTuple):
    """Move all weight of some queries from the columns `taken` to `given`, in equal parts."""

    row: int
    """Of the batch."""
    queries: slice | list[int]
    taken: list[int]
    given: list[int]


Moves = Mapping[Head, Sequence[Move]]
"""Moves by head; other heads stay as they are."""


def move(weights: Tensor, moves: Sequence[Move]) -> None:
    """Move one head's weights [batch, target, source] in place; rows still sum to 1."""
    for row, queries, taken, given in moves:
        kept = weights[row, queries]  # [queries, source]
        mass = kept[:, taken].sum(dim=1, keepdim=True)
        kept[:, taken] = 0
        kept[:, given] += mass / len(given)
        weights[row, queries] = kept


@contextmanager
def moved(model: Transformer, moves: Moves) -> Iterator[None]:
    """Move the heads' weights after the softmax within the block."""
    by_module: dict[MultiHeadAttention, dict[int, Sequence[Move]]] = {}
    for head, own in moves.items():
        by_module.setdefault(attention_of(model, head), {})[head.number] = own
    for module, heads in by_module.items():
        module.attend = _Attend(heads)  # type: ignore[method-assign]  # hides the class's own
    try:
        yield
    finally:
        for module in by_module:
            del module.attend


class _Attend:
    """`MultiHeadAttention.attend` with some heads' weights moved."""

    def __init__(self, heads: Mapping[int, Sequence[Move]]) -> None:
        self.heads = heads

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, with_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        _, weights = attention(query, key, value, mask)  # [batch, heads, target, source]
        for number, moves in self.heads.items():
            move(weights[:, number], moves)
        return weights @ value, weights if with_weights else None


def source_batch(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Piece ids without `</s>` to `source` [batch, source] and lengths [batch], as `Transformer.encode` takes them."""
    lengths = torch.tensor([len(ids) + 1 for ids in sources])
    return torch.from_numpy(pad([[*ids, END] for ids in sources], PADDING)), lengths


@torch.inference_mode()
def translate_moved(
    model: Transformer, sources: Sequence[Sequence[int]], moves: Moves, options: SearchOptions
) -> list[list[int]]:
    """The best hypothesis of each source, with weights moved in the encoder; rows of the batch are the sources.

    Sources are piece ids without `</s>`, and so are the results.
    """
    with moved(model, moves):
        state = model.start(*source_batch(sources))
    longest = [min(options.max_length(len(ids)), model.config.max_length - 1) for ids in sources]
    return [found[0].pieces for found in beam_search(model.step, state, longest, options, SPECIAL)]
