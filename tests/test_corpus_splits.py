"""Filters and connected components, against plainer ways to say the same."""

from hypothesis import given
from hypothesis import strategies as st

from nmt.corpus import SentencePair
from nmt.corpus.filters import Filters
from nmt.corpus.splits import components, normalize

words = st.lists(st.sampled_from("ab"), max_size=6).map(" ".join)


@given(pairs=st.lists(st.tuples(words, words)), low=st.integers(1, 3), high=st.integers(1, 6),
       ratio=st.none() | st.floats(1.01, 4), identical=st.booleans())  # fmt: skip
def test_what_filters_keep_is_what_the_limits_say(pairs, low, high, ratio, identical):
    report: dict = {}
    filters = Filters(low, high, ratio, identical)
    kept = [(p.source, p.target) for p in filters((SentencePair(s, t) for s, t in pairs), report)]

    def wanted(source, target):
        lengths = len(source.split()), len(target.split())
        return (min(lengths) >= low and max(lengths) <= high and not (identical and source == target)
                and (ratio is None or max(lengths) / min(lengths) <= ratio))  # fmt: skip

    assert kept == [pair for pair in pairs if wanted(*pair)]
    assert report["read"] == len(pairs) == report["kept"] + sum(report["dropped"].values())
    assert report["kept"] == len(kept)


few_words = st.sampled_from(["a", "B", "b", "c!", "C", "d", "e", "…"])


@given(st.lists(st.tuples(few_words, few_words)))
def test_components_are_those_of_a_flood_fill(pairs):
    neighbours = [
        {
            j
            for j, other in enumerate(pairs)
            if any(normalize(x) == normalize(y) for x, y in zip(pair, other, strict=True))
        }
        for pair in pairs
    ]
    for start, component in enumerate(components(pairs)):
        reached, frontier = {start}, [start]
        while frontier:
            new = neighbours[frontier.pop()] - reached
            reached |= new
            frontier += new
        assert component == min(reached)


def test_normalize_is_the_documented_one():
    assert normalize("  ¿Qué—ﬁesta,  ¡STRASSE ½? ") == "qué fiesta strasse 1 2"
    assert normalize("İ!") == normalize("i\u0307")
