"""Opening explorer pages in Chromium for tests, and reading them as a person does."""

import re

import pytest
from tools import chromium_browser, visit, watched  # noqa: F401

from nmt.inspection.explorer import explorer_page

TOLERANCE = 1 / 510 + 0.0005
"""Half a level of eight bits, and half a unit of the third decimal shown."""


@pytest.fixture(name="opened")
def opened_pages(browser, tmp_path):
    """Open a page of translations from disk; afterwards: no console message, no error, no request but the file."""
    contexts, troubles = [], []

    def opener(*translations, width=1280, height=900, **options):
        path = tmp_path / "page.html"
        path.write_text(explorer_page(list(translations)), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        troubles.append(watched(page, path.as_uri(), "data:"))
        visit(page, path.as_uri())
        return page

    yield opener
    for context in contexts:
        context.close()
    assert not any(troubles), troubles


def hover(page, row: int, column: int) -> str:
    """Put the pointer on a cell of the matrix and read the tooltip."""
    place = page.evaluate(
        """([row, column]) => {
            const holder = document.querySelector("#matrix");
            holder.scrollIntoView({ block: "nearest" });
            const paper = holder.querySelector(".paper").getBoundingClientRect();
            const size = holder.getAttribute("aria-label").match(/(\\d+) rows, (\\d+) columns/);
            const [rows, columns] = size.slice(1).map(Number);
            const [x, y] = [(column + 0.5) * paper.width / columns, (row + 0.5) * paper.height / rows];
            holder.scrollTo(x - holder.clientWidth / 2, y - holder.clientHeight / 2);
            const now = holder.querySelector(".paper").getBoundingClientRect();
            return [now.left + x, now.top + y];
        }""",
        [row, column],
    )
    page.mouse.move(*place)
    return page.inner_text("#tip")


def number_in(text: str) -> float:
    return float(re.search(r"(\d\.\d{3})", text).group(1))


def choose(page, kind: str, layer: int = 0, head: int = 0, unit: str = "words") -> None:
    page.click(f"label:has(#kind-{kind})")
    if kind != "alignment":
        page.click(f'.thumbnail[data-layer="{layer}"][data-head="{head}"]')
        page.click(f"label:has(#unit-{unit})")
