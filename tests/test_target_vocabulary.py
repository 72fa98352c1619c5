"""The pieces of source sentences alone have no output, in new networks and in those that are cut down."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import ENGLISH, SENTENCES, SPANISH, joint_subwords, tiny_subwords, write_tiny_checkpoint

from nmt.checkpoint import Checkpoint
from nmt.errors import UserError
from nmt.text.subwords import END, PADDING, START, UNKNOWN
from nmt.translator import Translator
from scripts.target_vocabulary import leave_targets

JOINT, SUBWORDS = joint_subwords(), tiny_subwords()
texts = st.text() | st.text("aábñ .,'’¿¡½ﬁ①Å\u0301\u200b日本😀<>/s") | st.sampled_from(SENTENCES)


@given(text=texts)
def test_targets_are_made_of_the_first_pieces(text):
    own, found = SUBWORDS.encode(text), SUBWORDS.target.encode(text)
    assert SUBWORDS.pieces(own.ids) == JOINT.pieces(JOINT.encode(text).ids)
    assert max(found.ids, default=0) < SUBWORDS.target_size
    assert not {UNKNOWN, PADDING, START, END} & set(found.ids)
    assert SUBWORDS.decode(found.ids) == SUBWORDS.decode(own.ids)


def test_every_piece_keeps_its_place_or_goes_to_the_end():
    seen = {piece for ids in JOINT.encode_ids(SPANISH) for piece in JOINT.pieces(ids)}
    pieces = SUBWORDS.pieces(range(len(SUBWORDS)))
    first, last = pieces[: SUBWORDS.target_size], pieces[SUBWORDS.target_size + 1 :]
    assert seen <= set(first) and not seen & set(last) and last
    assert sorted(first + last) == sorted(JOINT.pieces(range(len(JOINT))))
    assert [SUBWORDS.target.encode_ids([text]) for text in SPANISH] == [SUBWORDS.encode_ids([text]) for text in SPANISH]
    more = SUBWORDS.with_slots()
    assert more.target_size == len(more) == len(SUBWORDS) + 8


@pytest.mark.parametrize("tied", [True, False])
def test_a_network_that_is_cut_down_shares_out_what_it_loses(tmp_path, tied):
    before = write_tiny_checkpoint(tmp_path / "before", subwords=JOINT, tied_embeddings=tied)
    after = tmp_path / "after"
    leave_targets(Checkpoint(before), SPANISH, after)
    whole, cut = Translator.load(before, "torch"), Translator.load(after, "torch")
    for source, target in zip(ENGLISH[:4], SPANISH[1:5], strict=True):
        maps, cut_maps = whole.attention(source, target), cut.attention(source, target)
        np.testing.assert_allclose(cut_maps.cross, maps.cross, atol=1e-6)
        sides = whole.subwords.encode(source).ids, whole.subwords.encode(target).ids
        source_ids, lengths = torch.tensor([[*sides[0], END]]), torch.tensor([len(sides[0]) + 1])
        states = whole.network(source_ids, lengths, torch.tensor([[START, *sides[1]]]))[0]
        logits = whole.network.logits(states).detach().numpy().astype(np.float64)  # [target, vocabulary]
        kept = [place for place, piece in enumerate(whole.subwords._pieces) if piece in _targets(cut)]
        labels = np.array([*sides[1], END])
        expected = logits[range(len(labels)), labels] - np.log(np.exp(logits[:, kept]).sum(axis=1))
        assert cut.score(source, target).log_probability == pytest.approx(expected.sum(), abs=1e-3)
    fast = Translator.load(after)
    assert fast.fast and [one.text for one in fast.translate(ENGLISH)] == [one.text for one in cut.translate(ENGLISH)]
    with pytest.raises(UserError, match="already"):
        leave_targets(Checkpoint(after), SPANISH, tmp_path / "again")
    with pytest.raises(UserError, match="new directory"):
        leave_targets(Checkpoint(before), SPANISH, after)


def _targets(translator: Translator) -> set[str]:
    return set(translator.subwords.pieces(range(translator.subwords.target_size)))
