"""The explorer page as a file: self-contained, escaped, small."""

import base64
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspection_samples import synthetic_translation

from nmt.errors import UserError
from nmt.inspection.explorer import embedded_json, explorer_page

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u2028",
    "<!--",
    "'",
    "{{script}}",
    "\ud800",
]


class Collector(html.parser.HTMLParser):
    """What an HTML parser sees: tags with attributes, and the text of scripts, styles and the title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.content: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data):
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        key = attributes.get("type", tag)
        self.content[key] = self.content.get(key, "") + data


def data_of(page: str) -> dict:
    return json.loads(Collector(page).content["application/json"])


def test_page_is_one_file_that_names_no_other():
    page = Collector(explorer_page([synthetic_translation()]))
    for _, attributes in page.tags:
        assert not {"src", "action", "formaction", "srcset", "data", "style"} & set(attributes)
        assert attributes.get("href", "data:,") == "data:,"
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in page.content["style"] and "@import" not in page.content["style"]
    assert not re.search(
        r"fetch\(|XMLHttpRequest|WebSocket|import\(|^import|eval\(|innerHTML", page.content["module"], re.M
    )


def test_content_security_policy_allows_the_own_script_and_style_by_hash_and_nothing_else():
    page = Collector(explorer_page([synthetic_translation()]))
    policy = next(attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv"))
    hashes = {
        name: base64.b64encode(hashlib.sha256(page.content[name].encode()).digest()).decode()
        for name in ("module", "style")
    }
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashes['module']}'; style-src 'sha256-{hashes['style']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_nothing_in_a_sentence_becomes_markup(words):
    calm = Collector(explorer_page([synthetic_translation(["x"], ["x"])]))
    page = explorer_page([synthetic_translation(words, words)])
    page.encode("utf-8")
    hostile = Collector(page)
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in calm.tags]
    assert hostile.content["module"] == calm.content["module"]


def test_json_between_script_tags_is_plain_ascii_without_markup():
    text = embedded_json(HOSTILE)
    assert text.isascii() and not set("<>&") & set(text)
    assert json.loads(text) == HOSTILE


def test_weights_are_stored_in_eight_bits_and_the_page_says_so():
    translation = synthetic_translation(layers=2, heads=3)
    page = explorer_page([translation])
    assert "8 bits" in page and "exact to 0.002" in page
    heads = data_of(page)["sentences"][0]["hypotheses"][0]["heads"]
    for kind in ("encoder", "decoder", "cross"):
        weights = getattr(translation.heads, kind)
        tensor = heads[kind]
        assert (tensor["layers"], tensor["heads"], tensor["rows"], tensor["columns"]) == weights.shape
        stored = np.frombuffer(base64.b64decode(tensor["weights"]), np.uint8).reshape(weights.shape) / 255
        assert np.abs(stored - weights).max() <= 0.002


def test_every_hypothesis_is_there_with_score_and_links():
    translation = synthetic_translation(hypotheses=4)
    stored = data_of(explorer_page([translation]))["sentences"][0]["hypotheses"]
    assert [(one["text"], one["score"]) for one in stored] == [(one.text, one.score) for one in translation.hypotheses]
    assert [[tuple(link) for link in one["links"]] for one in stored] == [
        one.alignment for one in translation.hypotheses
    ]


def test_six_layers_of_eight_heads_over_sixty_pieces_are_at_most_three_megabytes():
    words = [f"w{number}" for number in range(59)]
    translation = synthetic_translation(words, words, layers=6, heads=8)
    assert translation.heads.cross.shape == (6, 8, 60, 60)
    size = len(explorer_page([translation]).encode())
    print(f"explorer page of 6 x 8 x 60 x 60 x 3 weights: {size / 1e6:.2f} MB")
    assert size <= 3e6


def test_infinite_scores_of_candidates_stay_valid_json():
    translation = synthetic_translation()
    translation.heads.candidates[0] = [("▁a", 0.0), ("▁b", float("-inf"))]
    assert data_of(explorer_page([translation]))["sentences"][0]["hypotheses"][0]["heads"]["candidates"][0][1] == [
        "▁b",
        -1e9,
    ]


def test_nothing_to_show_is_refused():
    with pytest.raises(UserError, match="nothing to explore"):
        explorer_page([])
