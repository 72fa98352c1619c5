"""A neural teacher of the alignment: a mixture model that learns, without supervision, which word translates which."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.alignment.network import Positions, Sentences, TwoLayers, WordTypes, windows
from nmt.config import AlignerConfig


class MixtureAligner(nn.Module):
    """A translation model in which every target word comes from one source word, or from none.

    p(y_j | x, y_without_j) = sum_i p(i | j, x, y_without_j) p(y_j | x_i)

    as in IBM model 2 and the HMM (Brown et al. 1993, equation 31; Vogel et al. 1996), with both factors neural:

    - the lexicon p(y | x_i) is a softmax of a bilinear form of the two words' vectors *alone*, plus a score of y
      itself, so a source word cannot speak for its neighbours; `null` has that score alone, the unigram distribution
      at first;
    - the prior p(i | j, ...) sees everything but y_j, as in Mask-Align (Chen et al. 2021, section 3.1): source
      words in context, the target words around j, position, and where the words around j would lie.

    The alignment is the exact posterior over i given y_j, not the prior (attention), so it knows the aligned word.
    The lexicon's softmax runs over the different target words of the batch; that y_j is one of them is all that the
    prior can know of it.
    """

    def __init__(self, config: AlignerConfig, pieces: int, source: WordTypes, target: WordTypes) -> None:
        super().__init__()
        width, reach = config.teacher_width, 2
        self.reach = reach
        self.source, source_vectors = source.with_own_vectors(pieces, config.own_vector_count)
        self.target, target_vectors = target.with_own_vectors(pieces, config.own_vector_count)
        self.source_embedding = nn.Parameter(torch.randn(source_vectors, width) * width**-0.5)
        self.target_embedding = nn.Parameter(torch.randn(target_vectors, width) * width**-0.5)
        self.lexicon_source = nn.Linear(width, width, bias=False)
        self.lexicon_target = nn.Linear(width, width, bias=False)
        frequency = torch.tensor(target.counts, dtype=torch.float32) + 0.5
        self.unigram = nn.Parameter((frequency / frequency.sum()).log())
        self.query = TwoLayers(2 * reach * width, 2 * width, width)
        self.key = TwoLayers((2 * reach + 1) * width, 2 * width, width)
        self.null = nn.Linear(width, 1)
        self.positions = Positions()
        self.neighbours = nn.Conv2d(1, config.channels, (5, 7), padding=(2, 3))
        self.neighbours_out = nn.Conv2d(config.channels, 1, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.scale = width**-0.5
        # The middle row of the kernel window is the word's own row, which the prior must not see.
        others = torch.ones(1, 1, 5, 7)
        others[:, :, 2] = 0
        self.others: Tensor
        self.register_buffer("others", others, persistent=False)
        with torch.no_grad():
            last = self.query[2]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(0.1)  # positions lead at first
            for layer in (self.null, self.neighbours_out):
                for parameter in layer.parameters():
                    parameter.zero_()

    def forward(self, source: Sentences, target: Sentences) -> Tensor:
        """log p(i | j, ...) + log p(y_j | x_i): [batch, target, source + 1], null last."""
        source_words = self.source.vectors(source.words, self.source_embedding)  # [types, width]
        target_words = self.target.vectors(target.words, self.target_embedding)
        translation = self._translation(source, target, source_words, target_words)  # [batch, target, source + 1]
        x = self.dropout(F.embedding(source.index, source_words)) * source.mask[..., None]
        y = self.dropout(F.embedding(target.index, target_words)) * target.mask[..., None]
        query = self.query(windows(y, self.reach, centre=False))
        key = self.key(windows(x, self.reach, centre=True))
        positions = self.positions(source.mask, target.mask)
        absent = source.mask[:, None] == 0
        with torch.no_grad():  # where every target word would lie by its lexicon and position alone
            null = self.null.bias.expand(*positions.shape[:2], 1)
            crude = translation + torch.cat([positions.masked_fill(absent, -1e9), null], dim=-1)
            crude = crude.softmax(-1)[..., :-1] * target.mask[..., None]
        near = F.conv2d(crude[:, None], self.neighbours.weight * self.others, self.neighbours.bias, padding=(2, 3))
        prior = query @ key.transpose(1, 2) * self.scale + positions + self.neighbours_out(near.relu())[:, 0]
        prior = torch.cat([prior.masked_fill(absent, -1e9), self.null(query)], dim=-1)
        return prior.log_softmax(-1) + translation

    def _translation(self, source: Sentences, target: Sentences, source_words: Tensor, target_words: Tensor) -> Tensor:
        """log p(y_j | x_i), [batch, target, source + 1], null last."""
        bias = self.unigram[torch.from_numpy(target.words)].masked_fill(torch.from_numpy(target.words == 0), -1e9)
        lexicon = self.dropout(self.lexicon_source(source_words)) @ self.lexicon_target(target_words).T
        lexicon = F.log_softmax(F.pad(lexicon, (0, 0, 0, 1)) + bias, dim=-1)  # [source types + 1, target types]
        batch, length = source.index.shape
        rows = torch.cat([source.index, torch.full((batch, 1), len(source.words))], dim=1)
        cells = rows[:, None] * len(target.words) + target.index[:, :, None]
        return lexicon.flatten().gather(0, cells.flatten()).view(batch, -1, length + 1)
