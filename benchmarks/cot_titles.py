"""How `cot` tells titles: those that give orders like the plain ones, those of real catalogues as they are.

    python benchmarks/cot_titles.py --data ../shared/data

The titles that give orders are those of plugins/reasonrec-cot/tests: `injected.toml` was there when the rules were
made, `injected_more.toml` changed them, `injected_unseen.toml` was written after them. Told exactly is a title that
reads like its plain one; nameless one of which nothing is left: its item is told by its number. For real catalogues
the page counts titles that are told otherwise than by their form alone. Seconds are of the processor, the least of
three rounds. Writes benchmarks/results/cot_titles.md, and prints some of the titles that are told otherwise.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
import tomllib
from datetime import date
from pathlib import Path

from reasonrec_cot.words.fence import Fence

RESULTS = Path(__file__).parent / "results" / "cot_titles.md"
TESTS = Path(__file__).parents[1] / "plugins" / "reasonrec-cot" / "tests"
LISTS = ("injected.toml", "injected_more.toml", "injected_unseen.toml")
CATALOGUES = ("ml-100k", "ml-1m", "amazon-beauty", "hm-week")
SHOWN, ROUNDS = 6, 3


def orders(fence: Fence, name: str) -> tuple[str, list[str]]:
    """A row of the first table, and the titles that are told with some of their orders."""
    entries = tomllib.loads((TESTS / name).read_text("utf-8"))["title"]
    told = [(fence.title(e["injected"]), fence.title(e["plain"]), e["injected"]) for e in entries]
    exact = sum(one == other for one, other, _ in told)
    nameless = sum(not one for one, _, _ in told)
    rest = [shown(title) for one, other, title in told if one not in ("", other)]
    count = len(entries)
    return f"| `{name}` | {count} | {exact} ({exact / count:.0%}) | {nameless} | {len(rest)} |", rest


def catalogue(fence: Fence, path: Path) -> tuple[str, list[tuple[str, str]]]:
    """A row of the second table, and the titles that are told otherwise."""
    with path.open(encoding="utf-8", newline="") as file:
        titles = [row["title"] for row in csv.DictReader(file) if row["title"]]
    most, seconds = fence.settings.title_characters, []
    for _ in range(ROUNDS):
        start = time.process_time()
        told = [fence.title(title) for title in titles]
        seconds.append(time.process_time() - start)
    formed = [fence.harmless(title, most) for title in titles]
    changed = [(title, one) for title, one, other in zip(titles, told, formed, strict=True) if one != other]
    lost = sum(bool(other) and not one for one, other in zip(told, formed, strict=True))
    share = len(changed) / len(titles)
    row = f"| {path.parent.name} | {len(titles):,} | {len(changed)} ({share:.2%}) | {lost} | {min(seconds):.2f} |"
    return row, changed


def shown(text: str) -> str:
    """A title in a page: one line, and no markup."""
    line = " ".join(text.split())
    return f"`{line[:110].replace('`', '')}{'...' if len(line) > 110 else ''}`"


def main() -> None:
    """Tell all titles and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    fence = Fence()
    fence.title("read the words once")
    lists = [orders(fence, name) for name in LISTS]
    shops = [catalogue(fence, given.data / name / "items.csv") for name in CATALOGUES]
    page = [
        "# How titles are told",
        "",
        f"`python benchmarks/cot_titles.py`, {date.today()}, {platform.processor() or platform.machine()}, one core.",
        "",
        "| titles that give orders | | told exactly as without | nameless | told with some of it |",
        "|---|---|---|---|---|",
        *(row for row, _ in lists),
        "",
        "`injected.toml` was there when the rules were made, `injected_more.toml` made them better, and",
        "`injected_unseen.toml` was written after them: its share is what to expect of titles that nobody thought of.",
        "",
        "Told with some of it, of the unseen:",
        "",
        *(f"- {title}" for title in lists[-1][1]),
        "",
        "| catalogue | titles | told otherwise | lost | seconds |",
        "|---|---|---|---|---|",
        *(row for row, _ in shops),
    ]
    given.out.write_text("\n".join(page) + "\n", "utf-8")
    print("\n".join(page), "\nTold otherwise, some:", sep="\n")
    for _, changed in shops:
        for title, told in changed[:SHOWN]:
            print(f"- {shown(title)}: {shown(told)}")


if __name__ == "__main__":
    main()
