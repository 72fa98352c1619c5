"""The heads of a transformer: what each attends to, and the model without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from nmt.models import Transformer
from nmt.models.attention import MultiHeadAttention
from nmt.translation import AttentionMaps

KINDS = ("encoder", "decoder", "cross")


class Head(NamedTuple):
    """One head; layer and number are counted from 0."""

    kind: str
    layer: int
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.layer + 1}.{self.number + 1}"


class Habits(NamedTuple):
    """Averages of a head over all queries except `<s>` and `</s>`; shares of its attention."""

    offset: float
    """Attended position minus the query's, in pieces; for cross-attention minus the target's position."""
    previous: float
    same: float
    next: float
    """Shares of the positions before, at and after the query's own, if present; 0 in a causal decoder."""
    special: float
    """Share of the source's `</s>`; for decoder self-attention of `<s>`."""
    punctuation: float
    entropy: float
    """Nats."""


def heads_of(model: Transformer) -> list[Head]:
    """All heads, encoder first."""
    layers = {"encoder": model.config.encoder_layers, "decoder": model.config.decoder_layers}
    return [
        Head(kind, layer, number)
        for kind in KINDS
        for layer in range(layers["encoder" if kind == "encoder" else "decoder"])
        for number in range(model.config.heads)
    ]


@contextmanager
def removed(model: Transformer, head: Head) -> Iterator[None]:
    """Remove a head within the block: its columns of the output matrix W^O are zero.

    MultiHead = sum over heads of head_i W_i^O + b (Vaswani et al. 2017, section 3.2.2), so only its term is gone
    (Michel et al. 2019, section 2.3).
    """
    output = attention_of(model, head).output
    width = output.in_features // model.config.heads
    block = output.weight.detach()[:, head.number * width : (head.number + 1) * width]  # [width, width / heads]
    kept = block.clone()
    block.zero_()
    try:
        yield
    finally:
        block.copy_(kept)


def habits(maps: Iterable[AttentionMaps]) -> dict[Head | str, Habits]:
    """Habits of every head and, under each kind's name, those of uniform attention."""
    totals: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for one in maps:
        source, target = one.source_pieces, ["<s>", *one.target_pieces[:-1]]
        for kind, columns in (("encoder", source), ("decoder", target), ("cross", source)):
            weights = getattr(one, kind).astype(np.float64)  # [layers, heads, rows, columns]
            everywhere = np.ones(weights.shape[-2:])
            if kind == "decoder":
                everywhere = np.tril(everywhere)
            everywhere /= everywhere.sum(axis=1, keepdims=True)
            flat = np.concatenate([weights.reshape(-1, *everywhere.shape), everywhere[None]])
            # The row of `<s>` is the decoder's first; the encoder and the cross-attention end in that of `</s>`.
            rows = slice(1, None) if kind == "decoder" else slice(None, -1)
            special = 0 if kind == "decoder" else -1
            totals[kind].append(_sums(flat, rows, special, np.array([is_punctuation(piece) for piece in columns])))
    found: dict[Head | str, Habits] = {}
    for kind, sums in totals.items():
        total = np.sum(sums, axis=0)  # [2, habits, heads + 1]: sums and what they are over
        means = total[0] / np.maximum(total[1], 1)
        layers = len(getattr(one, kind))
        for place, column in enumerate(means.T[:-1]):
            found[Head(kind, *divmod(place, (len(means.T) - 1) // layers))] = Habits(*column.tolist())
        found[kind] = Habits(*means.T[-1].tolist())
    return found


def is_punctuation(piece: str) -> bool:
    """Whether a subword piece has visible characters and none of them is a letter or a digit."""
    text = piece.strip("▁")
    return bool(text) and piece not in ("<s>", "</s>") and not any(character.isalnum() for character in text)


def _sums(weights: np.ndarray, rows: slice, special: int, punctuation: np.ndarray) -> np.ndarray:
    # weights [heads, rows, columns] -> [2, habits, heads]: each habit's sum over the chosen rows, and their number.
    chosen = np.arange(weights.shape[1])[rows]
    columns = np.arange(weights.shape[2])
    kept = weights[:, chosen]  # [heads, chosen, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(kept > 0, kept * np.log(kept), 0).sum(axis=2)
    values = [(kept * (columns - chosen[:, None])).sum(axis=2)]
    for shift in (-1, 0, 1):
        there = (chosen + shift >= 0) & (chosen + shift < len(columns))
        values.append(kept[:, there.nonzero()[0], chosen[there] + shift])
    values += [kept[:, :, special], kept[:, :, punctuation].sum(axis=2), entropy]
    sums = [value.sum(axis=1) for value in values]
    return np.array([sums, [np.full(len(weights), value.shape[1]) for value in values]])


def attention_of(model: Transformer, head: Head) -> MultiHeadAttention:
    """The module that the head is part of."""
    if head.kind == "encoder":
        return model.encoder_layers[head.layer].self_attention  # type: ignore[index]
    layer = model.decoder_layers[head.layer]
    return layer.cross_attention if head.kind == "cross" else layer.self_attention
