"""``reasonrec data describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from reasonrec_datasets.facts_table import print_facts
from reasonrec_datasets.options import open_data, source_options

from reasonrec_core.cli.console import note, plain, print_json
from reasonrec_core.data import Dataset, is_dataset
from reasonrec_core.types import format_digits, format_percent
from reasonrec_doctor.describe import describe_dataset


@click.command(name="describe")
@click.argument("path", type=click.Path(path_type=Path))
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@click.option("--verify", is_flag=True, help="First check a dataset's files against their hashes.")
def describe_command(path: Path, source: dict[str, Any], as_json: bool, verify: bool) -> None:
    """Describe what is in a dataset, or in raw data in any layout that `data import` reads.

    \b
    Examples:
      reasonrec data describe sets/ml-1m
      reasonrec data describe reviews.json.gz
      reasonrec data describe sets/ml-1m --verify --json
    """
    if verify and is_dataset(path):
        Dataset.open(path).verify()
    elif verify:
        note("note: --verify is ignored: only saved datasets have hashes to compare")
    with open_data(path, source) as dataset:
        facts = describe_dataset(dataset)
    if as_json:
        print_json(facts)
    else:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    print_facts(_lines(facts), facts["name"])
    for remark in facts["notes"]:
        note(plain(f"note: {remark}"))


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [
        ("users", f"{facts['users']:,} ({facts['users_without_interactions']:,} without interactions)"),
        ("items", f"{facts['items']:,} ({facts['cold_items']:,} cold: without interactions)"),
        ("interactions", f"{facts['interactions']:,} ({facts['repeated_pairs']:,} repeat an earlier one)"),
        ("density", f"{100 * facts['density']:.3g}\N{NO-BREAK SPACE}%"),
        ("per user", _spread(facts["history_length"])),
        ("per item", _spread(facts["item_interactions"])),
        ("time", _time(facts["time"], facts["users"])),
    ]
    if facts["values"]:
        counts = facts["values"].get("counts")
        shown = ", ".join(f"{v}: {n:,}" for v, n in counts.items()) if counts else _spread(facts["values"])
        lines.append(("values", shown))
    if facts["parts"]:
        lines.append(("parts", ", ".join(f"{part}: {n:,}" for part, n in facts["parts"].items())))
    if reviews := facts["reviews"]:
        share, words = _share(reviews["share"]), _spread(reviews["words"])
        lines.append(("reviews", f"{reviews['count']:,} ({share} of interactions), words: {words}"))
    lines.append(("items with text", _share(facts["text"])))
    missing = "" if facts["images_folder_exists"] or not facts["image"] else " (but the folder of images is missing)"
    lines.append(("items with image", _share(facts["image"]) + missing))
    lines += [(f"  {name}", f"{_share(f['share'])} {f['type']}") for name, f in facts["fields"].items()]
    if facts["user_fields"]:
        lines.append(("user fields", ", ".join(facts["user_fields"])))
    if facts["top_categories"]:
        lines.append(("top categories", ", ".join(f"{c['label']} ({c['items']:,})" for c in facts["top_categories"])))
    return [*lines, ("hash", facts["hash"])]


def _spread(quantiles: dict[str, float]) -> str:
    names = ("min", "p25", "median", "p75", "p90", "max")
    shown = (f"{name} {_number(quantiles[name])}" for name in (*names, "mean"))
    return ", ".join(shown)


def _number(value: float) -> str:
    """A whole number whole, any other with three digits that count."""
    return f"{value:,.0f}" if value == int(value) else format_digits(value)


def _share(share: float) -> str:
    """A share with a digit after the point, except where it is everything."""
    return format_percent(share, 0 if share == 1 else 1)


def _moment(time: str | int) -> str:
    """ "1997-09-20 03:05" (UTC); a number where it is no date."""
    return time[:16].replace("T", " ") if isinstance(time, str) else str(time)


def _time(time: dict[str, Any], users: int) -> str:
    span = (
        f"{_moment(time['first'])} to {_moment(time['last'])} (UTC)"
        if "first" in time
        else "positions in each user's sequence, not times"
    )
    share = format_percent(time["users_with_tied_last"] / max(users, 1))
    tied = f"for {share} of users at their last interaction"
    if odd := time.get("implausible"):
        span = f"{span} (WARNING: {odd:,} are before 1990 or after next year, which is probably wrong)"
    return f"{span}; {time['ties']:,} are at the same time as the user's one before ({tied})"
