"""The picture of a report in the README: python docs/picture.py runs/synthetic/report.html, of examples/synthetic.toml.

Chromium shows the page as a wide window does, smaller, with its result and its first decision; the sections between
are left out.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

WIDTH, HEIGHT, SCALE = 1400, 2640, 0.73
LEFT_OUT = ("systems", "delegation", "confidence", "faithfulness", "slices")


def take_picture(page: Path, out: Path) -> None:
    """Write a picture of the report ``page`` to ``out``.

    Raises:
        SystemExit: there is no Chromium.
    """
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("Install Chromium first.")
    hidden = ", ".join(f"#{name}" for name in LEFT_OUT)
    text = re.sub("</style>", f"{hidden} {{ display: none }}</style>", page.read_text(encoding="utf-8"), count=1)
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder) / "page.html"
        shown.write_text(text, encoding="utf-8")
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        size = [
            f"--window-size={WIDTH},{HEIGHT}",
            f"--force-device-scale-factor={SCALE}",
            f"--screenshot={out.resolve()}",
        ]
        subprocess.run([browser, *flags, *size, shown.as_uri()], check=True, timeout=120)  # noqa: S603


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take the picture of a report that the README shows.")
    parser.add_argument("page", type=Path, help="report.html of a run.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "report.png", help="Where to.")
    given = parser.parse_args()
    take_picture(given.page, given.out)
