"""A command group whose commands are names until one is called, so that ``--help`` imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from reasonrec_core.cli.options import with_common_options
from reasonrec_core.errors import PluginError, did_you_mean


class LazyGroup(click.Group):
    """A group with a table of commands.

    Args:
        commands_table: ``{name: ("package.module:attribute", "one line for --help")}``.
    """

    def __init__(self, *args: Any, commands_table: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_table = dict(commands_table or {})

    def table(self) -> Mapping[str, tuple[str, str]]:
        """All lazy commands. Override to add some that must be looked for."""
        return self.commands_table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The table's order, then commands that were added in the ordinary way."""
        table = self.table()
        return [*table, *(name for name in super().list_commands(ctx) if name not in table)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.commands:
            entry = self.commands_table.get(cmd_name) or self.table().get(cmd_name)
            if entry is None:
                return None
            self.commands[cmd_name] = self.load(cmd_name, entry[0])
        return self.commands[cmd_name]

    def load(self, name: str, target: str) -> click.Command:
        """Import the command behind ``package.module:attribute``."""
        from importlib import import_module

        module, _, attribute = target.partition(":")
        command = getattr(import_module(module), attribute, None)
        if not isinstance(command, click.Command):
            raise PluginError(f"{target} is not a click command", where=f"command {name!r}")
        return with_common_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is a usage error that names the nearest."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}. {did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table's help lines; nothing is imported."""
        rows = [(name, line) for name, (_, line) in self.table().items()]
        rows += [
            (name, command.get_short_help_str(100))
            for name, command in sorted(self.commands.items())
            if name not in self.table() and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names and help lines from the table, without importing the commands."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(n, help=line) for n, (_, line) in self.table().items() if n.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]
