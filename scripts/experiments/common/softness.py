"""How sharp softmax is and how much gradient it lets through, with the scale of dot products and without."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nmt.batching import BatchSampler
from nmt.config import RunConfig
from nmt.models import Transformer, build_model
from nmt.models.attention import MultiHeadAttention, attention
from nmt.text.subwords import PADDING
from nmt.training.loss import Objective, batch_loss, plain_cross_entropy
from nmt.training.optimizers import make_optimizer
from nmt.training.pairs import Batch, EncodedPairs
from nmt.training.schedule import learning_rate

POSITIONS = 64
"""Length of the sequences for a fresh layer."""
SATURATED = 1e-3
"""A softmax gradient (Frobenius norm of the Jacobian) below this counts as vanished; uniform weights have 0.12."""
LOOKS = 5
"""Number of snapshots of a training run, first and last step included."""

WATCHED = 256
"""Dev pairs of a snapshot."""


@dataclass(frozen=True)
class Fresh:
    """A layer with fresh weights."""

    entropy: float
    """Mean over queries, as a share of the uniform distribution's."""
    jacobian: float
    """Median over queries of the softmax gradient's Frobenius norm."""
    saturated: float
    """Share of queries whose softmax gradient has vanished."""
    query_gradient: float
    """Norm of a random loss's gradient with respect to a query vector, median over queries."""
    query_gradient_mean: float
    """The same, root mean square over queries."""


@dataclass(frozen=True)
class Look:
    """A snapshot of a model in training, on some dev pairs."""

    step: int
    loss: float
    """Nats a target piece."""
    entropy: float
    """Mean over all heads and queries, as a share of the uniform distribution's."""
    gradient: float
    """Norm of the loss's gradient with respect to all query and key weights."""


def unscaled(layer: nn.Module) -> nn.Module:
    """Undo the scale in every attention of `layer` by multiplying queries by the root of d."""
    for module in layer.modules():
        if isinstance(module, MultiHeadAttention):
            root = math.sqrt(module.query.out_features // module.heads)
            module.query.register_forward_hook(lambda _module, _inputs, output, root=root: output * root)
    return layer


def with_unit_components(layer: nn.Module) -> nn.Module:
    """Redraw query and key weights so that each component of a query or key has variance 1 after layer
    normalization, as the argument assumes; Glorot's initialization makes wide keys smaller."""
    for module in layer.modules():
        if isinstance(module, MultiHeadAttention):
            keys = module.query.out_features
            for weight in (module.query.weight.detach(), module.key_value.weight.detach()[:keys]):
                weight.normal_(std=weight.size(1) ** -0.5)
    return layer


def softmax_jacobian_norm(weights: Tensor) -> Tensor:
    """Frobenius norm ||diag(p) - p p^T|| of the softmax Jacobian at p [..., n]: [...].

    Its square is sum p^2 - 2 sum p^3 + (sum p^2)^2; 0 for a one-hot p.
    """
    p = weights.double()
    square = p.square().sum(-1)
    return (square - 2 * p.pow(3).sum(-1) + square.square()).clamp_min(0).sqrt()


def entropy_share(weights: Tensor, visible: Tensor) -> Tensor:
    """Entropy of the rows [..., n] as a share of log(`visible`) [...], that of uniform weights."""
    return torch.special.entr(weights.double()).sum(-1) / visible.double().log()


def fresh_layer(d: int, scaled: bool, sentences: int, seed: int) -> Fresh:
    """Measure one head with keys of width d and fresh weights on unit-normal vectors."""
    torch.manual_seed(seed)
    layer = MultiHeadAttention(d, 1)
    with_unit_components(layer)
    x = torch.randn(sentences, POSITIONS, d)  # what a layer normalization gives
    with torch.no_grad():
        keys, values = (side.squeeze(1) for side in layer.project(x))  # each [sentences, positions, d]
        query = layer.query(x) * (1 if scaled else math.sqrt(d))
    query.requires_grad_()
    mean, weights = attention(query, keys, values)
    loss = (mean * torch.randn_like(mean)).sum() / math.sqrt(d)  # of the same variance for every d
    (gradient,) = torch.autograd.grad(loss, query)
    if not scaled:
        gradient = gradient * math.sqrt(d)  # with respect to the query as the projection gives it
    size = gradient.norm(dim=-1)  # [sentences, positions]
    jacobian = softmax_jacobian_norm(weights.detach())
    return Fresh(
        entropy_share(weights.detach(), torch.tensor(POSITIONS)).mean().item(),
        jacobian.median().item(),
        (jacobian < SATURATED).double().mean().item(),
        size.median().item(),
        size.square().mean().sqrt().item(),
    )


def look(model: Transformer, batch: Batch, step: int) -> Look:
    """Measure attention and its gradient at this step."""
    model.eval()
    model.zero_grad()
    pieces = int((batch.labels != PADDING).sum())
    loss = batch_loss(model, batch, Objective(), plain_cross_entropy) / pieces
    loss.backward()
    modules = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    gradients = []
    for module in modules:
        # Keys come first, then values.
        gradients += [module.query.weight.grad, module.key_value.weight.grad[: module.query.out_features]]
    gradient = torch.stack([part.norm() for part in gradients]).norm().item()
    model.zero_grad()
    with torch.no_grad():
        memory, mask, encoder = model.encode(batch.source, batch.source_lengths, with_weights=True)
        _, decoder, cross = model.decode(batch.target_input, memory, mask, with_weights=True)
    source, target = batch.source.size(1), batch.labels.size(1)
    of_source = (torch.arange(source) < batch.source_lengths[:, None])[:, None]  # [batch, 1, source]
    of_target = (batch.labels != PADDING)[:, None]  # [batch, 1, target]
    seen = batch.source_lengths[:, None, None]  # [batch, 1, 1]
    shares = []
    for kind, rows, visible in (
        (encoder, of_source, seen),
        (decoder, of_target & (torch.arange(target) > 0), torch.arange(1, target + 1)),  # the first sees one place
        (cross, of_target, seen),
    ):
        for weights in kind:  # [batch, heads, rows, columns]
            share = entropy_share(weights, visible)
            shares.append(share[rows.expand_as(share)])
    return Look(step, loss.item(), torch.cat(shares).mean().item(), gradient)


def train(config: RunConfig, pairs: EncodedPairs, dev: EncodedPairs, vocabulary: int, scaled: bool) -> list[Look]:
    """Train `config` and take snapshots. Seed, batches and first weights are the same whether scaled or not."""
    settings = config.training
    torch.manual_seed(settings.seed)
    model = build_model(config.model, vocabulary)
    assert isinstance(model, Transformer)
    with_unit_components(model)
    if not scaled:
        unscaled(model)
    optimizer = make_optimizer(model, settings)
    order = BatchSampler(pairs.source_lengths, pairs.target_lengths, settings.batch_tokens, settings.seed).batches(0)
    watched = dev.batch(np.arange(min(len(dev), WATCHED)))
    steps = min(settings.max_steps or 1, len(order))
    when = {round(step) for step in torch.linspace(0, steps, LOOKS).tolist()}
    looks = []
    for step in range(steps + 1):
        if step in when:
            looks.append(look(model, watched, step))
        if step == steps:
            break
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step + 1, step / steps)
        batch = pairs.batch(order[step])
        pieces = int((batch.labels != PADDING).sum())
        (batch_loss(model, batch, Objective(settings.label_smoothing)) / pieces).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
    return looks
