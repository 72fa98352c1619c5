"""Replicas of the network against one network that reads the whole batch."""

import pytest
import torch
from tiny import ENGLISH, SPANISH, tiny_config, tiny_subwords
from torch import nn

from nmt.models import build_model
from nmt.training.gradients import AT_MOST, Replicas
from nmt.training.loss import Objective, batch_loss, plain_cross_entropy
from nmt.training.pairs import make_batch


class SummedLoss(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.model = build_model(tiny_config(dropout=dropout).model, len(SUBWORDS))

    def forward(self, batch):
        return batch_loss(self.model, batch, Objective(0.1), plain_cross_entropy)


SUBWORDS = tiny_subwords()
BATCH = make_batch(SUBWORDS.encode_ids(ENGLISH), SUBWORDS.encode_ids(SPANISH))


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters()]


def backward(replicas: Replicas, position: tuple[int, ...] = (0,), batch=BATCH) -> tuple[float, list[torch.Tensor]]:
    replicas.modules[0].zero_grad()
    loss = replicas.backward(batch, 0.25, position)
    return loss, gradients(replicas.modules[0])


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_loss_and_gradients_are_those_of_the_whole_batch(threads):
    whole = SummedLoss(dropout=0.0)
    expected = whole(BATCH)
    (0.25 * expected).backward()
    replicas = Replicas(SummedLoss(dropout=0.0), seed=1, threads=threads)
    assert len(replicas.modules) == min(threads, AT_MOST)
    loss, found = backward(replicas)
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(found, gradients(whole), rtol=1e-4, atol=1e-6)


def test_gradients_add_up_over_batches_as_accumulation_needs():
    replicas = Replicas(SummedLoss(dropout=0.0), seed=1, threads=2)
    _, once = backward(replicas)
    replicas.backward(BATCH, 0.25, (1,))
    torch.testing.assert_close(gradients(replicas.modules[0]), [2 * gradient for gradient in once])


def test_dropout_depends_on_seed_and_position_alone():
    torch.manual_seed(5)
    first = backward(Replicas(SummedLoss(dropout=0.3), seed=1, threads=2), (7, 0))
    torch.manual_seed(6)
    again = Replicas(SummedLoss(dropout=0.3), seed=1, threads=2)
    backward(again, (6, 0))
    assert all(map(torch.equal, first[1], backward(again, (7, 0))[1]))
    assert backward(again, (8, 0))[0] != first[0]
    assert backward(Replicas(SummedLoss(dropout=0.3), seed=2, threads=2), (7, 0))[0] != first[0]


def test_replicas_draw_masks_of_their_own():
    pair = make_batch(*[[SUBWORDS.encode_ids(side[:1])[0]] * 2 for side in (ENGLISH, SPANISH)])
    replicas = Replicas(SummedLoss(dropout=0.3), seed=1, threads=2)
    losses = []
    for module in replicas.modules:
        module.register_forward_hook(lambda _module, _inputs, loss: losses.append(loss.item()))
    backward(replicas, batch=pair)
    assert len(losses) == 2 and losses[0] != losses[1]


def test_a_step_of_the_original_is_a_step_of_every_replica():
    replicas = Replicas(SummedLoss(dropout=0.0), seed=1, threads=2)
    backward(replicas)
    torch.optim.AdamW(replicas.modules[0].parameters(), lr=0.1).step()
    for own, other in zip(*(module.parameters() for module in replicas.modules), strict=True):
        assert torch.equal(own, other) and other.grad is None


@pytest.mark.parametrize("count", [1, 2, 3, len(ENGLISH)])
def test_the_parts_of_a_batch_are_its_pairs_each_once(count):
    parts = [BATCH.part(number, count) for number in range(count)]
    rows = sorted(tuple(row) for part in parts for row in part.labels.tolist())
    assert rows == sorted(tuple(row) for row in BATCH.labels.tolist())
    assert all(len(part.source) == len(part.source_lengths) == len(part.target_input) for part in parts)


def test_a_batch_of_one_pair_needs_one_replica():
    one = make_batch(SUBWORDS.encode_ids(ENGLISH[:1]), SUBWORDS.encode_ids(SPANISH[:1]))
    whole = SummedLoss(dropout=0.0)
    assert backward(Replicas(SummedLoss(dropout=0.0), 1, 4), batch=one)[0] == pytest.approx(whole(one).item())
