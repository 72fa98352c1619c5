"""Dev loss, and BLEU, chrF and a few translations of dev sentences, while training goes on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from nmt.config import DecodingConfig
from nmt.engines.torch_engine import TorchEngine
from nmt.evaluation import score
from nmt.models import Model
from nmt.search.options import SearchOptions
from nmt.text.subwords import PADDING, Subwords
from nmt.training.distributed import ALONE, Ranks
from nmt.training.objective import smoothed_cross_entropy
from nmt.training.pairs import Batch, EncodedPairs


@dataclass(frozen=True)
class Scores:
    """What a validation found."""

    loss: float
    """Cross-entropy in nats a target piece, `</s>` counted, without label smoothing, over all dev pairs."""
    bleu: float
    chrf: float
    examples: list[tuple[str, str, str]]
    """A few (source, translation, reference)."""


def dev_loss(model: Model, pairs: EncodedPairs, batch_tokens: int, ranks: Ranks = ALONE) -> float:
    """Mean cross-entropy of all pairs in nats a target piece; ranks share the batches."""
    model.eval()
    total = pieces = 0.0
    device = next(model.parameters()).device
    with torch.inference_mode():
        for rows in ranks.share(pairs.in_order(batch_tokens)):
            batch = pairs.batch(rows)
            total += batch_loss(model, batch.to(device), smoothing=0.0, loss=smoothed_cross_entropy).item()
            pieces += int((batch.labels != PADDING).sum())
    total, pieces = ranks.sum(total, pieces)
    return total / pieces


def batch_loss(model: Model, batch: Batch, smoothing: float, loss, consistency: float = 0.0) -> torch.Tensor:
    """Summed loss of a batch; states of padding are dropped before the costly output projection.

    With `consistency` every sentence is seen twice, through dropout masks of its own each time.
    """
    passes = 2 if consistency else 1
    seen = [x.repeat_interleave(passes, 0) for x in (batch.source, batch.source_lengths, batch.target_input)]
    states = model(*seen).unflatten(0, (-1, passes)).transpose(1, 2)  # [batch, target, passes, width]
    real = batch.labels != PADDING  # [batch, target]
    rows, labels = states[real].flatten(0, 1), batch.labels[real].repeat_interleave(passes)  # [rows x passes, ...]
    return loss(rows, model.output_weight, model.output_bias, labels, smoothing, consistency)


def validate(
    model: Model,
    pairs: EncodedPairs,
    sources: list[str],
    references: list[list[str]],
    subwords: Subwords,
    decoding: DecodingConfig,
    batch_tokens: int,
    ranks: Ranks = ALONE,
    language: str = "",
) -> Scores:
    """Loss over `pairs`; greedy translations of `sources` against all their `references` in
    `language`, which chooses BLEU's tokenizer. Ranks share the work."""
    loss = dev_loss(model, pairs, batch_tokens, ranks)
    options = SearchOptions(
        beam=1, max_length_factor=decoding.max_length_factor, max_length_extra=decoding.max_length_extra
    )
    longest = model.config.max_length - 1
    ids = [source[:longest] for source in subwords.encode_ids(ranks.share(sources))]
    own = [subwords.decode(found[0].pieces) for found in TorchEngine(model).translate(ids, options)]
    texts = [""] * len(sources)
    for rank, found in enumerate(ranks.gather(own)):
        texts[rank :: ranks.count] = found
    bleu, _, chrf, _ = score(texts, references, language)
    chosen = range(0, len(sources), max(1, len(sources) // 3))
    examples = [(sources[number], texts[number], references[number][0]) for number in list(chosen)[:3]]
    return Scores(loss, bleu, chrf, examples)
