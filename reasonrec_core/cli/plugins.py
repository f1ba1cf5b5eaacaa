"""``reasonrec plugins``: the group; what lists and explains comes with reasonrec-doctor."""

from __future__ import annotations

import click

from reasonrec_core.cli.main import LazyGroup
from reasonrec_core.errors import PluginError

COMMANDS = {"new": ("reasonrec_core.testing.scaffold:new_command", "Start a plugin of your own: a package with tests.")}
EPILOG = """\b
Examples:
  reasonrec plugins
  reasonrec plugins list --kind delegate
  reasonrec plugins --json | jq '.[] | select(.kind == "delegate") | .name'
  reasonrec plugins info transitions
  reasonrec plugins new delegate my-model
  REASONREC_DISABLE_PLUGINS=reasonrec-timm reasonrec plugins
"""


@click.group(
    "plugins", cls=LazyGroup, group="plugins", commands_table=COMMANDS, invoke_without_command=True, epilog=EPILOG
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def plugins_group(context: click.Context, as_json: bool) -> None:
    """List plugins, explain one, or start your own. Without a subcommand they are listed.

    \b
    Environment, each a comma-separated list of distributions or a switch:
      REASONREC_LOAD_PLUGINS      load these only (and the core)
      REASONREC_DISABLE_PLUGINS   do not load these
      REASONREC_STRICT_PLUGINS=1  a broken plugin is an error
    """
    if context.invoked_subcommand is not None:
        return
    assert isinstance(context.command, click.Group)
    listing = context.command.get_command(context, "list")
    if listing is None:
        raise PluginError("the package that lists plugins is not installed", fix="pip install reasonrec-doctor")
    context.invoke(listing, as_json=as_json)
