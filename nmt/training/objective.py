"""Label-smoothed cross-entropy, computed with the output projection so that all logits never exist at once."""

import torch
from torch import Tensor
from torch.nn import functional

from nmt.training.precision import lowered

CHUNK = 256
"""Rows whose logits exist at a time: small enough for the processor's cache, large enough for its matrix units."""


def smoothed_cross_entropy(
    states: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Tensor,
    smoothing: float,
    consistency: float = 0.0,
    factors: torch.dtype | None = None,
) -> Tensor:
    """Sum over rows of the cross-entropy with smoothed labels (Szegedy et al. 2016; Vaswani et al. 2017, 5.4).

    states [rows, width], weight [vocabulary, width], bias [vocabulary], labels [rows]. The label has
    1 - smoothing + smoothing / vocabulary of the mass, every other piece smoothing / vocabulary, as in
    torch.nn.functional.cross_entropy.

    With `consistency`, rows 2i and 2i + 1 are one position seen through two dropout masks. The result is then half of
    that sum, plus `consistency` times half of the Kullback-Leibler divergences of the two predictions from each other
    (R-Drop: Liang et al. 2021, equations 2 to 4; their alpha is twice `consistency`).

    With `factors` bfloat16 the products' factors and the products are rounded to it: the logits, and of the gradients
    the states' and what each chunk adds to the weight's. Sums over chunks, softmax and loss stay as they are.
    """
    # In the weights' precision under autocast too: a softmax over thousands of pieces needs it.
    with torch.autocast(states.device.type, enabled=False):
        tensors = [states.to(weight.dtype), weight, bias]
        if not torch.is_grad_enabled():
            tensors = [one.detach() for one in tensors]  # or gradients would be formed all the same
        return _ProjectedCrossEntropy.apply(*tensors, labels, smoothing, consistency, factors)


def plain_cross_entropy(
    states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float, consistency: float = 0.0
) -> Tensor:
    """The same by torch's own functions, the whole [rows, vocabulary] matrix at once: the twin to compare with."""
    logits = functional.linear(states, weight, bias)  # [rows, vocabulary]
    loss = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
    if not consistency:
        return loss
    logs = functional.log_softmax(logits, dim=1)
    there = functional.kl_div(logs[1::2], logs[::2], reduction="sum", log_target=True)
    back = functional.kl_div(logs[::2], logs[1::2], reduction="sum", log_target=True)
    return (loss + consistency * (there + back)) / 2


class _ProjectedCrossEntropy(torch.autograd.Function):
    """Gradients are formed chunk by chunk in the forward pass, while the chunk's probabilities are at hand.

    With p = softmax(logits), s the smoothing and V the vocabulary, the gradient of the logits is
    p - (1 - s) onehot(label) - s / V. Only p, to which the gradient of `consistency` is added, needs the whole row
    of the vocabulary: the two other terms meet the matrices once, after the loop.
    """

    @staticmethod
    def forward(
        ctx,
        states: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor,
        smoothing: float,
        consistency: float,
        factors: torch.dtype | None,
    ) -> Tensor:
        rows, vocabulary = states.size(0), weight.size(0)
        wanted = any(ctx.needs_input_grad)
        left, right, low_bias = states, weight, bias
        if factors is not None:
            left, right, low_bias = lowered(states), weight.to(factors), bias.to(factors)
        states_gradient = torch.empty_like(left)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        # One buffer serves all chunks: a fresh one of this size would be mapped and cleared by the system each time.
        buffer = states.new_empty(min(CHUNK, len(left)), vocabulary)
        low_buffer = buffer if factors is None else torch.empty_like(buffer, dtype=factors)
        normalisers = states.new_empty(len(left))  # log sum_v exp(logit_v)
        divergences = states.new_zeros(())
        for first in range(0, rows, CHUNK):
            chunk, gradient, normaliser = (one[first : first + CHUNK] for one in (left, states_gradient, normalisers))
            logits = torch.addmm(low_bias, chunk, right.T, out=low_buffer[: len(chunk)])  # [chunk, vocabulary]
            highest = logits.amax(dim=1)
            gap = logits[::2].to(buffer.dtype) - logits[1::2] if consistency else None
            probabilities = buffer[: len(chunk)].copy_(logits)  # itself where factors have no type of their own
            torch.softmax(probabilities, dim=1, out=probabilities)
            # The likeliest piece has p = exp(highest - normaliser), at least 1 / V: its logarithm is safe.
            torch.sub(highest, probabilities.amax(dim=1).log_(), out=normaliser)
            if gap is not None:
                gap -= (normaliser[::2] - normaliser[1::2]).unsqueeze(1)  # log p - log q [chunk / 2, vocabulary]
                divergences += _add_disagreement(probabilities, gap, consistency)
            if wanted:
                bias_gradient += probabilities[: rows - first].sum(dim=0)
                spread = probabilities if factors is None else logits.copy_(probabilities)
                torch.mm(spread, right, out=gradient)
                if factors is None:
                    weight_gradient.addmm_(spread.T, chunk)
                else:  # addmm_ takes one type alone
                    weight_gradient += spread.T @ chunk
        states_gradient, normalisers = states_gradient[:rows].to(states.dtype), normalisers[:rows]
        label, share = 1 - smoothing, smoothing / vocabulary
        label_weight, weight_sum, states_sum = weight[labels], weight.sum(dim=0), states.sum(dim=0)
        # -sum_v q_v log p_v = normaliser - (1 - s) logit[label] - s / V sum_v logit_v
        label_logits = (states * label_weight).sum() + bias[labels].sum()
        all_logits = states_sum.dot(weight_sum) + rows * bias.sum()
        loss = normalisers.sum() - label * label_logits - share * all_logits
        if wanted:
            states_gradient.sub_(label_weight, alpha=label).sub_(weight_sum, alpha=share)
            weight_gradient.index_add_(0, labels, states, alpha=-label).sub_(states_sum, alpha=share)
            bias_gradient.sub_(labels.bincount(minlength=vocabulary), alpha=label).sub_(share * rows)
        ctx.save_for_backward(states_gradient, weight_gradient, bias_gradient)
        ctx.share = 0.5 if consistency else 1.0
        return (loss + consistency * divergences) * ctx.share

    @staticmethod
    def backward(ctx, *upstream: Tensor) -> tuple:
        states_gradient, weight_gradient, bias_gradient = ctx.saved_tensors
        scale = upstream[0] * ctx.share
        return states_gradient * scale, weight_gradient * scale, bias_gradient * scale, None, None, None, None


def _add_disagreement(probabilities: Tensor, gap: Tensor, consistency: float) -> Tensor:
    """Add to the rows p and q of `probabilities`, in turn, `consistency` times the gradients of KL(p, q) + KL(q, p)
    by their logits; returns the sum of these. `gap`, log p - log q [rows / 2, vocabulary], is lost."""
    p, q = probabilities[::2], probabilities[1::2]
    there = torch.linalg.vecdot(p, gap).unsqueeze(1)  # KL(p, q) [rows / 2, 1]
    back = -torch.linalg.vecdot(q, gap).unsqueeze(1)  # KL(q, p)
    # With c for `consistency` p becomes p + c (p (gap - there) + p - q), and q becomes q + c (q (-gap - back) + q - p).
    # Memory's speed is the limit: sums and products are made in place.
    factor = gap.mul_(consistency).add_(1 + consistency - consistency * there)
    new_p = torch.mul(p, factor).sub_(q, alpha=consistency)
    factor.neg_().add_(2 + 2 * consistency - consistency * (there + back))
    q.mul_(factor).sub_(p, alpha=consistency)
    p.copy_(new_p)
    return there.sum() + back.sum()
