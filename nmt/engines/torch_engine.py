"""The PyTorch engine: translates batches, one on each core, and reads every layer's and head's attention."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar, cast

import numpy as np
import torch

from nmt.batching import batches_for_decoding, pad
from nmt.checkpoint import WEIGHTS, Checkpoint, load_arrays
from nmt.models import Model, build_model, claimed_weights, load_weights
from nmt.search.beam import SpecialPieces, beam_search
from nmt.search.options import Hypothesis, SearchOptions
from nmt.search.sampling import generators, sample
from nmt.text.subwords import END, PADDING, START, UNKNOWN, Subwords
from nmt.untrusted import check_claim, tensor_shapes

Item = TypeVar("Item")
Result = TypeVar("Result")
_process = os.getpid()
BATCH_TOKENS = 2048
"""Source positions per batch at beam 5, or source plus target positions in scoring and reading attention; larger
batches overflow a CPU's caches and are slower."""
SPECIAL = SpecialPieces(START, END, forbidden=(PADDING, UNKNOWN, START))


class AttentionWeights(NamedTuple):
    """Every attention weight of one pair of sentences, as in `nmt.translation.AttentionMaps` but with piece ids."""

    encoder: np.ndarray | None
    decoder: np.ndarray | None
    cross: np.ndarray | None
    candidates: list[list[tuple[int, float]]]
    """For each step the likeliest next pieces with their log-probabilities, best first."""


class TorchEngine:
    """Translation by a network held in memory."""

    def __init__(self, model: Model, layer: int | None = None, heads: Sequence[int] = (0,)) -> None:
        """`layer` and `heads` are those of a hypothesis' attention."""
        self.model, self.layer, self.heads = model.eval(), layer, list(heads)
        self.device = next(model.parameters()).device

    @classmethod
    def load(cls, checkpoint: Checkpoint, subwords: Subwords, threads: int | None = None) -> TorchEngine:
        """The network of a checkpoint, on a GPU where there is one. Raises UserError when its weights do not fit."""
        if threads:
            torch.set_num_threads(threads)
        config, path = checkpoint.model_config, checkpoint.path(WEIGHTS)
        check_claim(claimed_weights(config, len(subwords)), tensor_shapes(path), checkpoint.directory)
        model = build_model(config, len(subwords), subwords.target_size)
        load_weights(model, load_arrays(path), checkpoint.directory)
        model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model, checkpoint.metadata.alignment_layer, checkpoint.shown_heads)

    def translate(
        self, sources: Sequence[list[int]], options: SearchOptions, batch_sentences: int = 64, attention: bool = False
    ) -> list[list[Hypothesis]]:
        """The n-best list of each source (piece ids without `</s>`), in order, with `attention` if requested.

        Sources are sorted by length and cut into batches of at most `batch_sentences`, each padded to its own longest;
        each core translates one batch at a time.
        """
        results: list[list[Hypothesis]] = [[] for _ in sources]
        lengths = [len(source) + 1 for source in sources]
        share = -(-len(sources) // usable_threads()) or 1  # few sentences are shared out too
        budget = max(1, BATCH_TOKENS * 5 // options.beam)
        batches = list(batches_for_decoding(lengths, budget, min(batch_sentences, share)))
        work = [[sources[number] for number in batch] for batch in batches]
        search = partial(self._search, options=options)
        for batch, found in zip(batches, on_every_core(search, work), strict=True):
            for number, hypotheses in zip(batch, found, strict=True):
                results[number] = hypotheses
        return self._with_attention(sources, results) if attention else results

    def _with_attention(
        self, sources: Sequence[list[int]], found: Sequence[list[Hypothesis]]
    ) -> list[list[Hypothesis]]:
        # One teacher-forced pass is exact for any hypothesis: the network scored it from the same inputs.
        assert self.layer is not None
        flat = [(source, one) for source, hypotheses in zip(sources, found, strict=True) for one in hypotheses]
        targets = [one.pieces for _, one in flat]
        maps = iter(self.attention([source for source, _ in flat], targets, layer=self.layer))
        weights = (cast(np.ndarray, one.cross)[0, self.heads, :-1].mean(axis=0) for one in maps)
        return [[replace(one, attention=next(weights)) for one in hypotheses] for hypotheses in found]

    @torch.inference_mode()
    def _search(self, sources: list[list[int]], options: SearchOptions) -> list[list[Hypothesis]]:
        max_lengths = [min(options.max_length(len(source)), self.model.config.max_length - 1) for source in sources]
        state = self.model.start(*self._tensors(sources))
        if options.temperature is None:
            return beam_search(self.model.step, state, max_lengths, options, SPECIAL)
        return sample(self.model.step, state, max_lengths, options, SPECIAL, generators(sources, options))

    @torch.inference_mode()
    def score(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> list[np.ndarray]:
        """Log-probability of each target piece given those before it, by one teacher-forced pass; order kept.

        Piece ids without `</s>`. Each result is [target pieces + 1], float32; the last is that of `</s>`.
        """
        results: list[np.ndarray] = [np.empty(0, np.float32)] * len(sources)
        for batch, source, source_lengths, target in self._forced(sources, targets):
            states = self.model(source, source_lengths, target)  # [batch, target, width]
            for row, number in enumerate(batch):
                labels = torch.tensor([*targets[number], END], device=self.device)[:, None]  # [target, 1]
                log_probabilities = self.model.logits(states[row, : len(labels)]).log_softmax(dim=-1)
                results[number] = log_probabilities.gather(1, labels)[:, 0].float().cpu().numpy()
        return results

    @torch.inference_mode()
    def attention(
        self, sources: Sequence[list[int]], targets: Sequence[list[int]], candidates: int = 0, layer: int | None = None
    ) -> list[AttentionWeights]:
        """All attention weights of each (source, target) pair, by one teacher-forced pass; order kept.

        With `layer` the decoder's are those of this layer alone, and the encoder's are left out. Kinds that the network
        does not have are None. `candidates` likeliest next pieces are listed for every step.
        """
        usable_threads()
        results: list[AttentionWeights | None] = [None] * len(sources)
        for batch, source, source_lengths, target in self._forced(sources, targets):
            memory, mask, encoder = self.model.encode(source, source_lengths, with_weights=layer is None)
            states, decoder, cross = self.model.decode(target, memory, mask, with_weights=True, layer=layer)
            kinds = [
                torch.stack(kind).float().cpu().numpy() if kind else None  # [layers, batch, heads, rows, columns]
                for kind in (encoder, decoder, cross)
            ]
            for row, number in enumerate(batch):
                rows, columns = len(targets[number]) + 1, len(sources[number]) + 1
                steps = []
                if candidates:
                    logits = self.model.logits(states[row, :rows]).log_softmax(dim=-1)
                    best, pieces = logits.topk(min(candidates, logits.size(-1)))  # [target, candidates]
                    steps = [
                        list(zip(step, scores, strict=True))
                        for step, scores in zip(pieces.tolist(), best.tolist(), strict=True)
                    ]
                results[number] = AttentionWeights(
                    encoder=_of_pair(kinds[0], row, columns, columns),
                    decoder=_of_pair(kinds[1], row, rows, rows),
                    cross=_of_pair(kinds[2], row, rows, columns),
                    candidates=steps,
                )
        return [maps for maps in results if maps is not None]

    def _forced(
        self, sources: Sequence[list[int]], targets: Sequence[list[int]]
    ) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor, torch.Tensor]]:
        # Batches for teacher forcing: the numbers of their pairs, the sources, their lengths, the targets with `<s>`.
        lengths = [len(source) + len(target) + 2 for source, target in zip(sources, targets, strict=True)]
        for batch in batches_for_decoding(lengths, BATCH_TOKENS, 64):
            target = torch.from_numpy(pad([[START, *targets[number]] for number in batch], PADDING)).to(self.device)
            yield batch, *self._tensors([sources[number] for number in batch]), target

    def _tensors(self, sources: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        # Piece ids to [batch, source] with `</s>` and the lengths [batch].
        padded = torch.from_numpy(pad([[*source, END] for source in sources], PADDING))
        lengths = torch.tensor([len(source) + 1 for source in sources])
        return padded.to(self.device), lengths.to(self.device)


def _of_pair(kind: np.ndarray | None, row: int, rows: int, columns: int) -> np.ndarray | None:
    # One pair's own weights out of a padded batch's.
    return None if kind is None else np.ascontiguousarray(kind[:, row, :, :rows, :columns])


def usable_threads() -> int:
    """CPU threads of torch. In a forked process it is one: the threads of OpenMP stay with the parent, and waiting for
    them would never end."""
    global _process
    if _process != os.getpid():
        _process = os.getpid()
        torch.set_num_threads(1)
    return torch.get_num_threads()


def on_every_core(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`[work(item) for item in items]`, by as many Python threads as torch may use, one core each.

    A core takes the next item as soon as it is free, so the longest should come first. torch lets other Python
    threads run while it computes.
    """
    items, threads = list(items), usable_threads()
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    pool = ThreadPoolExecutor(min(threads, len(items)), initializer=torch.set_num_threads, initargs=(1,))
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what a pool's thread sets is also the default of threads to come
