"""A statistical teacher of the alignment: two hidden Markov models that learn to agree, vectorised.

Seconds for 100,000 short pairs: the cells of all pairs refer to one table of co-occurring words, the forward-backward
recursions run over many pairs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmt.alignment.word_corpus import FORWARD, REVERSE, WordPairs
from nmt.text.cognates import alike

NULL = 0.03
"""Probability that a word comes from no word of the other side."""
DIAGONAL = 2.0
"""IBM model 1's words lie near the diagonal: exp(-DIAGONAL |relative distance|), as in Dyer et al. (2013)."""
JUMP = 20
"""Longer jumps share one probability."""
UNIFORM_JUMPS = 0.2
"""Share of the jumps that is uniform (Och and Ney 2003, section 2.1.2)."""
STEM_COUNT = 30.0
"""Occurrences that the lexicon of stems weighs in a word's own lexicon."""
ALIKE = 0.5
"""Words that are less alike (`nmt.text.cognates`) count as not alike at all."""
ALIKE_COUNT = 10.0
"""Occurrences that the words which look like a word weigh in its lexicon."""
UNIGRAM_COUNT = 100.0
"""Occurrences that the unigram distribution weighs in the null word's lexicon."""
BLOCK_CELLS = 2**17
SIZES = np.array([*range(1, 13), 14, 16, 20, 24, 28, 32, 40, 48, 60, 80, 100, 128, 192, 256, 384, 512])
"""Sentences, which have at most `AlignerConfig.longest` words, are padded to these lengths."""


@dataclass(frozen=True)
class Block:
    """Pairs of like lengths, padded."""

    pairs: np.ndarray
    """[batch], numbers of the pairs."""
    words: tuple[Tensor, Tensor]
    """[batch, source] and [batch, target], int64, 0 for padding."""
    cells: Tensor
    """[batch, target, source], int32: each cell's place in the table of co-occurring words."""


class JointHmm:
    """p(y_j, a_j | a_(j-1), x) = p(a_j - a_(j-1)) p(y_j | x_(a_j)), and the same from the other side, taught jointly.

    The HMM of Vogel et al. (1996) with a null word (Och and Ney 2003, section 2.1), started by IBM model 1 (Brown et
    al. 1993). Both directions' posteriors are multiplied cell by cell before they are counted, so each learns what the
    other agrees with (Liang et al. 2006, "Alignment by Agreement", equation 5). The lexicon of a word is smoothed by
    that of its stem and by the words that look like it: (c(x, y) + m p(stem y | stem x) p(y | stem y) + n l(y | x)) /
    (c(x) + m + n). A mark and a word are never linked.
    """

    def __init__(self, pairs: WordPairs, workers: int = 1) -> None:
        """`pairs` have at most 512 words a sentence."""
        self.pairs, self.workers = pairs, workers
        self.blocks, self.words = _blocks(pairs)
        marks = [torch.from_numpy(pairs.punctuation[side])[self.words[side]] for side in (FORWARD, REVERSE)]
        self.possible = ((self.words[0] > 0) & (self.words[1] > 0) & (marks[0] == marks[1])).float()
        self.counts = [torch.from_numpy(count).float() for count in pairs.counts]
        self.unigrams = [count / count.sum() for count in self.counts]
        self.stems = [torch.from_numpy(stems) for stems in pairs.stems]
        together = torch.zeros(len(self.possible))
        for block in self.blocks:
            together.index_add_(0, block.cells.flatten(), torch.ones(block.cells.numel()))
        dice = self.possible * together / (self.counts[0][self.words[0]] + self.counts[1][self.words[1]]).clamp_min(1)
        self.alike = self._alike_counts()
        # Lexicons [table]: p(target word | source word), p(source word | target word); and those of the null words.
        self.lexicon = []
        for side, own in enumerate(self.words):
            share = dice / _sums(dice, own, self.counts[side])[own]
            self.lexicon.append(self._lexicon(side, self.counts[side][own] * share, self.counts[side]))
        self.null = self.unigrams[::-1]
        jumps = torch.arange(-JUMP, JUMP + 1)
        start = (-(jumps - 1).abs() / 2).exp() * torch.where(jumps == 1, 3.0, 1.0)
        self.jumps = [start / start.sum()] * 2

    def start(self, known: np.ndarray) -> None:
        """Take the lexicon from link probabilities [all cells], as `WordPairs.matrix_of` reads them."""
        agreed = torch.zeros(len(self.possible))
        nulls = [torch.zeros(len(count)) for count in self.counts[::-1]]
        for block in self.blocks:
            place, real = self._places(block)
            agreed.index_add_(0, block.cells[torch.from_numpy(real)], torch.from_numpy(known[place[real]]))
        self._maximise(agreed * self.possible, nulls, [torch.zeros(1), torch.zeros(1)])

    def learn(self, model_1: int, hmm: int, on_step: Callable[[int, int], None] = lambda step, steps: None) -> None:
        """Iterations of expectation maximisation of IBM model 1, then of the HMM.

        An interruption leaves the parameters of the last whole iteration.
        """
        for step in range(model_1 + hmm):
            on_step(step, model_1 + hmm)
            self._iterate(self._model_1 if step < model_1 else self._hmm)

    def posteriors(self) -> np.ndarray:
        """[all cells], float32, as `WordPairs.matrix_of` reads them: the mean of both directions' posteriors."""
        result = np.zeros(self.pairs.cell_starts[-1], np.float32)
        for block, (forward, reverse, _) in self._expectations(self._hmm):
            place, real = self._places(block)
            result[place[real]] = ((forward + reverse) / 2).numpy()[real]
        return result

    def _places(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Two of [batch, target, source]: each cell's place among all cells, and whether it is no padding."""
        sizes = [self.pairs.lengths[side][block.pairs][:, None, None] for side in (FORWARD, REVERSE)]
        _, target, source = block.cells.shape
        i, j = np.arange(source)[None, None], np.arange(target)[None, :, None]
        place = self.pairs.cell_starts[block.pairs][:, None, None] + j * sizes[FORWARD] + i
        return place, (i < sizes[FORWARD]) & (j < sizes[REVERSE])

    def _expectations(self, model: Callable) -> Iterator[tuple[Block, tuple[Tensor, Tensor, list[Tensor]]]]:
        """Both directions' posteriors [batch, target, source] and expected jumps of every block, in order."""
        with ThreadPoolExecutor(self.workers) as pool:
            for first in range(0, len(self.blocks), 4 * self.workers):
                some = self.blocks[first : first + 4 * self.workers]
                yield from zip(some, pool.map(model, some), strict=True)

    def _iterate(self, model: Callable) -> None:
        agreed = torch.zeros(len(self.possible))
        nulls = [torch.zeros(len(count)) for count in self.counts[::-1]]
        jumps = [torch.zeros(2 * JUMP + 1) for _ in self.jumps]
        for block, (forward, reverse, jumped) in self._expectations(model):
            both = forward * reverse
            agreed.index_add_(0, block.cells.flatten(), both.flatten())
            nulls[FORWARD].index_add_(0, block.words[1].flatten(), (1 - both.sum(2)).clamp_min(0).flatten())
            nulls[REVERSE].index_add_(0, block.words[0].flatten(), (1 - both.sum(1)).clamp_min(0).flatten())
            for total, one in zip(jumps, jumped, strict=True):
                total += one
        self._maximise(agreed * self.possible, nulls, jumps)

    def _maximise(self, agreed: Tensor, nulls: list[Tensor], jumps: list[Tensor]) -> None:
        smooth = self._stem_lexicons(agreed)
        lexicon = []
        for side, own in enumerate(self.words):
            total = _sums(agreed, own, self.counts[side], least=0) + STEM_COUNT
            lexicon.append(self._lexicon(side, agreed + STEM_COUNT * smooth[side], total))
        for count, unigram in zip(nulls, self.unigrams[::-1], strict=True):
            count[0] = 0
            count += UNIGRAM_COUNT * unigram
        self.lexicon, self.null = lexicon, [count / count.sum() for count in nulls]
        if jumps[0].sum() > 0:
            even = UNIFORM_JUMPS / (2 * JUMP + 1)
            self.jumps = [(1 - UNIFORM_JUMPS) * jump / jump.sum() + even for jump in jumps]

    def _lexicon(self, side: int, counts: Tensor, total: Tensor) -> Tensor:
        """[table]: counts [table] of `total` [types] occurrences, and those of words that look alike, as shares."""
        own, alike = self.words[side], self.alike[side]
        whole = total + _sums(alike, own, self.counts[side], least=0)
        return (counts + alike) / whole[own].clamp_min(1e-9) * self.possible

    def _alike_counts(self) -> list[Tensor]:
        """Two of [table]: `ALIKE_COUNT` l(y | x), which is in proportion to the square of how much alike they are."""
        similar = torch.from_numpy(alike(self.pairs.table, (self.words[0].numpy(), self.words[1].numpy())))
        similar = torch.where(similar >= ALIKE, similar, 0.0).square() * self.possible
        totals = [_sums(similar, own, self.counts[side])[own] for side, own in enumerate(self.words)]
        return [ALIKE_COUNT * similar / total for total in totals]

    def _stem_lexicons(self, agreed: Tensor) -> list[Tensor]:
        """Two of [table]: p(stem y | stem x) p(y | stem y), and the same from the other side."""
        stems = [self.stems[side][words] for side, words in enumerate(self.words)]
        sizes = [int(own.max()) + 1 for own in self.stems]
        _, place = torch.unique(stems[0] * sizes[1] + stems[1], return_inverse=True)
        together = torch.zeros(len(place)).index_add_(0, place, agreed)[place]
        result = []
        for side, other in ((0, 1), (1, 0)):
            whole = torch.zeros(sizes[side]).index_add_(0, stems[side], agreed)[stems[side]].clamp_min(1e-9)
            family = torch.zeros(sizes[other]).index_add_(0, self.stems[other], self.counts[other])
            share = self.counts[other][self.words[other]] / family[stems[other]].clamp_min(1)
            result.append(together / whole * share)
        return result

    def _model_1(self, block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        source, target = block.words
        real = (source > 0)[:, None, :] & (target > 0)[:, :, None]
        lengths = [(words > 0).sum(1)[:, None, None] for words in block.words]
        i = (torch.arange(source.shape[1]) + 0.5)[None, None] / lengths[FORWARD]
        j = (torch.arange(target.shape[1]) + 0.5)[None, :, None] / lengths[REVERSE]
        near = (-DIAGONAL * (i - j).abs()).exp() * real
        posteriors = []
        for side, axis in ((FORWARD, 2), (REVERSE, 1)):
            prior = (1 - NULL) * near / near.sum(axis, keepdim=True).clamp_min(1e-9)
            joint = prior * self.lexicon[side][block.cells]
            null = NULL * self.null[side][block.words[1 - side]].unsqueeze(axis)
            posteriors.append(joint / (joint.sum(axis, keepdim=True) + null).clamp_min(1e-30))
        return posteriors[0], posteriors[1], [torch.zeros(2 * JUMP + 1) for _ in self.jumps]

    def _hmm(self, block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        forward, forward_jumps = self._forward_backward(block, FORWARD)
        reverse, reverse_jumps = self._forward_backward(block, REVERSE)
        return forward, reverse.transpose(1, 2), [forward_jumps, reverse_jumps]

    def _forward_backward(self, block: Block, side: int) -> tuple[Tensor, Tensor]:
        """Posteriors [batch, target, source] of one direction, whose source is `side`, and expected jumps."""
        source, target = block.words[side], block.words[1 - side]
        inside, real = (source > 0).float(), (target > 0).float().T  # [batch, source], [target, batch]
        emission = self.lexicon[side][block.cells]
        emission = (emission if side == FORWARD else emission.transpose(1, 2)).transpose(0, 1)
        # Behind a sentence's end all goes on with probability 1.
        emission = torch.where(real[..., None] > 0, emission, 1.0) * inside * (1 - NULL)  # [target, batch, source]
        null = torch.where(real > 0, self.null[side][target.T], 1.0)[..., None] * NULL  # [target, batch, 1]
        places = torch.arange(source.shape[1])
        jump = (places[None] - places[:, None]).clamp(-JUMP, JUMP) + JUMP
        moves = self.jumps[side][jump]  # [from, to]
        scale = inside / (inside @ moves.T).clamp_min(1e-9)  # jumps stay in the sentence
        start = self.jumps[side][(places + 1).clamp(max=JUMP) + JUMP] * inside
        reached = start / start.sum(1, keepdim=True)  # where the path is, words from null staying where they were
        linked, before = [], []
        for step, (own, none) in enumerate(zip(emission, null, strict=True)):
            here = own * (reached if step == 0 else (reached * scale) @ moves)
            stayed = none * reached
            before.append(reached)
            total = (here + stayed).sum(1, keepdim=True).clamp_min(1e-30)
            linked.append(here / total)
            reached = (here + stayed) / total
        after, expected = torch.ones_like(inside), torch.zeros_like(moves)
        posterior = [linked[-1]]
        for step in range(len(emission) - 1, 0, -1):
            ahead, reached = emission[step] * after, before[step]
            after = (ahead @ moves.T) * scale + null[step] * after
            total = (reached * after).sum(1, keepdim=True).clamp_min(1e-30)
            expected += moves * ((reached * scale / total * real[step][:, None]).T @ ahead)
            after = after / total
            posterior.append(linked[step - 1] * after)
        jumps = torch.zeros(2 * JUMP + 1).index_add_(0, jump.flatten(), expected.flatten())
        return (torch.stack(posterior[::-1]) * real[..., None]).transpose(0, 1), jumps


def _sums(values: Tensor, own: Tensor, counts: Tensor, least: float = 1e-9) -> Tensor:
    """[types]: the sum of `values` [table] over each word's entries."""
    return torch.zeros(len(counts)).index_add_(0, own, values).clamp_min(least)


def _blocks(pairs: WordPairs) -> tuple[list[Block], tuple[Tensor, Tensor]]:
    """The pairs in blocks, and the table of co-occurring words: [table] of each side, 0 where there is padding."""
    sizes = [np.searchsorted(SIZES, lengths) for lengths in pairs.lengths]
    order = np.lexsort(sizes)
    group = sizes[0][order] * len(SIZES) + sizes[1][order]
    found, keys = [], []
    vocabulary = len(pairs.table[1]) + 1
    for part in np.split(order, np.flatnonzero(np.diff(group)) + 1):
        source, target = (SIZES[size[part[0]]] for size in sizes)
        most = max(1, BLOCK_CELLS // (source * target))
        for numbers in np.split(part, range(most, len(part), most)):
            x, y = _padded(pairs, 0, numbers, source), _padded(pairs, 1, numbers, target)
            found.append((numbers, x, y))
            keys.append((x[:, None, :] * vocabulary + y[:, :, None]).ravel())
    table, places = np.unique(np.concatenate(keys), return_inverse=True)
    places = places.astype(np.int32)
    blocks, first = [], 0
    for numbers, x, y in found:
        shape = len(numbers), y.shape[1], x.shape[1]
        cells = places[first : first + x.shape[1] * y.size].reshape(shape)
        blocks.append(Block(numbers, (torch.from_numpy(x), torch.from_numpy(y)), torch.from_numpy(cells)))
        first += cells.size
    return blocks, (torch.from_numpy(table // vocabulary), torch.from_numpy(table % vocabulary))


def _padded(pairs: WordPairs, side: int, numbers: np.ndarray, width: int) -> np.ndarray:
    """[batch, width], int64: sentences, 0 for padding."""
    places = np.arange(width)
    starts, lengths = pairs.starts[side][numbers][:, None], pairs.lengths[side][numbers][:, None]
    words = pairs.words[side][np.minimum(starts + places, len(pairs.words[side]) - 1)]
    return np.where(places < lengths, words, 0).astype(np.int64)
