"""Label-smoothed cross-entropy, computed with the output projection so that all logits never exist at once."""

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 512
"""Rows whose logits exist at a time: small enough for the processor's cache, large enough for its matrix units."""


def smoothed_cross_entropy(
    states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float, consistency: float = 0.0
) -> Tensor:
    """Sum over rows of the cross-entropy with smoothed labels (Szegedy et al. 2016; Vaswani et al. 2017, 5.4).

    states [rows, width], weight [vocabulary, width], bias [vocabulary], labels [rows]. The label has
    1 - smoothing + smoothing / vocabulary of the mass, every other piece smoothing / vocabulary, as in
    torch.nn.functional.cross_entropy.

    With `consistency`, rows 2i and 2i + 1 are one position seen through two dropout masks. The result is then half of
    that sum, plus `consistency` times half of the Kullback-Leibler divergences of the two predictions from each other
    (R-Drop: Liang et al. 2021, equations 2 to 4; their alpha is twice `consistency`).
    """
    # In the weights' precision under autocast too: a softmax over thousands of pieces needs it.
    with torch.autocast(states.device.type, enabled=False):
        tensors = [states.to(weight.dtype), weight, bias]
        if not torch.is_grad_enabled():
            tensors = [one.detach() for one in tensors]  # or gradients would be formed all the same
        return _ProjectedCrossEntropy.apply(*tensors, labels, smoothing, consistency)


def plain_cross_entropy(
    states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float, consistency: float = 0.0
) -> Tensor:
    """The same by torch's own functions, the whole [rows, vocabulary] matrix at once: the twin to test against."""
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
        ctx, states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float, consistency: float
    ) -> Tensor:
        rows, vocabulary = states.size(0), weight.size(0)
        wanted = any(ctx.needs_input_grad)
        states_gradient = torch.empty_like(states)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        # One buffer serves all chunks: a fresh one of this size would be mapped and cleared by the system each time.
        buffer = states.new_empty(min(CHUNK, rows), vocabulary)
        normalisers = states.new_empty(rows)  # log sum_v exp(logit_v)
        divergences = states.new_zeros(())
        for chunk, gradient, normaliser in zip(
            states.split(CHUNK), states_gradient.split(CHUNK), normalisers.split(CHUNK), strict=True
        ):
            probabilities = torch.addmm(bias, chunk, weight.T, out=buffer[: len(chunk)])  # logits [chunk, vocabulary]
            highest = probabilities.amax(dim=1)
            gap = probabilities[::2] - probabilities[1::2] if consistency else None
            torch.softmax(probabilities, dim=1, out=probabilities)
            # The likeliest piece has p = exp(highest - normaliser), at least 1 / V: its logarithm is safe.
            torch.sub(highest, probabilities.amax(dim=1).log_(), out=normaliser)
            if gap is not None:
                gap -= (normaliser[::2] - normaliser[1::2]).unsqueeze(1)  # log p - log q [chunk / 2, vocabulary]
                divergences += _add_disagreement(probabilities, gap, consistency)
            if wanted:
                torch.mm(probabilities, weight, out=gradient)
                weight_gradient.addmm_(probabilities.T, chunk)
                bias_gradient += probabilities.sum(dim=0)
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
        return states_gradient * scale, weight_gradient * scale, bias_gradient * scale, None, None, None


def _add_disagreement(probabilities: Tensor, gap: Tensor, consistency: float) -> Tensor:
    """Add to the rows p and q of `probabilities`, in turn, `consistency` times the gradients of KL(p, q) + KL(q, p)
    by their logits; returns the sum of these. `gap` is log p - log q [rows / 2, vocabulary]."""
    p, q = probabilities[::2], probabilities[1::2]
    there = (p * gap).sum(dim=1, keepdim=True)  # KL(p, q) [rows / 2, 1]
    back = -(q * gap).sum(dim=1, keepdim=True)  # KL(q, p)
    apart = p - q
    p += consistency * (p * (gap - there) + apart)
    q += consistency * (q * (-gap - back) - apart)
    return there.sum() + back.sum()
