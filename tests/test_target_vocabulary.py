"""The pieces of source sentences alone have no output."""

from hypothesis import given
from hypothesis import strategies as st
from tiny import SENTENCES, SPANISH, joint_subwords, tiny_subwords

from nmt.text.subwords import END, PADDING, START, UNKNOWN

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
