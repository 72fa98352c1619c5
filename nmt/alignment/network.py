"""The alignment head as a PyTorch network, for training: which word of a sentence pair translates which.

`nmt.training.alignment` trains it; `nmt.alignment.head` computes the same in numpy, to align. It reads whole words, as
its teachers do. The vector of a word is the sum of its pieces' embeddings, so every word has one and a matrix over
words needs no pooling. Words are numbered types; number 0 is padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.alignment.head import CLIP
from nmt.config import AlignerConfig


@dataclass(frozen=True)
class WordTypes:
    """The different words of one language of a corpus, and their pieces. Word 0 is padding."""

    pieces: np.ndarray
    """[all pieces], int64: the words' piece ids, one word after another."""
    starts: np.ndarray
    """[words + 1], int64: word n has the pieces `starts[n]` to `starts[n + 1]`, at least one."""
    counts: np.ndarray
    """[words], int64: occurrences in the corpus."""

    def vectors(self, words: np.ndarray, embedding: Tensor) -> Tensor:
        """The sum of each word's pieces' `embedding` [pieces, width]: words [n] -> [n, width]."""
        first, sizes = self.starts[words], self.starts[words + 1] - self.starts[words]
        offsets = np.cumsum(sizes) - sizes
        positions = np.repeat(first - offsets, sizes) + np.arange(sizes.sum())
        pieces = torch.from_numpy(self.pieces[positions])
        return F.embedding_bag(pieces, embedding, torch.from_numpy(offsets), mode="sum")

    def with_own_vectors(self, pieces: int, count: int) -> tuple[WordTypes, int]:
        """Words of several pieces seen at least `count` times get one more "piece", numbered from `pieces` on.

        Returns the new table and the number of vectors it refers to.
        """
        sizes = np.diff(self.starts)
        chosen = np.flatnonzero((sizes > 1) & (self.counts >= count))
        own = np.arange(pieces, pieces + len(chosen))
        extended = np.insert(self.pieces, self.starts[chosen + 1], own)
        grown = sizes.copy()
        grown[chosen] += 1
        return WordTypes(extended, np.concatenate([[0], np.cumsum(grown)]), self.counts), pieces + len(chosen)


@dataclass(frozen=True)
class Sentences:
    """One side of a batch, with every different word once."""

    words: np.ndarray
    """[types], int64: the different words, ascending."""
    index: Tensor
    """[batch, length], int64: positions in `words`."""
    mask: Tensor
    """[batch, length], float32: 1 for words, 0 for padding."""

    @classmethod
    def of(cls, padded: np.ndarray) -> Sentences:
        """From word numbers [batch, length], 0 for padding."""
        words, index = np.unique(padded, return_inverse=True)
        mask = torch.from_numpy((padded > 0).astype(np.float32))
        return cls(words, torch.from_numpy(index.reshape(padded.shape)), mask)


def windows(vectors: Tensor, reach: int, centre: bool) -> Tensor:
    """[batch, length, width] -> [batch, length, width * (2 reach + centre)]: each word's neighbours side by side."""
    length = vectors.shape[1]
    padded = F.pad(vectors, (0, 0, reach, reach))
    shifts = [shift for shift in range(2 * reach + 1) if centre or shift != reach]
    return torch.cat([padded[:, shift : shift + length] for shift in shifts], dim=-1)


class Positions(nn.Module):
    """Bias of a cell (target j, source i) by how far it lies from the diagonal, in words and scaled to the lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Parameter(-0.1 * torch.arange(-CLIP, CLIP + 1).abs().float())
        self.scaled = nn.Parameter(-0.2 * torch.arange(-CLIP, CLIP + 1).abs().float())

    def forward(self, source_mask: Tensor, target_mask: Tensor) -> Tensor:
        """Masks [batch, source], [batch, target] -> biases [batch, target, source]."""
        i = torch.arange(source_mask.shape[1])[None, None, :]
        j = torch.arange(target_mask.shape[1])[None, :, None]
        stretch = (target_mask.sum(1) / source_mask.sum(1).clamp_min(1))[:, None, None]
        plain = (i - j).clamp(-CLIP, CLIP) + CLIP  # [1, target, source]
        scaled = ((i + 0.5) * stretch - (j + 0.5)).round().clamp(-CLIP, CLIP).long() + CLIP  # [batch, target, source]
        # Embedding lookups, because their gradient is much faster than that of plain indexing.
        return (F.embedding(plain, self.plain[:, None]) + F.embedding(scaled, self.scaled[:, None]))[..., 0]


class AlignmentHead(nn.Module):
    """The probability of a link for every pair of words; it sees both sentences and serves both directions.

    w_i = sum of the embeddings of word i's pieces; a_i = A w_i;
    h_i = V relu(U [w_(i-2) ... w_(i+2)] + u) + v (likewise b_j, g_j for the target, with matrices of its own);
    S_ji = (a_i . b_j + h_i . g_j) / sqrt(width) + position(j, i) + c;
    P, Q = softmax of S over the source and over the target, each against a null of 0;
    logit_ji = S_ji + convolution(P, Q)_ji.

    The convolution sees the neighbouring cells, so words that lie beside each other can support or exclude links.
    """

    def __init__(self, config: AlignerConfig, pieces: int) -> None:
        super().__init__()
        width = config.width
        self.reach = config.context
        self.embedding = nn.Parameter(torch.randn(pieces, width) * width**-0.5)
        self.source_word = nn.Linear(width, width, bias=False)
        self.target_word = nn.Linear(width, width, bias=False)
        self.source_context = TwoLayers((2 * self.reach + 1) * width, config.hidden, width)
        self.target_context = TwoLayers((2 * self.reach + 1) * width, config.hidden, width)
        self.positions = Positions()
        self.offset = nn.Parameter(torch.tensor(-2.0))
        self.cells = nn.Conv2d(2, config.channels, 5, padding=2)
        self.cells_out = nn.Conv2d(config.channels, 1, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.scale = width**-0.5
        with torch.no_grad():
            for parameter in self.cells_out.parameters():
                parameter.zero_()

    def forward(self, source: Sentences, target: Sentences, source_types: WordTypes, target_types: WordTypes) -> Tensor:
        """Link logits [batch, target, source]; cells of padding are meaningless."""
        x_words = source_types.vectors(source.words, self.embedding)  # [types, width]
        y_words = target_types.vectors(target.words, self.embedding)
        x = self.dropout(F.embedding(source.index, x_words)) * source.mask[..., None]  # [batch, source, width]
        y = self.dropout(F.embedding(target.index, y_words)) * target.mask[..., None]
        scores = self.target_word(y) @ self.source_word(x).transpose(1, 2)  # [batch, target, source]
        x_context = self.source_context(windows(x, self.reach, centre=True))
        y_context = self.target_context(windows(y, self.reach, centre=True))
        scores = scores + y_context @ x_context.transpose(1, 2)
        scores = scores * self.scale + self.positions(source.mask, target.mask) + self.offset
        real = target.mask[:, :, None] * source.mask[:, None, :]
        kept = scores.masked_fill(real == 0, -1e9)
        over_source = F.pad(kept, (0, 1)).softmax(2)[:, :, :-1]
        over_target = F.pad(kept, (0, 0, 0, 1)).softmax(1)[:, :-1]
        maps = torch.stack([over_source, over_target], dim=1)  # [batch, 2, target, source]
        return scores + self.cells_out(self.cells(maps).relu())[:, 0]


class TwoLayers(nn.Sequential):
    """V relu(U x + u) + v."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
