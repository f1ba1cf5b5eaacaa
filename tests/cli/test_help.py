"""``-h`` after every command that is installed."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.testing import CliRunner

from reasonrec_core.cli.main import cli


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group below, as it is typed."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, (*path, name)
            yield from walk(found, (*path, name))


def test_every_command_explains_itself_by_both_options() -> None:
    paths = [*walk(cli)]
    assert {(), ("run",), ("plugins", "info"), ("data", "import")} <= {*paths}
    for path in paths:
        short, long = (CliRunner().invoke(cli, [*path, option]) for option in ("-h", "--help"))
        assert short.exit_code == 0, (path, short.output)
        assert short.output.startswith("Usage:"), path
        assert short.output == long.output, path
