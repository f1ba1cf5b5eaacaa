"""``reasonrec recommend``: one request to a finished run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reasonrec_core.pipeline.serve import Answer

EPILOG = """\b
Examples:
  reasonrec recommend runs/movielens --user 42 --why
  reasonrec recommend runs/movielens --history 50,172,181 --k 5
  reasonrec recommend runs/movielens --history 50,172 --candidates 1,2,3 --json
"""


@click.command("recommend", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--user", metavar="ID", help="A user of the data set; their whole log is the history.")
@click.option("--history", metavar="A,B,C", help="Item ids, oldest first, separated by commas.")
@click.option("--candidates", metavar="A,B,C", help="Rank these items (task direct) instead of the catalogue.")
@click.option("--k", default=10, show_default=True, help="How many items.")
@click.option("--task", type=click.Choice(["sequential", "direct"]), help="Told by --candidates if not given.")
@click.option("--why", is_flag=True, help="Show the steps, the confidence and the route.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recommend_command(
    run: Path,
    user: str | None,
    history: str | None,
    candidates: str | None,
    k: int,
    task: str | None,
    why: bool,
    as_json: bool,
) -> None:
    """Recommend items from a finished RUN, with raw ids and titles."""
    from reasonrec_core.pipeline.serve import Recommender
    from reasonrec_core.types import Task

    answer = Recommender.open(run).recommend(
        user=user,
        history=_ids(history),
        candidates=_ids(candidates),
        k=k,
        task=Task(task) if task else None,
    )
    if as_json:
        whole = asdict(answer)
        kept = whole if why else {"items": whole["items"], "unknown": whole["unknown"]}
        click.echo(json.dumps(kept, indent=2, ensure_ascii=False))
    else:
        _show(answer, why=why)


def _ids(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _show(answer: Answer, *, why: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from reasonrec_core.cli.console import note, out, plain

    if answer.unknown:
        note(f"{answer.unknown} unknown item(s) in the history were skipped.")
    table = Table("#", "id", "title", "score", box=None, pad_edge=False)
    for position, item in enumerate(answer.items, 1):
        table.add_row(str(position), plain(item.id), plain(item.title), f"{item.score:.4g}")
    out.print(table)
    if not why:
        return
    out.print(f"\nAnswered by {answer.by} ({answer.route}): {plain(answer.reason)}")
    if answer.confidence is not None:
        out.print(f"Confidence {answer.confidence:.0%} that the next item is among the first {answer.cutoff}.")
    signals = ", ".join(f"{name} {value:.2f}" for name, value in answer.uncertainty.items())
    out.print(f"Uncertainty: {signals or 'not estimated'}.")
    for step in answer.steps:
        out.print(Text.assemble("\n", (step.kind, "bold"), f" {plain(step.claim)}"))
        evidence = [answer.history[e][1] if isinstance(e, int) else e for e in step.evidence]
        if evidence:
            out.print(f"  because of: {plain('; '.join(evidence))}")
        for claim, weight in step.alternatives[:5]:
            out.print(f"  {weight:5.1%}  {plain(claim)}")
    out.print(f"\n{answer.seconds * 1000:.1f} ms")
