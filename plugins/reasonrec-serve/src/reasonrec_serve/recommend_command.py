"""``reasonrec recommend``: one request to a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from reasonrec_core.cli.options import print_json

if TYPE_CHECKING:
    from reasonrec_serve.recommender import Answer, Edited

FILE = click.File("r", encoding="utf-8-sig")

EPILOG = """\b
Examples:
  reasonrec recommend runs/movielens --user 42 --why
  reasonrec recommend runs/movielens --history 50,172,181 --k 5
  reasonrec recommend runs/shop --history-item 'SKU,001' --history-item 'SKU,017'
  reasonrec recommend runs/movielens --history 50,172 --candidates 1,2,3 --json
  reasonrec recommend runs/movielens --user 42 --assume categories=Comedy --ignore 172 --why
"""


@click.command("recommend", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--user", metavar="ID", help="A user of the data set; their whole log is the history.")
@click.option("--history", metavar="A,B,C", help="Item ids, oldest first, separated by commas.")
@click.option(
    "--history-item", "history_items", multiple=True, metavar="ID", help="One such item, as it is. Repeatable."
)
@click.option("--history-file", type=FILE, metavar="FILE", help="Item ids, oldest first, a line each; - is stdin.")
@click.option("--candidates", metavar="A,B,C", help="Rank these items (task direct) instead of the catalogue.")
@click.option(
    "--candidate", "candidate_items", multiple=True, metavar="ID", help="One such item, as it is. Repeatable."
)
@click.option("--candidates-file", type=FILE, metavar="FILE", help="Such items, a line each; - is stdin.")
@click.option("--k", default=10, show_default=True, help="How many items.")
@click.option(
    "--task", type=click.Choice(["sequential", "direct"]), help="Default: direct with candidates, else sequential."
)
@click.option(
    "--assume",
    multiple=True,
    metavar="FIELD=LABEL",
    help="Take this label of the next item for granted, e.g. brand=Acorn. Repeatable.",
)
@click.option("--ignore", multiple=True, metavar="ID", help="Item of the history that shall not count. Repeatable.")
@click.option("--why", is_flag=True, help="Show the steps, the confidence and the route.")
@click.option("--trace/--no-trace", default=None, help="Append the decision to RUN/requests-TASK.jsonl.")
@click.option(
    "--models",
    type=click.Choice(["final", "evaluated"]),
    help="Those of `reasonrec final`, or those that the report is about.  [default: final where there are any]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recommend_command(
    run: Path,
    user: str | None,
    history: str | None,
    history_items: tuple[str, ...],
    history_file: IO[str] | None,
    candidates: str | None,
    candidate_items: tuple[str, ...],
    candidates_file: IO[str] | None,
    k: int,
    task: str | None,
    assume: tuple[str, ...],
    ignore: tuple[str, ...],
    why: bool,
    trace: bool | None,
    models: str | None,
    as_json: bool,
) -> None:
    """Recommend items from a finished RUN, with raw ids and titles.

    With --assume or --ignore the policy's steps are edited and the answer is worked out from them.
    """
    from reasonrec_serve.recommender import Recommender

    answer = Recommender.open(run, trace=trace, models=models).recommend(
        user=user,
        history=_read_ids("history", history, history_items, history_file),
        candidates=_read_ids("candidates", candidates, candidate_items, candidates_file),
        k=k,
        task=task,
        assume=_assumptions(assume),
        ignore=ignore,
    )
    if as_json:
        short = [
            "items",
            "unknown",
            "personalised",
            "by",
            "route",
            "reason",
            "models",
            *(["edited"] if answer.edited else []),
        ]
        whole = answer.to_dict(steps=why)
        print_json(whole if why else {name: whole[name] for name in short})
    else:
        _show(answer, why=why)


def _read_ids(what: str, text: str | None, each: tuple[str, ...], file: IO[str] | None) -> list[str] | None:
    """The ids of whichever option was given, None where none was."""
    given = [text is not None, bool(each), file is not None]
    if sum(given) > 1:
        from reasonrec_core.errors import ConfigError

        raise ConfigError(f"the {what} are given in more than one way", where=f"--{what}", fix="Use one option.")
    if text is not None:
        return [part.strip() for part in text.split(",") if part.strip()]
    if file is not None:
        try:
            return [line for raw in file if (line := raw.rstrip("\r\n"))]
        except UnicodeDecodeError as error:
            from reasonrec_core.errors import DataError

            raise DataError("is not UTF-8 text", where=file.name) from error
    return list(each) or None


def _assumptions(given: tuple[str, ...]) -> dict[str, str]:
    from reasonrec_core.errors import ConfigError

    found: dict[str, str] = {}
    for text in given:
        field, sign, label = (part.strip() for part in text.partition("="))
        if not (field and sign and label):
            raise ConfigError(f"cannot read {text!r}", where="--assume", fix='Write --assume category="Skin Care".')
        if field in found:
            raise ConfigError(f"two labels are assumed for {field!r}", where="--assume", fix="Give one of them.")
        found[field] = label
    return found


def _show(answer: Answer, *, why: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from reasonrec_core.cli.console import note, out, plain

    if answer.unknown:
        note(f"{answer.unknown} unknown item(s) in the history were skipped.")
    if not answer.personalised:
        note("Not personalised: nothing is known of what they did.")
    table = Table("#", "id", "title", "score", box=None, pad_edge=False)
    for position, item in enumerate(answer.items, 1):
        table.add_row(str(position), plain(item.id), plain(item.title), f"{item.score:.4g}")
    if answer.route == "abstain":
        out.print("No answer is given: none is sure enough.")
    elif not answer.items:
        out.print("Nothing is left to recommend: the history holds all that there is.")
    else:
        out.print(table)
    if answer.edited:
        _show_edits(answer.edited)
    if not why:
        return
    who = f"Answered by {answer.by} ({answer.route})" if answer.by else f"Not answered ({answer.route})"
    out.print(f"\n{who}: {plain(answer.reason)}")
    seen = "have learned from all interactions" if answer.models == "final" else "are those that the report is about"
    out.print(f"The {answer.models} models, which {seen}.")
    if answer.confidence is not None:
        out.print(f"Confidence {answer.confidence:.0%} that the next item is among the first {answer.cutoff}.")
    signals = ", ".join(f"{name} {value:.2f}" for name, value in answer.uncertainty.items())
    if answer.edited:
        out.print("Confidence and uncertainty are not stated: they were calibrated on answers without edits.")
    else:
        out.print(f"Uncertainty: {signals or 'not estimated'}.")
    for step in answer.steps:
        mark = (" (edited)", "yellow") if step.edited else ""
        out.print(Text.assemble("\n", (step.kind, "bold"), mark, f" {plain(step.claim)}"))
        evidence = [answer.history[e][1] if isinstance(e, int) else e for e in step.evidence]
        if evidence:
            out.print(f"  because of: {plain('; '.join(evidence))}")
        for claim, weight in step.alternatives[:5]:
            out.print(f"  {weight:5.1%}  {plain(claim)}")
    out.print(f"\n{answer.seconds * 1000:.1f} ms")


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
