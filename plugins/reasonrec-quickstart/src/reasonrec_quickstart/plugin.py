"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The verb that begins."""
    target = "reasonrec_quickstart.quickstart_command:quickstart_command"
    return [CommandSpec("quickstart", target, "Look at data, write a pipeline file for it, and run it.")]
