"""``reasonrec recommend``: one request to a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reasonrec_core.cli.options import print_json
from reasonrec_serve.options import FILE, limit_options, read_id_options, read_limits, read_pairs

if TYPE_CHECKING:
    from reasonrec_serve.answer import Answer, Edited, Recommended

CITED = 3
"""Entries of the history, and alternatives, that a step names."""
FILLER = 0.01
"""Weight below which an alternative is not worth naming."""
EPILOG = """\b
Examples:
  reasonrec recommend runs/movielens --user 42 --why
  reasonrec recommend runs/movielens --history 50,172,181 --k 5
  reasonrec recommend runs/shop --history-item 'SKU,001' --history-item 'SKU,017'
  reasonrec recommend runs/movielens --history 50,172 --candidates 1,2,3 --json
  reasonrec recommend runs/shop --user 42 --only-file in-stock.txt --where 'price<=20' --exclude P1,P2
  reasonrec recommend runs/movielens --user 42 --assume categories=Comedy --ignore 172 --why
  reasonrec recommend runs/shop --query "wedding gift" --where 'price<=20'
  reasonrec recommend runs/shop --users all --k 20 --out recs.parquet
"""


@click.command("recommend", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--user", metavar="ID", help="A user of the data set, whose whole log is the history, or a new user.")
@click.option("--history", metavar="A,B,C", help="Item ids, oldest first, separated by commas.")
@click.option(
    "--history-item",
    "history_items",
    multiple=True,
    metavar="ID",
    help="One such item id, exactly as written. Repeatable.",
)
@click.option(
    "--history-file", type=FILE, metavar="FILE", help="A file with item ids, oldest first, one per line; - reads stdin."
)
@click.option("--candidates", metavar="A,B,C", help="Rank these items (task direct) instead of the catalogue.")
@click.option(
    "--candidate",
    "candidate_items",
    multiple=True,
    metavar="ID",
    help="One such item id, exactly as written. Repeatable.",
)
@click.option(
    "--candidates-file", type=FILE, metavar="FILE", help="A file with such items, one per line; - reads stdin."
)
@limit_options
@click.option(
    "--context",
    multiple=True,
    metavar="NAME=VALUE",
    help="What is known of the moment, e.g. hour=9, for models that use context. Repeatable.",
)
@click.option("--include-seen", is_flag=True, help="Items of the history may be recommended again.")
@click.option(
    "--diversity",
    type=float,
    default=0.0,
    show_default=True,
    help="From 0 (the best items) to 1 (items as different as possible).",
)
@click.option(
    "--query",
    metavar="TEXT",
    help="Words for what is wanted, alone or with a user or history; a delegate that reads text (alpharec) answers.",
)
@click.option(
    "--query-weight",
    type=float,
    help="With --query: how much the words count, from 0 (only the history) to 1 (only the words). [default: 0.5]",
)
@click.option("--k", default=10, show_default=True, help="How many items to show.")
@click.option(
    "--task",
    type=click.Choice(["sequential", "direct"]),
    help="The task. [default: direct with candidates, otherwise sequential]",
)
@click.option(
    "--assume",
    multiple=True,
    metavar="FIELD=LABEL",
    help="Assume that the next item has this label, e.g. brand=Acorn. Repeatable.",
)
@click.option("--ignore", multiple=True, metavar="ID", help="An item of the history that should not count. Repeatable.")
@click.option(
    "--why",
    is_flag=True,
    help="Show why each item is recommended, who answered, how sure it is, and the most important steps. "
    "With --users: write why each item is recommended (column because).",
)
@click.option("--steps", "every", is_flag=True, help="Show all steps, with their evidence and alternatives.")
@click.option("--trace/--no-trace", default=None, help="Append the decision to RUN/requests-TASK.jsonl.")
@click.option(
    "--models",
    type=click.Choice(["final", "evaluated"]),
    help="Which models answer: those of `reasonrec final`, or those that the report is about. [default: "
    "final if there are any]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--users", metavar="all|FILE", help="Recommend to all users, or to those in a file (one id per line).")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --users: a .parquet, .csv or .jsonl file. After an interruption, the same command continues.",
)
@click.option("--workers", default=0, help="With --users: number of processes. [default: one per processor core]")
def recommend_command(
    run: Path, why: bool, every: bool, trace: bool | None, models: str | None, as_json: bool, **given: Any
) -> None:
    """Recommend items from a finished RUN, with raw ids and titles. The strength of the best one is 100.

    With --assume or --ignore the policy's steps are edited, and the answer follows from the edited steps.
    With --users the answers for many users are written to a file.
    """
    users, out, workers = (given.pop(name) for name in ("users", "out", "workers"))
    request = read_request_options(given)
    if users is not None:
        from reasonrec_serve.batch_command import recommend_to_users

        _refuse({"steps": every, "trace": trace, "json": as_json}, "answers for many users are written to a file")
        recommend_to_users(run, models, users, out, workers, request, because=why)
        return
    _refuse({"out": out, "workers": workers}, "can only be used with --users")
    from reasonrec_serve.recommender import Recommender
    from reasonrec_serve.request import Request

    answer = Recommender.open(run, trace=trace, models=models).answer(Request(**request))
    if as_json:
        print_json(answer.to_dict(steps=why or every))
    else:
        _show(answer, why=why or every, every=every)


def _refuse(given: dict[str, Any], what: str) -> None:
    """Refuse options that mean nothing here."""
    from reasonrec_core.errors import ConfigError

    for name, value in given.items():
        if value:
            raise ConfigError(what, where=f"--{name}")


def read_request_options(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a `Request`, from the options of the command line."""
    limits = read_limits(given)
    if (weight := given.pop("query_weight")) is not None:
        from reasonrec_core.errors import ConfigError

        if given["query"] is None:
            raise ConfigError("there is no text query to weigh", where="--query-weight", fix="Add --query TEXT.")
        given["query_weight"] = weight
    for what, each in (("history", "history_items"), ("candidates", "candidate_items")):
        given[what] = read_id_options(what, given[what], given.pop(each), given.pop(f"{what}_file"))
    given["context"] = read_pairs(given["context"], "--context", "hour=9")
    return {**given, **limits, "assume": read_pairs(given["assume"], "--assume", 'category="Skin Care"')}


def _show(answer: Answer, *, why: bool, every: bool) -> None:
    from reasonrec_core.cli.console import note, out, plain
    from reasonrec_core.types import format_digits, format_percent

    for said in answer.notes:
        (note if answer.items else out.print)(plain(said))
    if answer.items:
        _show_items(answer.explained if why else answer.items)
    if answer.edited:
        _show_edits(answer.edited)
    if not why:
        return
    reason = answer.reason.partition(" answers: ")[2] or answer.reason
    out.print(f"\n{f'Answered by {answer.by}' if answer.by else 'Not answered'}: {plain(reason)}.", soft_wrap=True)
    seen = "have learned from all interactions" if answer.models == "final" else "are those in the report"
    out.print(f"Models: {answer.models}, which {seen}.")
    if answer.confidence is not None:
        out.print(
            f"Confidence: {format_percent(answer.confidence)} that the next choice is among the first {answer.cutoff}."
        )
    if answer.edited:
        out.print("No confidence is stated, because it was calibrated on answers without edits.")
    elif not answer.limited:
        signals = ", ".join(f"{name} {value:.2f}" for name, value in answer.uncertainty.items())
        out.print(f"Uncertainty: {signals or 'not estimated'}.")
    _show_steps(answer, every=every)
    out.print(f"\n{format_digits(answer.seconds * 1000)} ms")


def _show_items(items: tuple[Recommended, ...]) -> None:
    from rich.table import Table

    from reasonrec_core.cli.console import out, plain

    strengths = scale_scores([item.score for item in items])
    table = Table("#", "id", "title", *(["strength"] if strengths else []), box=None, pad_edge=False)
    for position, item in enumerate(items, 1):
        strength = [f"{strengths[position - 1]:.0f}"] if strengths else []
        table.add_row(str(position), plain(item.id), plain(item.title), *strength)
    out.print(table)
    if any(item.why for item in items):
        out.print()
    for position, item in enumerate(items, 1):
        if item.why:
            out.print(f"{position:<2} {plain(item.why)}", soft_wrap=True)


def scale_scores(scores: Sequence[float]) -> list[float]:
    """Scores as a person can read them: the best is 100; empty where they have no zero to start from."""
    if not scores or not all(isfinite(score) for score in scores) or min(scores) < 0 or max(scores) <= 0:
        return []
    return [100 * score / max(scores) for score in scores]


def _show_steps(answer: Answer, *, every: bool) -> None:
    """Five lines; with ``every`` all steps, the three entries that each rests on most, and what else was possible."""
    from rich.text import Text

    from reasonrec_core.cli.console import out, plain
    from reasonrec_core.types import format_percent, shorten_steps

    steps = list(answer.steps) if every else shorten_steps(answer.steps)
    out.print()
    for step in steps:
        mark = (" (edited)", "yellow") if step.edited else ""
        out.print(Text.assemble((f"{step.kind:7}", "bold"), mark, f" {plain(step.claim)}"), soft_wrap=True)
        if not every:
            continue
        evidence = list(dict.fromkeys(answer.history[e][1] if isinstance(e, int) else e for e in step.evidence))
        if evidence:
            more = f" and {len(evidence) - CITED} more" if len(evidence) > CITED else ""
            out.print(f"           because of: {plain('; '.join(evidence[:CITED]))}{more}")
        for claim, weight in step.alternatives[:CITED]:
            if weight >= FILLER:
                out.print(f"           {format_percent(weight, 1):>7}  {plain(claim)}")
    if len(steps) < len(answer.steps):
        out.print(f"{len(answer.steps)} steps in all; --steps shows them.")


def _show_edits(edited: Edited) -> None:
    """What was edited, and what that changed."""
    from reasonrec_core.cli.console import out, plain

    said = [f"you assumed {field} is “{label}”" for field, label in edited.assumed.items()]
    said += [f"you ignored “{title or item}”" for item, title in edited.ignored]
    out.print(f"\nEdited: {plain('; '.join(said))}.")
    if not edited.entered:
        out.print("The same items as without the edit.")
        return
    for items, word in ((edited.entered, "entered"), (edited.left, "left")):
        out.print(f"{len(items)} {word} the list: {plain('; '.join(item.title or item.id for item in items))}")
