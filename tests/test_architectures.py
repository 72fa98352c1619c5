"""What must hold of every architecture: steps equal teacher forcing, masks do not leak, search does not care."""

import pytest
import torch
from architectures import ARCHITECTURES, VOCABULARY, random_pieces, small_model
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.models import load_weights, own_weights
from nmt.models.attention import causal_mask

every = pytest.mark.parametrize("name", ARCHITECTURES)


@every
@settings(max_examples=6)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=3), beam=st.integers(1, 3), seed=st.integers(0, 99))
@torch.no_grad()
def test_cached_steps_equal_teacher_forcing(name, lengths, beam, seed):
    model = small_model(name)
    source, lengths = random_pieces(seed, len(lengths), max(lengths)), torch.tensor(lengths)
    target = random_pieces(seed + 1, len(lengths), beam, 7)
    state = model.start(source, lengths)
    state = state.select(torch.arange(len(lengths)), torch.zeros(len(lengths), beam, dtype=torch.long))
    steps = []
    for position in range(7):
        log_probabilities, state = model.step(target[:, :, position], state)
        steps.append(log_probabilities)
    for hypothesis in range(beam):
        states = model(source, lengths, target[:, hypothesis])
        expected = model.logits(states).log_softmax(-1)  # [batch, target, vocabulary]
        torch.testing.assert_close(torch.stack([step[:, hypothesis] for step in steps], dim=1), expected)


@every
@torch.no_grad()
def test_selecting_moves_each_hypothesis_its_own_past(name):
    model = small_model(name)
    source, lengths = random_pieces(3, 3, 4), torch.tensor([4, 2, 3])
    pieces = random_pieces(4, 3, 2, 2)
    state = model.start(source, lengths).select(torch.arange(3), torch.zeros(3, 2, dtype=torch.long))
    for position in range(2):
        _, state = model.step(pieces[:, :, position], state)
    kept, parents = torch.tensor([0, 2]), torch.tensor([[1, 1, 0], [0, 1, 1]])
    new = random_pieces(5, 2, 3)
    found, _ = model.step(new, state.select(kept, parents))
    for row, sentence in enumerate(kept.tolist()):
        for place, parent in enumerate(parents[row].tolist()):
            whole = torch.cat([pieces[sentence, parent], new[row, place, None]])[None]
            states = model(source[sentence, None], lengths[sentence, None], whole)
            torch.testing.assert_close(found[row, place], model.logits(states)[0, -1].log_softmax(-1))


@every
@settings(max_examples=8)
@given(
    length=st.integers(1, 9), padding=st.integers(1, 9), piece=st.integers(0, VOCABULARY - 1), seed=st.integers(0, 99)
)
@torch.no_grad()
def test_padding_never_leaks(name, length, padding, piece, seed):
    model = small_model(name)
    source, target, lengths = random_pieces(seed, 1, length), random_pieces(seed + 1, 1, 4), torch.tensor([length])
    padded = torch.cat([source, torch.full((1, padding), piece)], dim=1)
    padded_target = torch.cat([target, torch.full((1, padding), piece)], dim=1)
    expected = model(source, lengths, target)
    torch.testing.assert_close(model(padded, lengths, padded_target)[:, :4], expected)
    memory, mask, _ = model.encode(padded, lengths, with_weights=True)
    torch.testing.assert_close(model.decode(target, memory, mask, with_weights=True)[0], expected)


@every
@settings(max_examples=8)
@given(length=st.integers(2, 12), data=st.data(), seed=st.integers(0, 99))
@torch.no_grad()
def test_the_future_never_leaks(name, length, data, seed):
    now = data.draw(st.integers(0, length - 2))
    model = small_model(name)
    source, lengths = random_pieces(seed, 1, 5), torch.tensor([5])
    first, second = random_pieces(seed + 1, 1, length), random_pieces(seed + 2, 1, length)
    second[:, : now + 1] = first[:, : now + 1]
    expected = model(source, lengths, first)[:, : now + 1]
    torch.testing.assert_close(model(source, lengths, second)[:, : now + 1], expected)
    memory, mask, _ = model.encode(source, lengths, with_weights=True)
    with_weights = model.decode(second, memory, mask, with_weights=True)[0]
    torch.testing.assert_close(with_weights[:, : now + 1], expected)


@every
@torch.no_grad()
def test_weights_are_distributions_within_their_masks(name):
    model = small_model(name)
    source, target, lengths = random_pieces(6, 2, 9), random_pieces(7, 2, 8), torch.tensor([9, 3])
    memory, mask, encoder = model.encode(source, lengths, with_weights=True)
    _, decoder, cross = model.decode(target, memory, mask, with_weights=True)
    assert model.encode(source, lengths)[2] == [] and model.decode(target, memory, mask)[1:] == ([], [])
    config = model.config
    transformer = config.type == "transformer"
    heads = 3 if transformer else 1
    assert [tuple(x.shape) for x in encoder] == [(2, heads, 9, 9)] * transformer * config.encoder_layers
    assert [tuple(x.shape) for x in decoder] == [(2, heads, 8, 8)] * transformer * config.decoder_layers
    crosses = {"transformer": config.decoder_layers, "rnnsearch": 1, "rnnencdec": 0}[config.type]
    assert [tuple(x.shape) for x in cross] == [(2, heads, 8, 9)] * crosses
    for sentence, length in enumerate(lengths.tolist()):  # rows of padding hold whatever they hold
        for weights in [*(x[sentence, :, :length] for x in encoder), *(x[sentence] for x in cross)]:
            assert (weights[..., length:] == 0).all()
            torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    for weights in decoder:
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert (weights[~causal_mask(8).expand_as(weights)] == 0).all()


@every
def test_gradients_by_finite_differences(name):
    """Of the summed states by all weights at once, along random directions (a padded batch)."""
    model = small_model(name).train()
    for module in model.modules():
        if type(module).__name__ == "Dropout":
            module.threshold = 0
    source, target, lengths = random_pieces(8, 2, 7), random_pieces(9, 2, 6), torch.tensor([7, 4])
    generator = torch.Generator().manual_seed(1)
    mixed = torch.randn(2, 6, 12, generator=generator, dtype=torch.float64)

    def loss() -> torch.Tensor:
        return (model(source, lengths, target) * mixed).sum()

    loss().backward()
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    for _ in range(3):
        directions = [torch.randn(x.shape, generator=generator, dtype=torch.float64) for x in parameters]
        slope = sum((x.grad * direction).sum().item() for x, direction in zip(parameters, directions, strict=True))
        ends = []
        for sign in (1, -2):
            with torch.no_grad():
                for x, direction in zip(parameters, directions, strict=True):
                    x += sign * 1e-6 * direction
                ends.append(loss().item())
        with torch.no_grad():
            for x, direction in zip(parameters, directions, strict=True):
                x += 1e-6 * direction
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4)


@every
@torch.no_grad()
def test_weights_move_from_one_network_to_another(name):
    first, second = small_model(name, seed=1), small_model(name, seed=2)
    source, target, lengths = random_pieces(8, 1, 5), random_pieces(9, 1, 4), torch.tensor([5])
    assert not torch.allclose(first(source, lengths, target), second(source, lengths, target))
    load_weights(second, {name: tensor.numpy() for name, tensor in own_weights(first).items()}, "a test")
    torch.testing.assert_close(first(source, lengths, target), second(source, lengths, target))


@every
def test_dropout_acts_in_training_only_and_bfloat16_gives_finite_gradients(name):
    """bfloat16 as on a GPU: torch.autocast for the model, bfloat16 products in the loss."""
    from nmt.training.loss import Objective, batch_loss
    from nmt.training.pairs import make_batch

    model = small_model(name, dropout=0.5).float()
    batch = make_batch([[5, 6, 7], [8]], [[9], [10, 11, 12]])
    inputs = batch.source, batch.source_lengths, batch.target_input
    assert torch.equal(model(*inputs), model(*inputs))
    model.train()
    assert not torch.equal(model(*inputs), model(*inputs))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        batch_loss(model, batch, Objective(0.1, compute_dtype=torch.bfloat16)).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    exact = batch_loss(model.eval(), batch, Objective(0.1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = batch_loss(model, batch, Objective(0.1, compute_dtype=torch.bfloat16))
    assert rounded.item() == pytest.approx(exact.item(), rel=0.1)
