#!/usr/bin/env python
"""Take the documentation's pictures of the explorer page: docs/explorer-light.png and docs/explorer-dark.png.

    python scripts/screenshots.py [--checkpoint DIR] [--directory docs] [SENTENCE]

Needs Debian's chromium and `pip install playwright`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

SENTENCE = "The black cat drinks cold milk in the old kitchen."
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> int:
    """Translate, open the page, point at a cell, take the pictures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sentence", nargs="?", default=SENTENCE)
    arguments.add_argument("--checkpoint", help="checkpoint directory (default: tatoeba-en-es, shipped)")
    arguments.add_argument("--directory", type=Path, default=Path("docs"), help="where the pictures go (default: docs)")
    options = arguments.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("screenshots: chromium is not installed (apt-get install chromium)", file=sys.stderr)
        return 2

    from playwright.sync_api import sync_playwright

    from nmt.inspection.explorer import explorer_page
    from nmt.translator import Translator

    translation = Translator.load(options.checkpoint).translate(options.sentence, n_best=3, heads=True)
    options.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        path.write_text(explorer_page([translation]), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for scheme, kind in (("light", "alignment"), ("dark", "cross")):
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page.goto(path.as_uri())
            page.click(f"label:has(#kind-{kind})")
            if kind == "cross":
                page.locator(".thumbnail").last.click()
            _, target = translation.alignment[len(translation.alignment) // 2]
            page.hover(f"#lines text[data-row='{target}']")
            page.screenshot(path=options.directory / f"explorer-{scheme}.png")
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
