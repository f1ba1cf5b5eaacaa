"""``reasonrec trace show``: single decisions as cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reasonrec_trace.reader import TraceFile
    from reasonrec_trace.schema import TraceRecord

LIMIT = 3
RECENT = 10
"""Items of the history and of an answer that a card shows."""
OTHERS = 3
"""Items that a card shows of the answers that were not given."""

EPILOG = """\b
Examples:
  reasonrec trace show runs/movielens --request 12
  reasonrec trace show runs/movielens --user 42 --json
  reasonrec trace show runs/movielens/trace.parquet --route replace --limit 5
"""


@click.command("show", epilog=EPILOG)
@click.argument("trace", type=click.Path(path_type=Path), metavar="TRACE")
@click.option("--request", type=click.IntRange(0), metavar="N", help="Only the decision with this number.")
@click.option("--user", metavar="ID", help="Only decisions for this user.")
@click.option(
    "--key-env",
    default="REASONREC_TRACE_KEY",
    show_default=True,
    help="The environment variable with the key of a hashed trace.",
)
@click.option(
    "--route", type=click.Choice(["self", "replace", "consult", "abstain"]), help="Only decisions with this route."
)
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="Most decisions to show.")
@click.option("--json", "as_json", is_flag=True, help="Print whole records, one JSON object per line.")
def show_command(
    trace: Path, request: int | None, user: str | None, key_env: str, route: str | None, limit: int, as_json: bool
) -> None:
    """Show decisions of TRACE, a trace or a run folder; with a run folder, items by their titles."""
    import pyarrow.compute as pc

    from reasonrec_core.errors import ConfigError
    from reasonrec_trace.reader import open_trace
    from reasonrec_trace.schema import VALID

    file = open_trace(trace)
    wanted: dict[str, Any] = {"query": request, "user": user, "route": route}
    if user is not None:
        wanted["user"] = _written(file, user, key_env)
    asked = {name: value for name, value in wanted.items() if value is not None}
    found = list(islice((record for record in file.records(None, **asked) if record.part != VALID), limit))
    if not found:
        shown = (table.filter(pc.not_equal(table["part"], VALID)) for table in file.tables(["query", "part"], None))
        last = max((pc.max(table["query"]).as_py() for table in shown if len(table)), default=-1)
        raise ConfigError(
            f"no decision matches {_said(request, user, route)}".rstrip(),
            where=str(file.path),
            fix=f"Its requests are numbered 0 to {last}." if last >= 0 else "It contains no decisions.",
        )
    title = _titles(file)
    for record in found:
        if as_json:
            from reasonrec_core.cli.console import print_json

            print_json(asdict(record), indent=None)
        else:
            _card(file, record, title)


def _said(request: int | None, user: str | None, route: str | None) -> str:
    given = {"--request": request, "--user": user, "--route": route}
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def _written(file: TraceFile, user: str, variable: str) -> str:
    """The id as it stands in the trace: hashed, where users are, unless it is given as its hash."""
    from reasonrec_trace.pseudonyms import LENGTH, Hasher, read_key

    given_as_hash = len(user) == LENGTH and set(user) <= set("0123456789abcdef")
    if "users" not in file.header.hashed or given_as_hash:
        return user
    return str(Hasher(read_key(variable), users=True).user(user))


def _titles(file: TraceFile) -> Callable[[str], str]:
    """Item id to what to call it: with its title where the run's dataset lies beside the trace."""
    from reasonrec_core.cli.console import line
    from reasonrec_core.data.dataset import Dataset
    from reasonrec_core.data.storage import is_dataset

    folder, titles = file.path.parent / "stages" / "data" / "dataset", dict[str, str]()
    if "items" not in file.header.hashed and is_dataset(folder):
        dataset = Dataset.open(folder)
        if dataset.hash == file.header.data:
            titles = dict(zip(dataset.catalog.ids, dataset.catalog.titles, strict=True))
    return lambda item: line(f"{titles[item]} [{item}]" if titles.get(item, item) != item else item)


def _card(file: TraceFile, record: TraceRecord, title: Callable[[str], str]) -> None:
    from rich.text import Text

    from reasonrec_core.cli.console import line, out

    who = "unknown user" if record.user is None else f"user {record.user}"
    when = "" if record.time is None else f", {_moment(record.time)}"
    out.print(Text(line(f"Request {record.query}: {who}, {record.task}{when}"), "bold"))
    recent = record.history[-RECENT:]
    shown = "; ".join(title(item) for item in recent) or "nothing"
    out.print(f"History ({record.history_length:,} items, the newest {len(recent)}): {shown}")
    by = f" by {record.delegate}" if record.delegate else ""
    out.print(f"Route: {line(record.route + by)}. {line(record.reason)}.")
    out.print(line(_sure(record)))
    if record.uncertainty:
        out.print(f"Uncertainty: {line('; '.join(_doubts(record)))}.")
    targets = set(record.targets)
    out.print(Text("Answer", "bold"), Text("(* = what came next)" if targets else "", "dim"))
    for place, (item, score) in enumerate(zip(record.ranking[:RECENT], record.scores, strict=False), 1):
        out.print(f"{'*' if item in targets else ' '}{place:3d}  {title(item)}  {score:.3g}")
    if targets:
        out.print(f"What came next: {'; '.join(map(title, record.targets))}")
    for label, answer in record.answers.items():
        first = "; ".join(title(item) for item in answer.items[:OTHERS])
        out.print(f"{line(label)} answered: {first}{_graded(file, record.quality.get(label, {}))}")
    _steps(record, title)
    out.print(line(_price(record)) + "\n", style="dim")


def _moment(seconds: int) -> str:
    """ "1998-04-20 05:07 UTC"; what is no time that people live in, as the number that it is."""
    dated = 1e8 < seconds < 1e10
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if dated else f"time {seconds}"


def _sure(record: TraceRecord) -> str:
    from reasonrec_core.types import format_percent

    said = [] if record.confidence is None else [f"confidence {format_percent(record.confidence)}"]
    said += [] if record.risk is None else [f"risk {format_percent(record.risk)} that the delegate's answer is better"]
    said += [] if record.gain is None else [f"expected gain of delegating {record.gain:+.3f}"]
    text = ", ".join(said) or "no router, so no calibrated confidence"
    return f"{text[0].upper()}{text[1:]}."


def _doubts(record: TraceRecord) -> list[str]:
    from reasonrec_core.routing import FEATURE

    doubts = []
    for name, value in record.uncertainty.items():
        if name.startswith(FEATURE):
            continue
        parts = {"epistemic": value.epistemic, "aleatoric": value.aleatoric}
        known = ", ".join(f"{part} {v:.2f}" for part, v in parts.items() if v is not None)
        doubts.append(f"{name} {value.total:.2f}" + (f" ({known})" if known else ""))
    return doubts


def _graded(file: TraceFile, quality: Mapping[str, float]) -> str:
    from reasonrec_core.types import format_digits

    names = [name for name in (file.header.quality, file.header.hit) if name in quality]
    return f" ({', '.join(f'{name} {format_digits(quality[name])}' for name in names if name)})" if names else ""


def _steps(record: TraceRecord, title: Callable[[str], str]) -> None:
    from rich.text import Text

    from reasonrec_core.cli.console import line, out
    from reasonrec_core.types import format_percent

    start = record.history_length - len(record.history)
    for step in record.steps:
        out.print(Text.assemble((f"{step.kind}", "bold"), f" {line(step.claim)}"))
        places = [e - start if isinstance(e, int) else e for e in step.evidence]
        evidence = [
            line(place) if isinstance(place, str) else title(record.history[place])
            for place in places
            if isinstance(place, str) or 0 <= place < len(record.history)
        ]
        if evidence:
            out.print(f"  because of: {'; '.join(evidence)}")
        for name, weight in step.alternatives[:OTHERS]:
            out.print(f"  {format_percent(weight, 1):>7}  {line(name)}")


def _price(record: TraceRecord) -> str:
    from reasonrec_core.types import format_digits

    taken = "answered in a batch" if record.latency is None else f"{format_digits(1000 * record.latency)} ms"
    alone = ", ".join(f"{name} {format_digits(1000 * seconds)} ms" for name, seconds in record.seconds.items())
    spent = f", {record.tokens:,} tokens" if record.tokens else ""
    return f"{taken}{f' (alone: {alone})' if alone else ''}{spent}; versions {record.versions or 'unknown'}"
