"""RNNsearch and the RNN encoder-decoder against their equations, position by position, with torch's cells alone."""

import math

import pytest
import torch
from architectures import RECURRENT, random_pieces, small_model
from torch import nn

LENGTHS = [7, 4, 1]


def cell(gru: nn.GRU, suffix: str = "") -> nn.GRUCell:
    """One step of a layer's direction, with its weights."""
    found = nn.GRUCell(gru.input_size, gru.hidden_size).double()
    found.load_state_dict({name: getattr(gru, f"{name}_l0{suffix}") for name in found.state_dict()})
    return found


def annotations_of(model, source: list[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """h_j of one sentence without padding (Bahdanau et al. 2015, section 3.2), and the two directions' last states."""
    vectors = model.source_embedding.weight[source] * math.sqrt(model.config.width)
    size = model.encoder.hidden_size
    ahead, back = torch.zeros(1, size).double(), torch.zeros(1, size).double()
    forward, backward = [], []
    step, step_back = cell(model.encoder), cell(model.encoder, "_reverse")
    for vector in vectors:
        ahead = step(vector[None], ahead)
        forward.append(ahead[0])
    for vector in vectors.flip(0):
        back = step_back(vector[None], back)
        backward.insert(0, back[0])
    last = torch.cat([forward[-1], backward[0]])
    return [torch.cat(pair) for pair in zip(forward, backward, strict=True)], last


def score_of(model, state: torch.Tensor, annotation: torch.Tensor) -> torch.Tensor:
    """e_ij for one state and one annotation."""
    score = model.score
    if score.kind == "additive":
        inner = score.query_weight @ state + score.key.weight @ annotation + score.key.bias
        return score.vector @ inner.tanh()
    return state @ (annotation if score.kind == "dot" else score.key.weight @ annotation)


def slow_pass(model, source: list[int], target: list[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """States [target, width] and alignment [target, source] of one pair, each step from the equations."""
    width = model.config.width
    attends = model.config.type == "rnnsearch"
    annotations, last = annotations_of(model, source)
    if attends:
        state = (model.first_state.weight @ annotations[0][model.encoder.hidden_size :] + model.first_state.bias).tanh()
    else:
        context = (model.summary.weight @ last + model.summary.bias).tanh()
        state = (model.first_state.weight @ context + model.first_state.bias).tanh()
    step = cell(model.decoder)
    states, rows = [], []
    for piece in target:
        if attends:
            exponentials = torch.stack([score_of(model, state, annotation) for annotation in annotations]).exp()
            row = exponentials / exponentials.sum()  # alpha_ij
            context = sum(weight * annotation for weight, annotation in zip(row, annotations, strict=True))  # c_i
            rows.append(row)
        vector = model.target_embedding.weight[piece] * math.sqrt(width)
        state = step(torch.cat([vector, context])[None], state[None])[0]
        doubled = model.output.weight @ torch.cat([state, vector, context]) + model.output.bias
        states.append(torch.stack([max(doubled[k], doubled[k + width]) for k in range(width)]))
    return torch.stack(states), torch.stack(rows) if attends else None


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", RECURRENT)
@torch.no_grad()
def test_a_batch_equals_the_equations_sentence_by_sentence(name, tied):
    model = small_model(name, tied_embeddings=tied)
    source, target = random_pieces(1, 3, 7), random_pieces(2, 3, 5)
    memory, mask, _ = model.encode(source, torch.tensor(LENGTHS), with_weights=True)
    states, own, cross = model.decode(target, memory, mask, with_weights=True)
    assert own == [] and len(cross) == (model.config.type == "rnnsearch")
    for row, length in enumerate(LENGTHS):
        expected, alignment = slow_pass(model, source[row, :length].tolist(), target[row].tolist())
        torch.testing.assert_close(states[row], expected)
        if alignment is not None:
            torch.testing.assert_close(cross[0][row, 0, :, :length], alignment)
    torch.testing.assert_close(model.logits(states), states @ model.output_weight.T + model.output_bias)


def test_torchs_gated_unit_is_the_papers_but_for_the_reset_gates_place():
    """With the reset gate open, section A.1.1's unit and torch's are one, z and 1 - z exchanged."""
    step = nn.GRUCell(3, 2).double()
    with torch.no_grad():
        step.bias_ih[:2] = 100.0  # r = 1
    x, s = torch.randn(1, 3).double(), torch.randn(1, 2).double()
    _, w_z, w = step.weight_ih.chunk(3)
    _, u_z, u = step.weight_hh.chunk(3)
    _, b_z, b = (step.bias_ih + step.bias_hh).chunk(3)
    z = 1 - (x @ w_z.T + s @ u_z.T + b_z).sigmoid()
    proposal = (x @ w.T + s @ u.T + b).tanh()
    torch.testing.assert_close(step(x, s), (1 - z) * s + z * proposal)


def test_the_two_differ_in_attention_alone():
    """Every weight of one is in the other, but for what makes the context."""
    models = small_model("rnnsearch"), small_model("rnnencdec")
    names = [{name: tuple(x.shape) for name, x in model.named_parameters()} for model in models]
    attention, vector = set(names[0]) - set(names[1]), set(names[1]) - set(names[0])
    assert {name.split(".")[0] for name in attention} == {"score"}
    assert {name.split(".")[0] for name in vector} == {"summary"}
    common = set(names[0]) & set(names[1]) - {"first_state.weight"}  # of h_1, or of the vector
    assert all(names[0][name] == names[1][name] for name in common)
