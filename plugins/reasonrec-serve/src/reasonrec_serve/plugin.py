"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The verb that answers."""
    target = "reasonrec_serve.recommend_command:recommend_command"
    return [CommandSpec("recommend", target, "Recommend to a user or a history, and say why.")]
