"""``reasonrec mcp``: a finished run as tools of an assistant."""

from __future__ import annotations

import sys
from pathlib import Path

import click

EPILOG = """\b
The assistant starts this command. Most assistants read it from a settings file like this:
  {"mcpServers": {"shop": {"command": "/path/to/reasonrec", "args": ["mcp", "/path/to/runs/shop"]}}}
"""


@click.command("mcp", epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--models",
    type=click.Choice(["final", "evaluated"]),
    help="Which models answer: those of `reasonrec final`, or those that the report is about.  "
    "[default: final if there are any]",
)
@click.option(
    "--store",
    default="",
    envvar="REASONREC_STORE",
    metavar="URL",
    help="Where `reasonrec serve` stores events, which count in histories: a path, redis://, postgresql://, or none.  "
    "[default: RUN.events.sqlite, if it exists]",
)
def mcp_command(run: Path, models: str | None, store: str) -> None:
    """Let an assistant ask a finished RUN, by the Model Context Protocol over standard input and output.

    Its tools recommend, find similar items, explain, look up, and answer under an assumption; none of them changes
    anything.
    """
    from reasonrec_core.cli.console import note
    from reasonrec_mcp.tools import Tools

    tools = Tools.open(run, models, store)
    from reasonrec_mcp.server import serve  # takes a second; what is wrong with the run is said before

    if sys.stdin.isatty():
        note("Waiting for an assistant on standard input. It should start this command itself. Stop it with Ctrl+C.")
    serve(tools)
