"""The demo page in headless Chromium."""

import urllib.parse

import pytest
from demo_server import EchoModels, running
from tools import chromium_browser  # noqa: F401

from nmt.demo.models import Models


@pytest.fixture(scope="module")
def address():
    """A demo with stand-in models."""
    with running(EchoModels()) as address:
        yield address


@pytest.fixture(name="opened")
def opened_pages(browser):
    """Open an address; afterwards: no error on the page, and no request but to the demo."""
    pages, complaints, requests = [], [], []

    def opener(address, **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opener
    for page in pages:
        page.close()
    assert complaints == []
    assert {urllib.parse.urlsplit(url).hostname for url in requests if not url.startswith(("data:", "about:"))} == {
        "127.0.0.1"
    }


def wait_for(page, selector: str, text: str) -> None:
    page.locator(selector, has_text=text).first.wait_for()


def test_translation_and_alignment_appear_as_one_types(opened, address):
    page = opened(address)
    page.locator("#text").press_sequentially("Good morning", delay=15)
    wait_for(page, ".translation", "dooG gninrom first")
    assert page.locator(".answer:not([hidden]) .matrix .links rect").count() == 2
    assert page.locator(".answer:not([hidden]) .lines text[data-column]").count() == 3
    page.locator(".answer .lines text[data-row='0']").first.hover()
    assert page.locator(".answer .lines path.lit").count() == 1
    page.fill("#text", "")
    page.locator(".answer").first.wait_for(state="hidden")


def test_typing_is_debounced(opened, address):
    page = opened(address)
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/api/translate") else None)
    page.evaluate("""() => {
        const area = document.querySelector("#text");
        for (const letter of "abcdefghijklmnopqrst") {
            area.value += letter;
            area.dispatchEvent(new Event("input"));
        }
    }""")
    wait_for(page, ".translation", "tsrqponmlkjihgfedcba first")
    assert len(sent) == 1


def test_two_models_side_by_side(opened, address):
    page = opened(address)
    page.select_option("#other", "second")
    page.fill("#text", "one two")
    wait_for(page, ".translation", "eno owt first")
    wait_for(page, ".translation", "eno owt second")
    boxes = [page.locator(".answer").nth(number).bounding_box() for number in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]


def test_a_link_holds_the_input(opened, address):
    page = opened(address)
    page.fill("#text", "¿Qué? <b>&")
    page.select_option("#other", "second")
    page.fill("#beam", "7")
    page.fill("#penalty", "0.5")
    page.locator(".answer").nth(1).locator(".translation", has_text="second").wait_for()
    page.click("#share")
    parts = urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)
    assert parts == {
        "text": ["¿Qué? <b>&"],
        "model": ["first"],
        "other": ["second"],
        "beam": ["7"],
        "length_penalty": ["0.5"],
    }
    again = opened(page.url)
    wait_for(again, ".translation", "?éuQ¿ &>b< first")
    assert again.input_value("#beam") == "7" and again.input_value("#other") == "second"
    assert again.locator(".translation b").count() == 0


def test_problems_are_told_and_overcome(opened, address):
    page = opened(f"{address}/?text=hello")
    wait_for(page, ".translation", "olleh first")
    # The refusal is made here, since a browser writes every real one to the console.
    page.evaluate("""() => {
        const real = globalThis.fetch;
        let refusals = 1;
        globalThis.fetch = async (...values) => {
            if (refusals-- <= 0) return real(...values);
            const headers = { "Retry-After": "1" };
            return new Response(JSON.stringify({ error: "too many requests from here" }), { status: 429, headers });
        };
    }""")
    page.fill("#text", "again")
    wait_for(page, "#status.problem", "too many requests")
    wait_for(page, ".translation", "niaga first")
    assert page.inner_text("#status") == ""


def test_a_refused_card_keeps_no_answer_to_another_text_and_its_problem_stays(opened, address):
    page = opened(f"{address}/?text=hello&other=second")
    wait_for(page, ".translation", "olleh first")
    wait_for(page, ".translation", "olleh second")
    page.evaluate("""() => {
        const real = globalThis.fetch;
        globalThis.fetch = async (place, request) =>
            JSON.parse(request.body).model === "second"
                ? real(place, request)
                : new Response(JSON.stringify({ error: "too long for this one" }), { status: 422 });
    }""")
    page.fill("#text", "again")
    wait_for(page, ".translation", "niaga second")
    wait_for(page, "#status.problem", "too long for this one")
    assert page.locator(".answer").first.is_hidden()
    page.evaluate("() => { document.querySelector('#frame').src = 'about:blank#loaded'; }")
    page.wait_for_timeout(100)  # its load event tells nothing about the problem
    assert page.inner_text("#status") == "too long for this one"


def test_the_explorer_is_embedded(opened, tiny_checkpoint):
    with running(Models(tiny_checkpoint.parent, tiny_checkpoint.name, threads=1)) as address:
        page = opened(f"{address}/?text=My+sister+paints+small+birds.")
        page.click("#explore summary")
        frame = page.frame_locator("#frame")
        frame.locator("label:has(#kind-encoder)").click()
        assert frame.locator("#title").inner_text() == "Encoder self-attention, layer 1, head 1"
        assert frame.locator(".thumbnail").count() == 8
        assert frame.locator("#hypothesis-list label").count() == 3


def test_docs_page_is_drawn_from_the_description(opened, address):
    page = opened(f"{address}/docs")
    assert page.locator(".endpoint h2").all_inner_texts() == ["GET /api/models", "POST /api/translate", "GET /explorer"]
    page.click("#send")
    wait_for(page, "#response", '"translation"')
    assert page.inner_text("#response").startswith("200")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_width_and_both_schemes(opened, address, scheme):
    page = opened(
        f"{address}/?text=a+sentence+of+some+more+words+than+fit&other=second",
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,
    )
    wait_for(page, ".translation", "second")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    page_colour = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert page_colour == ("rgb(246, 247, 249)" if scheme == "light" else "rgb(18, 22, 27)")
