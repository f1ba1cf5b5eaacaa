"""``reasonrec trace replay``: the same requests under another budget or router, without running a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reasonrec_core.routing.config import AnyRouterConfig
    from reasonrec_trace.replay import Replay, Side

NBSP, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
EPILOG = """\b
Examples:
  reasonrec trace replay runs/movielens                      # the recorded router: nothing changes
  reasonrec trace replay runs/movielens --share 0.5
  reasonrec trace replay runs/movielens --max-latency 3      # mean milliseconds per request
  reasonrec trace replay runs/movielens --max-loss 0.01      # the largest share that loses at most 1 %
  reasonrec trace replay runs/movielens --router other.toml --json
"""


@click.command("replay", epilog=EPILOG)
@click.argument("trace", type=click.Path(path_type=Path), metavar="TRACE")
@click.option("--share", type=click.FloatRange(0, 1), help="Share of requests that a delegate answers.")
@click.option(
    "--max-latency",
    type=click.FloatRange(0, min_open=True),
    metavar="MS",
    help="Most milliseconds per request on average; the smallest share that keeps it is chosen.",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Largest acceptable relative loss against the policy alone; the largest share that keeps it on "
    "validation requests is chosen.",
)
@click.option(
    "--max-tokens",
    type=click.FloatRange(0),
    metavar="N",
    help="Most language-model tokens per request on average; the smallest share that keeps it is delegated.",
)
@click.option(
    "--router",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A pipeline file, or only its [router], which is calibrated on the trace's validation requests.",
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="A metric to compare, e.g. HR@5. Repeatable.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the intervals. [default: the run's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay_command(
    trace: Path,
    share: float | None,
    max_latency: float | None,
    max_loss: float | None,
    max_tokens: float | None,
    router: Path | None,
    metrics: tuple[str, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Decide the requests of TRACE (a trace or a run folder) again, and compare with the decisions made.

    Signals, quality and cost of every answer come from the trace; no model is run.
    """
    from reasonrec_core.errors import ConfigError
    from reasonrec_trace.reader import open_trace
    from reasonrec_trace.replay import Wanted, replay

    goals = {"--share": share, "--max-latency": max_latency, "--max-loss": max_loss, "--max-tokens": max_tokens}
    given = [name for name, value in goals.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} cannot be combined", where="trace replay", fix="Give one of them.")
    file = open_trace(trace)
    other = None if router is None else load_router(router, has_goal=bool(given))
    wanted = Wanted(other, share, None if max_latency is None else max_latency / 1000, max_loss, max_tokens)
    found = replay(file, wanted, metrics=metrics, seed=seed)
    if as_json:
        from reasonrec_core.cli.console import print_json

        print_json(found.to_dict())
    else:
        _show(found)


def load_router(path: Path, *, has_goal: bool = False) -> AnyRouterConfig:
    """The ``[router]`` of a pipeline file, or of a file that holds nothing else.

    Args:
        path: TOML, YAML or JSON.
        has_goal: whether a budget is given elsewhere, so that the file need not name one.
    """
    from reasonrec_core.config import feed_router
    from reasonrec_core.config_errors import validated
    from reasonrec_core.config_file import read_settings
    from reasonrec_core.errors import ConfigError
    from reasonrec_core.routing.config import GOALS, AnyRouterConfig

    tree = feed_router(read_settings(path)[0])
    table = tree.get("router", tree)
    if not isinstance(table, dict):
        raise ConfigError("the router must be a table of settings", where=f"{path}: router")
    if has_goal and not {*GOALS} & table.keys():
        table = {**table, "share": 0.5}
    return validated(AnyRouterConfig, table, where=f"{path}: router")


def _show(found: Replay) -> None:
    from rich.table import Table

    from reasonrec_core.cli.console import line, out
    from reasonrec_core.types import format_digits, format_percent

    changed = f"{found.changed:,} ({format_percent(found.changed / found.n)}) changed"
    same = changed if found.changed else "all decisions are as recorded"
    to = f"; delegate {line(found.delegate)}" if found.delegate else ""
    out.print(f"{found.n:,} decisions, {same}{to}.")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    for name in ("recorded", "replayed", *(["policy alone"] if found.policy else [])):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"replayed {MINUS} recorded (95{NBSP}% interval)", no_wrap=True)
    sides = [found.recorded, found.replayed, *([found.policy] if found.policy else [])]
    table.add_row("delegated", *(format_percent(side.share, 1) for side in sides), "")
    for row in found.comparisons:
        change, low, high = (_signed(each) for each in (row.difference, row.low, row.high))
        sure = f"{change} ({low} to {high}), p = {row.p_corrected:.2g}"
        values = [side.quality[row.metric] for side in sides]
        table.add_row(line(row.metric), *map(format_digits, values), sure)
    for name, label in (("mean", "ms, mean"), ("p50", "ms, median"), ("p95", "ms, 95th percentile")):
        table.add_row(label, *(_time(side, name) for side in sides), _timed(found) if name == "mean" else "")
    if any(side.tokens for side in sides):
        table.add_row("tokens", *("–" if side.tokens is None else f"{side.tokens:,.0f}" for side in sides), "")
    out.print(table)
    if found.against_policy:
        out.print(f"Compared with the policy alone: {found.against_policy}.")
    if found.goal:
        out.print(_goal(found.goal))


def _signed(value: float) -> str:
    from reasonrec_core.types import format_digits

    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{format_digits(abs(value))}"


def _time(side: Side, name: str) -> str:
    from reasonrec_core.types import format_digits

    return "–" if side.latency is None else format_digits(1000 * side.latency[name])


def _timed(found: Replay) -> str:
    n = found.recorded.latency["n"] if found.recorded.latency else 0
    return f"over {n:,.0f} requests answered one at a time" if n else "nothing was timed"


def _goal(goal: dict[str, Any]) -> str:
    from reasonrec_core.routing.budget import RelativeDifference
    from reasonrec_core.types import format_percent

    valid = RelativeDifference(**goal["validation"])
    share, limit = format_percent(goal["share"]), format_percent(goal["limit"], 1)
    chosen = f"A share of {share} was chosen on validation requests ({valid}; at most {limit} may be lost)"
    if "confirmed" not in goal:
        return f"{chosen}; there are no known targets to confirm it."
    return f"{chosen}; the test requests {'confirm' if goal['confirmed'] else 'do not confirm'} it."
