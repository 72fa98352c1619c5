"""Label-smoothed cross-entropy, computed with the output projection so that all logits never exist at once."""

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 512
"""Rows whose logits exist at a time: small enough for the processor's cache, large enough for its matrix units."""


def smoothed_cross_entropy(states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Sum over rows of the cross-entropy with smoothed labels (Szegedy et al. 2016; Vaswani et al. 2017, 5.4).

    states [rows, width], weight [vocabulary, width], bias [vocabulary], labels [rows]. The label has
    1 - smoothing + smoothing / vocabulary of the mass, every other piece smoothing / vocabulary, as in
    torch.nn.functional.cross_entropy.
    """
    # In the weights' precision under autocast too: a softmax over thousands of pieces needs it.
    with torch.autocast(states.device.type, enabled=False):
        return _ProjectedCrossEntropy.apply(states.to(weight.dtype), weight, bias, labels, smoothing)


def plain_cross_entropy(states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """The same by torch's own functions, the whole [rows, vocabulary] matrix at once: the twin to test against."""
    logits = functional.linear(states, weight, bias)  # [rows, vocabulary]
    return functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)


class _ProjectedCrossEntropy(torch.autograd.Function):
    """Gradients are formed chunk by chunk in the forward pass, while the chunk's logits are at hand.

    With p = softmax(logits) and q the smoothed label, the gradient of the logits is p - q.
    """

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        vocabulary = weight.size(0)
        wanted = torch.is_grad_enabled() or any(ctx.needs_input_grad)
        states_gradient = torch.empty_like(states)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        loss = states.new_zeros((), dtype=torch.float32)
        for first in range(0, states.size(0), CHUNK):
            rows = slice(first, first + CHUNK)
            chunk = states[rows]
            logits = torch.addmm(bias, chunk, weight.T)  # [chunk, vocabulary]
            label = labels[rows, None]
            # -sum_v q_v log p_v = log Z - (1 - s) logit[label] - s / V sum_v logit_v
            picked = (1 - smoothing) * logits.gather(1, label).sum() + smoothing / vocabulary * logits.sum()
            normaliser = logits.logsumexp(dim=1, keepdim=True)  # [chunk, 1]
            loss += (normaliser.sum() - picked).float()
            if wanted:
                gradient = logits.sub_(normaliser).exp_()  # p, in the logits' place
                if smoothing:
                    gradient.sub_(smoothing / vocabulary)
                gradient.scatter_add_(1, label, torch.full_like(label, smoothing - 1, dtype=gradient.dtype))
                torch.mm(gradient, weight, out=states_gradient[rows])
                weight_gradient.addmm_(gradient.T, chunk)
                bias_gradient += gradient.sum(dim=0)
        ctx.save_for_backward(states_gradient, weight_gradient, bias_gradient)
        return loss

    @staticmethod
    def backward(ctx, *upstream: Tensor) -> tuple:
        states_gradient, weight_gradient, bias_gradient = ctx.saved_tensors
        scale = upstream[0]
        return states_gradient * scale, weight_gradient * scale, bias_gradient * scale, None, None
