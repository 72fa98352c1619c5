"""Programs that some tests need: skipped without them on a developer's machine, failed without them in CI; pages."""

import os
import shutil

import pytest

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(reason: str) -> None:
    """Skip, or fail where nothing may be skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must not skip this test")
    pytest.skip(reason)


def program(name: str, source: str) -> str:
    """The path of a program, or a skip that says where to get it."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed ({source})")
    return str(path)


@pytest.fixture(scope="module", name="browser")
def chromium_browser():
    """Debian's Chromium, headless, driven by Playwright."""
    path = program("chromium", "apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed (pip install playwright)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


def watched(page, *allowed: str) -> list[str]:
    """What the page complains of, and what it requests that does not begin as `allowed`, as it happens."""
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: request.url.startswith(allowed) or troubles.append(request.url))
    return troubles


def visit(page, address: str) -> None:
    """Open a page and wait until its script has run."""
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
