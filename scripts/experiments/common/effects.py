"""Kendall's tau, and the effect of leaving out a source word on every target word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor

from nmt.models import Transformer
from nmt.text.encoding import Encoding
from nmt.text.subwords import END, START
from scripts.experiments.common.moves import source_batch


def kendall_tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's tau-b of two rows of numbers [n]: 1 for equal order, -1 for opposite, 0 for none.

    Ties count for neither (Kendall 1945). NaN if a row is constant.
    """
    upper = np.triu_indices(len(first), k=1)
    a, b = (np.sign(row[:, None] - row[None, :])[upper] for row in (np.asarray(first), np.asarray(second)))
    untied = np.sqrt(float((a != 0).sum()) * float((b != 0).sum()))
    return float((a * b).sum() / untied) if untied else float("nan")


@contextmanager
def scaled_embeddings(model: Transformer, factors: Tensor) -> Iterator[None]:
    """Multiply the encoder's embeddings by `factors` [batch, source] within the block.

    A factor of 0 removes a piece's content and keeps its position; the gradient at 1 is gradient x input.
    """
    handle = model.source_embedding.register_forward_hook(lambda _module, _inputs, output: output * factors[..., None])
    try:
        yield
    finally:
        handle.remove()


class Sentence:
    """A source and the target to explain, under a model."""

    def __init__(self, model: Transformer, source: Encoding, target: Encoding) -> None:
        self.model, self.source, self.target = model, source, target
        # Which pieces cover a word: [words, pieces with `</s>`].
        self.source_pieces, self.target_pieces = (coverage(side) for side in (source, target))

    @torch.inference_mode()
    def left_out(self) -> np.ndarray:
        """Drop of each target word's log-probability when a source word's pieces are removed.

        [target words, source words], with teacher forcing.
        """
        kept = [np.flatnonzero(~covered[:-1]) for covered in self.source_pieces]
        ids = np.array(self.source.ids)
        sources = [self.source.ids, *(ids[places].tolist() for places in kept)]
        scores = self._word_scores(sources)  # [1 + source words, target words]
        return (scores[0] - scores[1:]).T.numpy()

    @torch.inference_mode()
    def silenced(self) -> np.ndarray:
        """The same with a source word's embeddings set to zero and its positions kept."""
        rows = 1 + len(self.source_pieces)
        factors = torch.ones(rows, len(self.source.ids) + 1)
        factors[1:] -= torch.from_numpy(self.source_pieces).float()
        scores = self._word_scores([self.source.ids] * rows, factors)
        return (scores[0] - scores[1:]).T.numpy()

    def gradient_times_input(self) -> np.ndarray:
        """Gradient of each target word's log-probability along each source word's embeddings, times the embeddings.

        [target words, source words]: to first order, what `silenced` measures (Shrikumar et al. 2017).
        """
        words = len(self.target_pieces)
        factors = torch.ones(words, len(self.source.ids) + 1, requires_grad=True)
        scores = self._word_scores([self.source.ids] * words, factors)  # [target words, target words]
        (gradient,) = torch.autograd.grad(scores.diagonal().sum(), factors)
        return gradient.numpy() @ self.source_pieces.T.astype(np.float32)

    def _word_scores(self, sources: list[list[int]], factors: Tensor | None = None) -> Tensor:
        """Log-probabilities of the target's words given each source: [sources, target words]."""
        target = torch.tensor([START, *self.target.ids]).expand(len(sources), -1)
        labels = torch.tensor([*self.target.ids, END]).expand(len(sources), -1)
        # With tied embeddings the decoder reads the same table, so only the encoder runs under the factors.
        with scaled_embeddings(self.model, factors) if factors is not None else nullcontext():
            memory, mask, _ = self.model.encode(*source_batch(sources))
        logits = self.model.logits(self.model.decode(target, memory, mask)[0])  # [sources, target, vocabulary]
        scores = logits.log_softmax(dim=-1).gather(2, labels[..., None]).squeeze(2)  # [sources, target]
        return scores @ torch.from_numpy(self.target_pieces).float().T


def coverage(sentence: Encoding) -> np.ndarray:
    """Mask [words, pieces + 1] of the pieces that cover each word; the last column is `</s>`, which covers none."""
    covered = np.zeros((len(sentence.words), len(sentence.ids) + 1), dtype=bool)
    for piece, words in enumerate(sentence.words_of_piece):
        covered[words, piece] = True
    return covered


def rollout(encoder: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Attention rolled out through the encoder to its input (Abnar and Zuidema 2020, section 3).

    encoder [layers, heads, source, source], cross [layers, heads, target, source]. Each layer's mean
    over heads is averaged with the identity, for the residual connection. Returns [target, source].
    """
    mixed = np.eye(encoder.shape[-1])
    for layer in encoder.mean(axis=1):
        mixed = (0.5 * layer + 0.5 * np.eye(len(layer))) @ mixed
    return cross.mean(axis=(0, 1)) @ mixed


def agreement(scores: np.ndarray, effects: np.ndarray) -> tuple[float, float]:
    """Agreement of `scores` with `effects`, both [target words, source words].

    Mean Kendall's tau over target words (NaN if all are constant), and share of target words with the same top word.
    """
    taus = np.array([kendall_tau(*rows) for rows in zip(scores, effects, strict=True)])
    known = taus[np.isfinite(taus)]
    same = (scores.argmax(axis=1) == effects.argmax(axis=1)).mean()
    return float(known.mean()) if len(known) else float("nan"), float(same)
