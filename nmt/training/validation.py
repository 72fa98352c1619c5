"""Validation: dev loss, and BLEU, chrF and sample translations of dev sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from nmt.corpus import references
from nmt.engines.torch_engine import TorchEngine
from nmt.evaluation import score
from nmt.models import Model
from nmt.search.options import SearchOptions
from nmt.text.subwords import PADDING
from nmt.training.context import Run
from nmt.training.distributed import ALONE, Ranks
from nmt.training.loss import Objective, batch_loss
from nmt.training.pairs import EncodedPairs


@dataclass(frozen=True)
class Scores:
    """The result of a validation."""

    loss: float
    """Cross-entropy over all dev pairs in nats per target piece, including `</s>`, without label smoothing."""
    bleu: float
    """Corpus BLEU, 0 to 100."""
    chrf: float
    """chrF, 0 to 100."""
    examples: list[tuple[str, str, str]]
    """Three of (source, translation, reference)."""


def dev_loss(model: Model, pairs: EncodedPairs, batch_tokens: int, ranks: Ranks = ALONE) -> float:
    """Mean cross-entropy of all pairs, in nats per target piece; ranks share the batches."""
    model.eval()
    total = pieces = 0.0
    device = next(model.parameters()).device
    with torch.inference_mode():
        for rows in ranks.share(pairs.in_order(batch_tokens)):
            batch = pairs.batch(rows)
            total += batch_loss(model, batch.to(device), Objective()).item()
            pieces += int((batch.labels != PADDING).sum())
    total, pieces = ranks.sum(total, pieces)
    return total / pieces


class Validator:
    """Scores a model on the dev split: the loss of `pairs`, BLEU and chrF of `training.validation_pairs` of it."""

    def __init__(self, run: Run, pairs: EncodedPairs) -> None:
        self.run, self.pairs = run, pairs
        shown = min(len(run.corpus.dev), run.config.training.validation_pairs)
        self.sources, self.references = references(run.corpus.dev.select(range(shown)))

    def __call__(self, model: Model) -> Scores:
        """Compute the loss and, if it is finite, greedy translations; ranks share the work."""
        ranks, subwords, decoding = self.run.ranks, self.run.subwords, self.run.config.decoding
        loss = dev_loss(model, self.pairs, self.run.config.training.batch_tokens, ranks)
        if not math.isfinite(loss):
            return Scores(loss, 0.0, 0.0, [])
        options = SearchOptions(
            beam=1, max_length_factor=decoding.max_length_factor, max_length_extra=decoding.max_length_extra
        )
        longest = model.config.max_length - 1
        sources = [subwords.encode(source) for source in ranks.share(self.sources)]
        best = TorchEngine(model).translate([source.ids[:longest] for source in sources], options)
        own = [
            subwords.decode_with_spans(one[0].pieces, source).text for one, source in zip(best, sources, strict=True)
        ]
        texts = [""] * len(self.sources)
        for rank, theirs in enumerate(ranks.gather(own)):
            texts[rank :: ranks.count] = theirs
        found = score(texts, self.references, self.run.config.data.target)
        chosen = range(0, len(texts), max(1, len(texts) // 3))[:3]
        examples = [(self.sources[number], texts[number], self.references[number][0]) for number in chosen]
        return Scores(loss, found.bleu, found.chrf, examples)
