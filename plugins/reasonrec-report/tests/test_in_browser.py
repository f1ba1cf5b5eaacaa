"""The page as a browser lays it out, and whether its colours can be told apart. Skips where there is no Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import run_folders as folders
from reasonrec_report.page import write_report

MEASURE = """<script>addEventListener("load", () => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  const wide = [...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll, pre, svg")
    && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + "." + e.className);
  parent.postMessage([innerWidth, document.documentElement.scrollWidth, wide.length, wide[0]].join(" "), "*");
});</script>"""
FRAME = """<script>onmessage = event => { document.title = "measured " + event.data; }</script>
<iframe src="page.html" style="border: 0; width: WIDTHpx; height: 900px"></iframe>"""
"""A window may not be made as narrow as a phone, a frame may."""

PAIRS = [
    *((text, back, 4.5) for text in ("ink", "muted", "accent", "policy", "delegate") for back in ("paper", "panel")),
    *((name, f"{name}-back", 4.5) for name in ("good", "bad", "even", "warn")),
    *((mark, "panel", 3.0) for mark in ("routed", "policy", "delegate", "other", "good", "bad")),
]
"""Foreground, background, and the contrast that WCAG 2.2 AA asks for: 4.5 for text, 3 for marks."""


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium on the path")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 375, 768, 1440])
def test_no_page_scrolls_sideways(tmp_path: Path, width: int) -> None:
    chromium = browser()
    items = [folders.Item(str(i), f"{'Unbreakable' * 12} {i}", f"{i}.jpg") for i in range(30)]
    folders.drawn_items(tmp_path / "images", 30)
    page = write_report(folders.ranking_run(tmp_path, items, tmp_path / "images")).read_text(encoding="utf-8")
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page).replace("</head>", f"{MEASURE}</head>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    switches += ["--disable-component-update", "--disable-sync", "--hide-scrollbars"]
    done = subprocess.run(
        [
            chromium,
            *switches,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1600,1000",
            "--virtual-time-budget=5000",
            "--dump-dom",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = re.search(r"<title>measured (\d+) (\d+) (\d+) (.*?)</title>", done.stdout)
    assert found, done.stderr[-2000:]
    inner, scroll, too_wide = (int(n) for n in found.groups()[:3])
    assert inner == width
    assert scroll <= width, found[0]
    assert too_wide == 0, found[4]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def read_colours(style: str, theme: str) -> dict[str, str]:
    """The style's colours by name, as #rrggbb."""
    roots = re.findall(r":root \{(.*?)\}", style, re.S)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", roots[0] + (roots[1] if theme == "dark" else "")))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_contrast(theme: str) -> None:
    style = (files("reasonrec_report") / "templates" / "report.css").read_text(encoding="utf-8")
    colours = read_colours(style, theme)
    for text, back, wanted in PAIRS:
        bright, dim = sorted((luminance(colours[text]), luminance(colours[back])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= wanted, (text, back)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_whiskers_have_contrast_as_they_are_blended(theme: str) -> None:
    style = (files("reasonrec_report") / "templates" / "report.css").read_text(encoding="utf-8")
    colours = read_colours(style, theme)
    (whisker,) = re.findall(r"^\.whisker \{(.*?)\}", style, re.M)
    opacity = float((re.search(r"opacity: ([\d.]+)", whisker) or ["", "1"])[1])
    for tone in ("routed", "policy", "delegate", "other"):
        mark, panel = ([int(colours[name][i : i + 2], 16) for i in (1, 3, 5)] for name in (tone, "panel"))
        blended = [round(opacity * m + (1 - opacity) * p) for m, p in zip(mark, panel, strict=True)]
        shown = "#" + "".join(f"{channel:02x}" for channel in blended)
        bright, dim = sorted((luminance(shown), luminance(colours["panel"])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 3, tone
