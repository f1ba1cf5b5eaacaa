"""A browser for tests of the page: found on the path as for the report's tests, driven by Playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE = 180_000
"""Milliseconds that anything may take on a busy machine."""


@contextmanager
def opened_browser() -> Iterator[Any]:
    """Chromium without a window; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium on the path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


@contextmanager
def opened_page(browser: Any, url: str, expected: tuple[str, ...] = (), **settings: Any) -> Iterator[Any]:
    """A page at ``url``; what the console complains of fails the test, unless it holds a text of ``expected``."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
    context.set_default_timeout(PATIENCE)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    yield page
    context.close()
    unexpected = [text for text in complaints if not any(part in text for part in expected)]
    assert not unexpected, unexpected


def settle(page: Any) -> None:
    """Wait until nothing is loaded and nothing is worked out any more."""
    page.wait_for_load_state("networkidle")
    wait_until(page, "!document.querySelector('[aria-busy=true]')")


def wait_until(page: Any, expression: str) -> None:
    """Wait until an expression is true; Playwright's own way is evaluated by the page, whose policy forbids it."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"it did not become true: {expression}"
        page.wait_for_timeout(50)


def listed(page: Any) -> list[str]:
    """Ids of the items that are shown, best first."""
    found: list[str] = page.eval_on_selector_all(".ranking > .card", "cards => cards.map(card => card.dataset.id)")
    return found
