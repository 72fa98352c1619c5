"""Words given by spaces: running text that looks written, and links that come back to the given words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.pretokenized import given_words, join_words, links_over_given_words
from nmt.text.words import normalize, split_words


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("I do n't know if it 's Ann 's .", "I don't know if it's Ann's ."),
        ("WE CAN N’T , WE ’LL", "WE CANN’T , WE’LL"),
        ("'s is first , ' s is none", "'s is first , ' s is none"),
        ("already joined, isn't it?", "already joined, isn't it?"),
        ("", ""),
    ],
)
def test_endings_are_attached_again(line, text):
    joined = join_words(given_words(line))
    assert joined.text == text
    assert [joined.text[start:end] for start, end in joined.spans] == given_words(line)


def test_only_spaces_and_tabs_separate_given_words():
    assert given_words(" a  b\tc\u00a0d \r\n") == ["a", "b", "c\u00a0d"]


def test_links_come_back_to_the_given_words():
    # Tokens of the text: I | don't | know | . and No | lo | sé | . ; given: I do n't know . / No lo-sé.
    source, target = join_words(["I", "do", "n't", "know", "."]), join_words(["No", "lo-sé."])
    source_words = source.words_of_tokens(split_words(source.text))
    target_words = target.words_of_tokens(split_words(target.text))
    assert source_words == [[0], [1, 2], [3], [4]]
    assert target_words == [[0], [1], [1], [1], [1]]
    assert links_over_given_words([(1, 0), (2, 3), (3, 4)], source_words, target_words) == [
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 1),
    ]


# Also what could compose across a border: a lone accent, the two halves of a Hangul syllable.
tricky = st.sampled_from("abé1 '’\"-.,:;?¿!¡()/$n\u0301\u00a0\u200b\u1100\u1161".replace(" ", ""))
characters = tricky | st.characters(exclude_characters=" \t")
word = st.text(characters, min_size=1, max_size=5)


@given(st.lists(word, max_size=8))
def test_every_given_word_stands_whole_and_in_order(words):
    joined = join_words(words)
    assert normalize(joined.text) == joined.text
    assert [joined.text[start:end] for start, end in joined.spans] == [normalize(text) for text in words]
    ends = [0, *(end for _, end in joined.spans)]
    for (start, _), end in zip(joined.spans, ends, strict=False):
        assert joined.text[end:start] in ("", " ")
    tokens = split_words(joined.text)
    members = joined.words_of_tokens(tokens)
    for token, covered in zip(tokens, members, strict=True):
        # Against the definition, character by character.
        assert covered == [
            number
            for number, (start, end) in enumerate(joined.spans)
            if any(start <= place < end for place in range(token.start, token.end))
        ]
        assert covered
    # Every link between tokens becomes links within the given words.
    links = [(token, token) for token in range(len(tokens))]
    assert all(max(link) < len(words) for link in links_over_given_words(links, members, members))


@given(st.lists(st.from_regex(r"[a-zñé]{1,4}", fullmatch=True), max_size=8))
def test_plain_words_and_their_tokens_are_the_same(words):
    joined = join_words(words)
    assert joined.text == " ".join(words)
    assert joined.words_of_tokens(split_words(joined.text)) == [[number] for number in range(len(words))]
