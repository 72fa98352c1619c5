"""The training loss: label-smoothed cross-entropy fused with the output projection, optionally with R-Drop."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config import RunConfig
from nmt.config.model import ModelConfig
from nmt.models import Model, build_model
from nmt.text.subwords import PADDING
from nmt.training.pairs import Batch
from nmt.training.precision import compute_dtype_of, lowered, mixed_precision

SMALLEST = 1e-6
"""Least attention whose logarithm is taken; what is below has no gradient."""
CHUNK = 256
"""Rows whose logits exist at a time: few enough for the processor's cache, enough for its matrix units."""


@dataclass(frozen=True)
class Objective:
    """What a step minimizes."""

    smoothing: float = 0.0
    """Label smoothing (Szegedy et al. 2016; Vaswani et al. 2017, section 5.4)."""
    r_drop: float = 0.0
    """Weight of the divergence between two dropout masks' predictions; half of alpha in R-Drop (Liang et al. 2021)."""
    compute_dtype: torch.dtype | None = None
    """Type that matrix products take their inputs in; None for the weights' own."""
    guide_weight: float = 0.0
    """Weight of the guided heads' cross-entropy (Garg et al. 2019, equation 5, their lambda)."""
    guided_layer: int | None = None
    """The decoder layer whose first heads are guided."""
    guided_heads: int = 1
    """How many heads are guided, from the first on."""

    @classmethod
    def of(cls, config: RunConfig, device: torch.device) -> Objective:
        """The objective that a configuration describes."""
        settings, guided = config.training, config.alignment
        guide = guided.guide_weight, config.alignment_layer, guided.guided_heads
        return cls(settings.label_smoothing, settings.r_drop, compute_dtype_of(settings, device), *guide)


CrossEntropy = Callable[[Tensor, Tensor, Tensor, Tensor, Objective], Tensor]
"""(states, weight, bias, labels, objective) to the summed loss: `smoothed_cross_entropy` or `plain_cross_entropy`."""


class StepLoss(nn.Module):
    """The summed loss of a batch as a module, which DistributedDataParallel and `Replicas` can wrap."""

    def __init__(self, model: Model, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def __reduce__(self) -> tuple:
        """Pickle the network's shape, without its weights."""
        embedding, targets = self.model.target_embedding.weight, len(self.model.output_bias)
        return StepLoss._of, (self.model.config, (len(embedding), targets), embedding.dtype, self.objective)

    @classmethod
    def _of(cls, config: ModelConfig, sizes: tuple[int, int], dtype: torch.dtype, objective: Objective) -> StepLoss:
        return cls(build_model(config, *sizes).to(dtype), objective)

    def forward(self, batch: Batch) -> Tensor:
        """Sum over target pieces, in nats."""
        with mixed_precision(self.objective.compute_dtype, batch.source.device):
            return batch_loss(self.model, batch, self.objective)


def smoothed_cross_entropy(
    states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, objective: Objective
) -> Tensor:
    """Cross-entropy with smoothed labels, summed over rows, without ever holding all logits.

    states [rows, width], weight [vocabulary, width], bias [vocabulary], labels [rows]; `vocabulary` is here the pieces
    that a translation can have. With smoothing s, the label has probability 1 - s + s / vocabulary and every other
    piece s / vocabulary, as in torch.nn.functional.cross_entropy.

    With `r_drop`, rows 2i and 2i + 1 are the same position under two dropout masks. The result is then half of that
    sum, plus `r_drop` times half of the two Kullback-Leibler divergences between their predictions (Liang et al. 2021,
    equations 2 to 4).

    With `compute_dtype` bfloat16 the logits, the states' gradient and each chunk's part of the weight's gradient are
    products of bfloat16 inputs, rounded to bfloat16. Softmax, loss and sums over chunks stay in float32.
    """
    # Autocast must not lower the softmax: over thousands of pieces it needs the weights' precision.
    with torch.autocast(states.device.type, enabled=False):
        tensors = [states.to(weight.dtype), weight, bias]
        if not torch.is_grad_enabled():
            tensors = [one.detach() for one in tensors]  # or the forward pass would compute gradients all the same
        return _ProjectedCrossEntropy.apply(*tensors, labels, objective)


def plain_cross_entropy(states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, objective: Objective) -> Tensor:
    """Reference implementation of `smoothed_cross_entropy` in PyTorch's own functions; holds all logits."""
    logits = functional.linear(states, weight, bias)  # [rows, vocabulary]
    loss = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=objective.smoothing)
    if not objective.r_drop:
        return loss
    logs = functional.log_softmax(logits, dim=1)
    there = functional.kl_div(logs[1::2], logs[::2], reduction="sum", log_target=True)
    back = functional.kl_div(logs[::2], logs[1::2], reduction="sum", log_target=True)
    return (loss + objective.r_drop * (there + back)) / 2


def batch_loss(
    model: Model, batch: Batch, objective: Objective, cross_entropy: CrossEntropy = smoothed_cross_entropy
) -> Tensor:
    """Summed loss of a batch. States of padding are dropped before the costly output projection.

    With `r_drop` every sentence passes through the model twice, each time under its own dropout mask. With a guide, the
    guided heads' cross-entropy is added.
    """
    passes = 2 if objective.r_drop else 1
    layer = None if batch.guide is None else objective.guided_layer
    source, lengths, target = (
        x.repeat_interleave(passes, 0) for x in (batch.source, batch.source_lengths, batch.target_input)
    )
    memory, mask, _ = model.encode(source, lengths)
    states, _, weights = model.decode(target, memory, mask, with_weights=layer is not None, layer=layer)
    states = states.unflatten(0, (-1, passes)).transpose(1, 2)  # [batch, target, passes, width]
    real = batch.labels != PADDING  # [batch, target]
    rows, labels = states[real].flatten(0, 1), batch.labels[real].repeat_interleave(passes)  # [rows x passes, ...]
    loss = cross_entropy(rows, model.projection, model.output_bias, labels, objective)
    if not weights or batch.guide is None:
        return loss
    heads = weights[0][:, : objective.guided_heads]
    return (
        loss + objective.guide_weight * guided_cross_entropy(heads, batch.guide.repeat_interleave(passes, 0)) / passes
    )


def guided_cross_entropy(weights: Tensor, guide: Tensor) -> Tensor:
    """-sum_t sum_s G_ts log A_ts, summed over sentences and averaged over heads (Garg et al. 2019, equation 4).

    weights A [batch, heads, target, source], guide G [batch, target, source], whose rows sum to 1, or to 0 on padding.
    """
    logs = weights.float().clamp_min(SMALLEST).log()
    return -(guide[:, None] * logs).sum() / weights.size(1)


def non_finite_reason(loss: float, norm: float) -> str | None:
    """Why a step must be skipped, given its loss and gradient norm; None when both are finite.

    A finite norm in float32 bounds every element by 1.8e19, so Adam's second moment stays finite too.
    """
    if not math.isfinite(loss):
        return "the loss is not finite"
    return None if math.isfinite(norm) else "the gradient is not finite"


class _ProjectedCrossEntropy(torch.autograd.Function):
    """The forward pass computes the gradients too, chunk by chunk, while the chunk's probabilities are at hand.

    With p = softmax(logits), s the smoothing and V the vocabulary size, the gradient of the logits is
    p - (1 - s) onehot(label) - s / V. Only p, plus the gradient of the R-Drop term, needs the whole vocabulary row;
    the other two terms are applied to the matrices once, after the loop.
    """

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, objective: Objective) -> Tensor:
        smoothing, r_drop, dtype = objective.smoothing, objective.r_drop, objective.compute_dtype
        rows, vocabulary = states.size(0), weight.size(0)
        wanted = any(ctx.needs_input_grad)
        left, right, low_bias = states, weight, bias
        if dtype is not None:
            left, right, low_bias = lowered(states), weight.to(dtype), bias.to(dtype)
        states_gradient = torch.empty_like(left)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        # Reuse one buffer for all chunks: the system would map and clear a new one of this size each time.
        buffer = states.new_empty(min(CHUNK, len(left)), vocabulary)
        low_buffer = buffer if dtype is None else torch.empty_like(buffer, dtype=dtype)
        normalizers = states.new_empty(len(left))  # log sum_v exp(logit_v)
        divergences = states.new_zeros(())
        for first in range(0, rows, CHUNK):
            chunk, gradient, normalizer = (one[first : first + CHUNK] for one in (left, states_gradient, normalizers))
            logits = torch.addmm(low_bias, chunk, right.T, out=low_buffer[: len(chunk)])  # [chunk, vocabulary]
            highest = logits.amax(dim=1)
            gap = logits[::2].to(buffer.dtype) - logits[1::2] if r_drop else None
            probabilities = buffer[: len(chunk)].copy_(logits)  # the same memory without a compute_dtype
            torch.softmax(probabilities, dim=1, out=probabilities)
            # The most probable piece has p = exp(highest - normalizer) >= 1 / V, so its logarithm is safe.
            torch.sub(highest, probabilities.amax(dim=1).log_(), out=normalizer)
            if gap is not None:
                gap -= (normalizer[::2] - normalizer[1::2]).unsqueeze(1)  # log p - log q [chunk / 2, vocabulary]
                divergences += _add_r_drop(probabilities, gap, r_drop)
            if wanted:
                bias_gradient += probabilities[: rows - first].sum(dim=0)
                spread = probabilities if dtype is None else logits.copy_(probabilities)
                torch.mm(spread, right, out=gradient)
                if dtype is None:
                    weight_gradient.addmm_(spread.T, chunk)
                else:  # addmm_ does not mix types
                    weight_gradient += spread.T @ chunk
        states_gradient, normalizers = states_gradient[:rows].to(states.dtype), normalizers[:rows]
        label, share = 1 - smoothing, smoothing / vocabulary
        label_weight, weight_sum, states_sum = weight[labels], weight.sum(dim=0), states.sum(dim=0)
        # -sum_v q_v log p_v = normalizer - (1 - s) logit[label] - s / V sum_v logit_v
        label_logits = (states * label_weight).sum() + bias[labels].sum()
        all_logits = states_sum.dot(weight_sum) + rows * bias.sum()
        loss = normalizers.sum() - label * label_logits - share * all_logits
        if wanted:
            states_gradient.sub_(label_weight, alpha=label).sub_(weight_sum, alpha=share)
            weight_gradient.index_add_(0, labels, states, alpha=-label).sub_(states_sum, alpha=share)
            bias_gradient.sub_(labels.bincount(minlength=vocabulary), alpha=label).sub_(share * rows)
        ctx.save_for_backward(states_gradient, weight_gradient, bias_gradient)
        ctx.share = 0.5 if r_drop else 1.0
        return (loss + r_drop * divergences) * ctx.share

    @staticmethod
    def backward(ctx, *upstream: Tensor) -> tuple:
        states_gradient, weight_gradient, bias_gradient = ctx.saved_tensors
        scale = upstream[0] * ctx.share
        return states_gradient * scale, weight_gradient * scale, bias_gradient * scale, None, None


def _add_r_drop(probabilities: Tensor, gap: Tensor, r_drop: float) -> Tensor:
    """Add to rows p and q of `probabilities` the gradients of `r_drop` (KL(p, q) + KL(q, p)) by their logits.

    probabilities [rows, vocabulary], rows p and q alternating; gap = log p - log q [rows / 2, vocabulary] is
    overwritten. Returns KL(p, q) + KL(q, p), summed over pairs.
    """
    p, q = probabilities[::2], probabilities[1::2]
    there = torch.linalg.vecdot(p, gap).unsqueeze(1)  # KL(p, q) [rows / 2, 1]
    back = -torch.linalg.vecdot(q, gap).unsqueeze(1)  # KL(q, p)
    # With c for `r_drop`, p becomes p + c (p (gap - there) + p - q), and q becomes q + c (q (-gap - back) + q - p).
    # Memory bandwidth is the limit, so everything happens in place.
    factor = gap.mul_(r_drop).add_(1 + r_drop - r_drop * there)
    new_p = torch.mul(p, factor).sub_(q, alpha=r_drop)
    factor.neg_().add_(2 + 2 * r_drop - r_drop * (there + back))
    q.mul_(factor).sub_(p, alpha=r_drop)
    p.copy_(new_p)
    return there.sum() + back.sum()
