"""Words and subwords: any Unicode text goes through and comes back, and every piece knows its words."""

import io
import math
import re
import unicodedata
from collections import Counter

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, SENTENCES, tiny_subwords

from nmt.errors import UserError
from nmt.text.subwords import END, PADDING, START, UNKNOWN, Subwords
from nmt.text.typography import plain_text, without
from nmt.text.words import normalize, split_words

SUBWORDS = tiny_subwords()
texts = st.text() | st.text("aábñ .,'’¿¡½ﬁ①Å\u0301\u200b\u3000\t\nСъ日本😀<>/s") | st.sampled_from(SENTENCES)


def as_sentencepiece_normalises(text: str) -> str:
    """SentencePiece's own rules, from its own normaliser, which shares no code with ours; then NFC."""
    normalizer = sentencepiece.SentencePieceNormalizer(
        rule_name="nmt_nfkc", add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=True
    )
    # U+2581 is SentencePiece's sign for a space.
    plain = plain_text(normalize(text))
    spaced = normalize(re.sub(" +", " ", normalizer.normalize(plain).replace("▁", " ")).strip(" "))
    return re.sub("(?<=[¿¡]) ", "", spaced)  # as decoding writes it


@given(text=texts)
def test_any_text_comes_back_and_nothing_is_unknown(text):
    encoding = SUBWORDS.encode(text)
    assert not {UNKNOWN, PADDING, START, END} & set(encoding.ids)
    back = re.sub(" +", " ", SUBWORDS.decode(encoding.ids)).strip(" ")
    expected = as_sentencepiece_normalises(without(encoding.text, encoding.copied)[0])
    assert back == expected or (encoding.capitals and back.lower() == expected.lower())
    if not encoding.capitals and not encoding.copied:
        assert SUBWORDS.encode_ids([text]) == [encoding.ids]
        assert SUBWORDS.pieces(encoding.ids) == SUBWORDS._processor.encode(plain_text(encoding.text), out_type=str)


@given(text=texts)
def test_spans_lie_in_the_text_in_order_and_without_gaps_inside_words(text):
    encoding = SUBWORDS.encode(text)
    assert encoding.text == normalize(encoding.text)
    assert len(encoding.spans) == len(encoding.ids) == len(encoding.words_of_piece)
    last = 0
    for start, end in encoding.spans:
        assert 0 <= start <= end <= len(encoding.text)
        assert start >= last or start == end or end >= last
        last = max(last, end)


@given(text=texts)
def test_every_word_that_survives_normalisation_has_a_piece(text):
    encoding = SUBWORDS.encode(text)
    covered = {word for words in encoding.words_of_piece for word in words}
    for number, word in enumerate(encoding.words):
        copied = any(start < word.end and word.start < end for start, end in encoding.copied)
        if number not in covered and not copied:
            assert as_sentencepiece_normalises(word.text) == "" or unicodedata.category(word.text[0])[0] in "CM", word
    assert all(words == sorted(words) for words in encoding.words_of_piece)
    firsts = [words[0] for words in encoding.words_of_piece if words]
    assert firsts == sorted(firsts)
    if encoding.words:
        assert all(encoding.words_of_piece)


@given(text=st.sampled_from(SENTENCES))
def test_pieces_of_plain_text_spell_their_words(text):
    encoding = SUBWORDS.encode(text)
    for piece, (start, end), words in zip(
        SUBWORDS.pieces(encoding.ids), encoding.spans, encoding.words_of_piece, strict=True
    ):
        spelled = piece.replace("▁", "")
        assert plain_text(encoding.text[start:end].strip()) == spelled
        assert spelled == "" or all(
            encoding.words[word].start < end and encoding.words[word].end > start for word in words
        )


@given(ids=st.lists(st.integers(4, len(SUBWORDS) - 1), max_size=12))
def test_any_pieces_decode_to_text_with_spans(ids):
    encoding = SUBWORDS.decode_with_spans(ids)
    assert encoding.text == SUBWORDS.decode(ids)
    assert encoding.ids == ids and len(encoding.spans) == len(ids)
    for start, end in encoding.spans:
        assert 0 <= start <= end <= len(encoding.text)
    if encoding.words:
        covered = {word for words in encoding.words_of_piece for word in words}
        assert covered == set(range(len(encoding.words)))


@pytest.mark.parametrize("text", ["¡casa!", "¿qué casa?", "Tom, ¡la casa!"])
def test_no_space_follows_an_opening_mark(text):
    spaced = SUBWORDS.encode(text.replace("¡", "¡ ").replace("¿", "¿ "))
    encoding = SUBWORDS.decode_with_spans(spaced.ids)
    assert encoding.text == SUBWORDS.decode(spaced.ids) == text
    words = [word.text for word in encoding.words]
    assert [words[word] for of_piece in encoding.words_of_piece for word in of_piece[:1]] == [
        spaced.words[word].text for of_piece in spaced.words_of_piece for word in of_piece[:1]
    ]


def test_words_by_hand():
    assert [word.text for word in split_words("Don't say “l’été”, s'il-te-plaît...")] == [
        "Don't", "say", "“", "l’été", "”", ",", "s'il", "-", "te", "-", "plaît", ".", ".", ".",
    ]  # fmt: skip
    assert split_words("e\u0301a b") == [("éa", 0, 2), ("b", 3, 4)]  # positions in the composed text
    assert split_words(" \t\n") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("замо́к і за́мок", ["замо́к", "і", "за́мок"]),  # Ukrainian stress has no composed form
        ("हिन्दी की किताब।", ["हिन्दी", "की", "किताब", "।"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("I ❤️ you 👩‍💻!", ["I", "❤️", "you", "👩‍💻", "!"]),
    ],
)
def test_marks_and_joiners_belong_to_what_they_stand_on(text, words):
    assert [word.text for word in split_words(text)] == words


@given(text=st.text())
def test_words_cover_everything_but_white_space(text):
    text = normalize(text)
    words = split_words(text)
    assert [text[word.start : word.end] for word in words] == [word.text for word in words]
    left = list(text)
    for word in words:
        left[word.start : word.end] = " " * (word.end - word.start)
    assert "".join(left).strip() == ""
    assert all(one.end <= other.start for one, other in zip(words, words[1:], strict=False))


def test_sampling_varies_the_pieces_and_never_the_text():
    drawn = [SUBWORDS.sample_ids(ENGLISH, 0.2, seed) for seed in range(5)]
    assert len({str(ids) for ids in drawn}) == 5
    for ids in drawn:
        assert [SUBWORDS.decode(sentence) for sentence in ids] == ENGLISH
    assert SUBWORDS.sample_ids(ENGLISH, 0.2, 3) == drawn[3]
    assert SUBWORDS.sample_ids(ENGLISH, 1000.0, 3) == SUBWORDS.encode_ids(ENGLISH)  # the best alone is left


@settings(max_examples=30)
@given(text=texts)
def test_words_drawn_apart_are_the_sentence_where_the_best_alone_is_left(text):
    assert SUBWORDS.sample_ids([text], 1e6, 1) == SUBWORDS.encode_ids([text])


def test_sampling_draws_each_word_by_itself():
    """Both words of a pair take their second-best pieces as often as chance has it."""
    pairs = SUBWORDS.sample_ids(["harbour harbour"] * 4000, 0.3, 1)
    best = SUBWORDS.encode_ids(["harbour"])[0]
    first = np.array([ids[: len(best)] == best for ids in pairs])
    last = np.array([ids[-len(best) :] == best for ids in pairs])
    assert (first & last).mean() == pytest.approx(first.mean() * last.mean(), abs=0.03)


@settings(max_examples=30)
@given(text=texts, seed=st.integers(0, 9))
def test_sampling_takes_any_text(text, seed):
    (ids,) = SUBWORDS.sample_ids([text], 0.2, seed)
    assert SUBWORDS.decode(ids) == SUBWORDS.decode(SUBWORDS.encode_ids([text])[0])


def test_sampling_draws_in_proportion_to_smoothed_probabilities():
    processor = sentencepiece.SentencePieceProcessor(model_proto=SUBWORDS.model)
    best = processor.nbest_encode("harbour", nbest_size=32, return_type=int)
    weights = [math.exp(0.3 * sum(processor.get_score(number) for number in ids)) for ids in best]
    draws = 4000
    counts = Counter(map(tuple, SUBWORDS.sample_ids(["harbour"] * draws, 0.3, 1)))
    assert len(best) > 3
    for ids, weight in zip(best, weights, strict=True):
        share = weight / sum(weights)
        assert counts[tuple(ids)] / draws == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / draws))


def test_training_again_gives_the_same_vocabulary():
    assert tiny_subwords().sha256 == SUBWORDS.sha256
    assert SUBWORDS.pieces(range(4)) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert SUBWORDS.pieces(range(4, 260)) == [f"<0x{byte:02X}>" for byte in range(256)]


def test_saved_and_loaded(tmp_path):
    SUBWORDS.save(tmp_path / "model")
    assert Subwords.load(tmp_path / "model").sha256 == SUBWORDS.sha256


@pytest.mark.parametrize("content", [b"", b"garbage", SUBWORDS.model[:1000]])
def test_damaged_models_are_refused(tmp_path, content):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(UserError):
        Subwords.load(tmp_path / "model")


def test_missing_and_foreign_models_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        Subwords.load(tmp_path / "none")
    foreign = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=foreign, vocab_size=100, minloglevel=2
    )
    with pytest.raises(UserError, match="not ours"):
        Subwords(foreign.getvalue())


def test_a_vocabulary_that_cannot_be_made_is_refused():
    with pytest.raises(UserError, match="vocabulary_size"):
        Subwords.train(SENTENCES, 261, character_coverage=1.0)
    with pytest.raises(UserError):
        Subwords.train([], 400)


def test_a_model_with_a_piece_that_is_no_text_is_refused():
    assert SUBWORDS.model.count(b"<unk>") == 1
    with pytest.raises(UserError, match="damaged"):
        Subwords(SUBWORDS.model.replace(b"<unk>", b"<\xadnk>"))


def test_long_sentences_are_learned_from():
    sentences = [*SENTENCES, *[" ".join(["ΩΩΩ"] * 1500)] * 5]
    pieces = Subwords.train(sentences, 400, character_coverage=1.0)
    assert any("Ω" in piece for piece in pieces.pieces(range(len(pieces))))


def test_no_text_at_all_is_told():
    for nothing in ([], ["", " \t"]):
        with pytest.raises(UserError, match="no text to learn subwords from"):
            Subwords.train(nothing, 400)


def test_the_rule_for_text_can_be_chosen():
    sentences = [*SENTENCES, "10² 102"]
    with_rule = {
        rule: Subwords.train(sentences, 400, character_coverage=1.0, normalization=rule)
        for rule in ("nmt_nfkc", "identity", "nfkc_cf")
    }
    kept = {rule: subwords.decode(subwords.encode_ids(["Who 10²"])[0]) for rule, subwords in with_rule.items()}
    assert kept == {"nmt_nfkc": "Who 102", "identity": "Who 10²", "nfkc_cf": "who 102"}
    drawn = with_rule["identity"].sample_ids(["Who 10²"], 0.5, 1)[0]
    assert with_rule["identity"].decode(drawn) == "Who 10²"
