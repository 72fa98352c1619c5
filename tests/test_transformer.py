"""The transformer: positions by hand, layers against torch's own, its weights and its places of dropout."""

import math

import numpy as np
import pytest
import torch
from architectures import VOCABULARY, random_pieces, small_model
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nmt.config.model import ModelConfig
from nmt.errors import UserError
from nmt.models import Transformer, build_model, load_weights, own_weights
from nmt.positions import sinusoidal_positions

KINDS = [("pre", True), ("post", True), ("pre", False), ("post", False)]


def test_sinusoidal_positions_by_hand():
    # width 4: angles p / 10000^(0/4) = p and p / 10000^(2/4) = p / 100
    expected = [
        [0.0, 1.0, 0.0, 1.0],
        [0.8414709848, 0.5403023059, 0.0099998333, 0.9999500004],
        [0.9092974268, -0.4161468365, 0.0199986667, 0.9998000067],
    ]
    np.testing.assert_allclose(sinusoidal_positions(3, 4), expected, rtol=0, atol=1e-7)


@given(position=st.integers(0, 50), offset=st.integers(0, 50), pair=st.integers(0, 7))
def test_a_shift_of_positions_is_a_rotation(position, offset, pair):
    """Section 3.5: for any fixed offset k, PE(p + k) is a linear function of PE(p)."""
    table = sinusoidal_positions(101, 16)
    angle = offset / 10000 ** (2 * pair / 16)
    sine, cosine = table[position, 2 * pair : 2 * pair + 2].tolist()
    expected = [sine * math.cos(angle) + cosine * math.sin(angle), cosine * math.cos(angle) - sine * math.sin(angle)]
    assert table[position + offset, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(expected, abs=1e-5)


def copy_attention(theirs: nn.MultiheadAttention, ours) -> None:
    theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.load_state_dict(ours.output.state_dict())


@torch.no_grad()
def torchs_layers(model: Transformer) -> tuple[list[nn.Module], list[nn.Module]]:
    """torch.nn's encoder and decoder layers with the weights of ours."""
    config = model.config
    shape = {"dropout": 0.0, "batch_first": True, "norm_first": config.norm == "pre", "dtype": torch.float64}
    size = (config.width, config.heads, config.feed_forward)
    encoder, decoder = [], []
    for ours in model.encoder_layers:
        theirs = nn.TransformerEncoderLayer(*size, **shape)
        copy_attention(theirs.self_attn, ours.self_attention)
        norms = (ours.around_self.norm, ours.around_feed_forward.norm)
        encoder.append((theirs, ours, norms))
    for ours in model.decoder_layers:
        theirs = nn.TransformerDecoderLayer(*size, **shape)
        copy_attention(theirs.self_attn, ours.self_attention)
        copy_attention(theirs.multihead_attn, ours.cross_attention)
        norms = (ours.around_self.norm, ours.around_cross.norm, ours.around_feed_forward.norm)
        decoder.append((theirs, ours, norms))
    for theirs, ours, norms in encoder + decoder:
        theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
        theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
        for number, norm in enumerate(norms, 1):
            getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    # In training mode torch takes its plain path; there is no dropout, so it computes the same.
    return [layer.train() for layer, _, _ in encoder], [layer.train() for layer, _, _ in decoder]


@pytest.mark.parametrize(("norm", "tied"), KINDS)
@torch.no_grad()
def test_the_whole_network_equals_one_of_torchs_layers(norm, tied):
    model = small_model("transformer", decoder_layers=3, norm=norm, tied_embeddings=tied)
    encoder, decoder = torchs_layers(model)
    source, target, lengths = random_pieces(1, 3, 7), random_pieces(2, 3, 5), torch.tensor([7, 4, 1])
    blocked = torch.arange(7) >= lengths[:, None]
    positions = torch.from_numpy(sinusoidal_positions(7, 12))
    x = model.source_embedding(source) * math.sqrt(12) + positions
    for layer in encoder:
        x = layer(x, src_key_padding_mask=blocked)
    memory = model.encoder_norm(x)
    y = model.target_embedding(target) * math.sqrt(12) + positions[:5]
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    for layer in decoder:
        y = layer(y, memory, tgt_mask=future, memory_key_padding_mask=blocked)
    expected = model.decoder_norm(y)
    torch.testing.assert_close(model(source, lengths, target), expected)
    with_weights = model.decode(target, *model.encode(source, lengths, with_weights=True)[:2], with_weights=True)[0]
    torch.testing.assert_close(with_weights, expected)
    torch.testing.assert_close(model.logits(expected), expected @ model.output_weight.T + model.output_bias)


def test_post_norm_ends_without_another_normalisation_and_pre_norm_with_one():
    assert isinstance(small_model("transformer", norm="post").decoder_norm, nn.Identity)
    assert isinstance(small_model("transformer", norm="pre").decoder_norm, nn.LayerNorm)


def test_tied_embeddings_are_one_matrix_and_untied_are_three():
    names = {"output_weight", "source_embedding.weight", "target_embedding.weight"}
    tied, untied = (small_model("transformer", tied_embeddings=tied) for tied in (True, False))
    assert set(own_weights(tied)) & names == {"output_weight"} and set(own_weights(untied)) & names == names
    assert tied.output_weight is tied.source_embedding.weight is tied.target_embedding.weight


@pytest.mark.parametrize("change", ["missing", "strange", "shape"])
def test_weights_of_another_network_are_refused(change):
    model = small_model("transformer")
    before = {name: tensor.clone() for name, tensor in own_weights(model).items()}
    weights = {name: torch.zeros_like(tensor) for name, tensor in own_weights(model).items()}
    if change == "missing":
        del weights["output_bias"]
    elif change == "strange":
        weights["decoder_layers.9.norm"] = torch.zeros(1)
    else:
        weights["output_bias"] = torch.zeros(VOCABULARY + 1)
    with pytest.raises(UserError, match="output_bias|decoder_layers.9"):
        load_weights(model, weights, "a test")
    assert all(torch.equal(before[name], tensor) for name, tensor in own_weights(model).items())


def test_dropout_acts_at_the_papers_places():
    config = ModelConfig(
        encoder_layers=1, decoder_layers=1, width=8, feed_forward=8, heads=2, dropout=0.5, max_length=8
    )
    model = build_model(config, VOCABULARY)
    source, target, lengths = random_pieces(1, 1, 4), random_pieces(2, 1, 4), torch.tensor([4])
    seen = []
    for module in model.modules():
        if type(module).__name__ == "Dropout":
            module.register_forward_hook(lambda *_: seen.append(1))
    model(source, lengths, target)
    # Section 5.4: the two sums of embeddings and positions, and every sublayer: 2 of the encoder's, 3 of the decoder's.
    assert len(seen) == 2 + 2 + 3
