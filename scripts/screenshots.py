#!/usr/bin/env python
"""Take the README's picture of the explorer page: docs/explorer-light.png.

    python -m scripts.screenshots

Needs Debian's chromium and `pip install playwright`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from nmt.cli.common import run
from nmt.errors import UserError
from nmt.inspection.explorer import explorer_page
from nmt.translator import Translator
from scripts.report import ROOT

SENTENCE = "The black cat drinks cold milk in the old kitchen."
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main(_arguments: list[str]) -> None:
    """Translate, open the page, point at a cell, take the picture."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise UserError("chromium is not installed; apt-get install chromium")
    translation = Translator.load().translate(SENTENCE, n_best=3, heads=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(explorer_page([translation]), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(path.as_uri())
        page.click("label:has(#kind-alignment)")
        _, target = translation.alignment[len(translation.alignment) // 2]
        page.hover(f"#lines text[data-row='{target}']")
        page.screenshot(path=ROOT / "docs" / "explorer-light.png")
        browser.close()


if __name__ == "__main__":
    sys.exit(run("screenshots", main))
