"""Replicas of the network, in processes of their own, against one network that reads the whole batch."""

import contextlib
import os
import signal

import numpy as np
import pytest
import torch
from tiny import ENGLISH, SPANISH, tiny_config, tiny_subwords
from torch import nn

from nmt.errors import UserError
from nmt.models import build_model
from nmt.training.gradients import Replicas
from nmt.training.loss import Objective, batch_loss, plain_cross_entropy
from nmt.training.pairs import BatchPlan, make_batch


class SummedLoss(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.model = build_model(tiny_config(dropout=dropout).model, 400)
        self.dropout = dropout

    def __reduce__(self):
        return SummedLoss, (self.dropout,)

    def forward(self, batch):
        return batch_loss(self.model, batch, Objective(0.1), plain_cross_entropy)


class Pairs:
    """Our sentences, as `EncodedPairs` has them."""

    def __init__(self, repeated: bool = False) -> None:
        self.ids = [tiny_subwords().encode_ids(side) for side in (ENGLISH, SPANISH)]
        if repeated:
            self.ids = [[side[0]] * len(side) for side in self.ids]

    def batch(self, rows, seed=None, kinds=None):
        return make_batch(*([side[row] for row in rows] for side in self.ids))


ALL = BatchPlan(np.arange(len(ENGLISH)), 5, None)


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters()]


def backward(replicas: Replicas, position: tuple[int, ...] = (0,), plan=ALL) -> tuple[float, list[torch.Tensor]]:
    """The loss, and a quarter of its gradients."""
    replicas.own.loss.zero_grad()
    loss, pieces = replicas.backward(plan, position)
    assert pieces == sum(len(Pairs().ids[1][row]) + 1 for row in plan.rows)
    replicas.scale(0.25)
    return loss, gradients(replicas.own.loss)


@pytest.fixture(scope="module")
def replicas():
    """The replicas of a dropout and a number, begun once."""
    with contextlib.ExitStack() as held:
        begun = {}

        def get(dropout: float, count: int) -> Replicas:
            if (dropout, count) not in begun:
                begun[dropout, count] = Replicas(SummedLoss(dropout), Pairs(), 1, count)
                held.callback(begun[dropout, count].close)
            return begun[dropout, count]

        yield get


@pytest.mark.parametrize("rows", [len(ENGLISH), 2, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_loss_and_gradients_are_those_of_the_whole_batch(replicas, count, rows):
    plan = BatchPlan(np.arange(rows), 5, None)
    whole = SummedLoss(dropout=0.0)
    expected = whole(Pairs().batch(plan.rows))
    (0.25 * expected).backward()
    shared = replicas(0.0, count)
    whole.load_state_dict(shared.own.loss.state_dict())
    loss, found = backward(shared, plan=plan)
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(found, gradients(whole), rtol=1e-4, atol=1e-6)


def test_gradients_add_up_over_batches_as_accumulation_needs(replicas):
    shared = replicas(0.0, 3)
    _, once = backward(shared)
    shared.own.loss.zero_grad()
    for number in range(2):
        shared.backward(ALL, (number,))
    shared.scale(0.25)
    torch.testing.assert_close(gradients(shared.own.loss), [2 * gradient for gradient in once])


def test_dropout_depends_on_seed_and_position_alone(replicas):
    shared = replicas(0.3, 2)
    torch.manual_seed(5)
    first = backward(shared, (7, 0))
    torch.manual_seed(6)
    backward(shared, (6, 0))
    assert all(map(torch.equal, first[1], backward(shared, (7, 0))[1]))
    assert backward(shared, (8, 0))[0] != first[0]
    seeds = [Replicas(SummedLoss(0.3), Pairs(), seed, 1) for seed in (1, 1, 2)]
    one, same, other = (backward(alone)[0] for alone in seeds)
    assert one == same != other


def test_replicas_draw_masks_of_their_own():
    """Of two equal pairs in two replicas the losses would be equal with equal masks."""
    shared = Replicas(SummedLoss(dropout=0.3), Pairs(repeated=True), 1, 2)
    with contextlib.closing(shared):
        own = []
        shared.own.loss.register_forward_hook(lambda _module, _inputs, loss: own.append(loss.item()))
        both, _ = shared.backward(BatchPlan(np.arange(2), 5, None), (0,))
    assert both - own[0] != pytest.approx(own[0], rel=1e-6)


def test_a_step_is_a_step_of_every_replica(replicas):
    shared = replicas(0.0, 3)
    before, _ = backward(shared)
    torch.optim.AdamW(shared.parameters, lr=0.1).step()
    expected = shared.own.loss.eval()(Pairs().batch(ALL.rows)).item()
    assert backward(shared)[0] == pytest.approx(expected, rel=1e-5) != before


@pytest.mark.parametrize("count", [1, 2, 3, len(ENGLISH)])
def test_the_parts_of_a_plan_are_its_rows_each_once(count):
    plan = BatchPlan(ALL.rows, 5, np.arange(2 * len(ALL.rows)).reshape(-1, 2))
    parts = [plan.part(number, count) for number in range(count)]
    assert sorted(row for part in parts for row in part.rows.tolist()) == ALL.rows.tolist()
    assert all((part.kinds[:, 0] == 2 * part.rows).all() for part in parts)
    assert len({part.seed for part in parts}) == count


def test_a_process_that_ends_is_told():
    shared = Replicas(SummedLoss(dropout=0.0), Pairs(), 1, 2)
    with contextlib.closing(shared):
        shared.backward(ALL, (0,))
        os.kill(shared.workers[0].submit(os.getpid).result(), signal.SIGTERM)
        shared.backward(ALL, (1,))  # it does not end with the signals that a terminal sends to all processes
        os.kill(shared.workers[0].submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(UserError, match="a process that shares the work has ended"):
            shared.backward(ALL, (2,))
