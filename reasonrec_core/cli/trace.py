"""The group ``reasonrec trace``: its verbs are names until one is called."""

from __future__ import annotations

from reasonrec_core.cli.lazy import LazyGroup

COMMANDS = {
    "show": ("reasonrec_core.cli.trace_show:show_command", "Show single decisions: request, answer, steps, reasons."),
    "stats": ("reasonrec_core.cli.trace_stats:stats_command", "Who answered, why, how sure, how well, at what price."),
    "replay": ("reasonrec_core.cli.trace_replay:replay_command", "Decide again under another budget or router."),
}

trace_group = LazyGroup(
    name="trace",
    commands_table=COMMANDS,
    no_args_is_help=True,
    help="""Read the decisions of a run, sum them up, or replay them under another budget or router.

    \b
    Examples:
      reasonrec trace show runs/movielens --route replace
      reasonrec trace stats runs/movielens
      reasonrec trace replay runs/movielens --share 0.5
    """,
)
