"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The verb that lets an assistant ask."""
    return [CommandSpec("mcp", "reasonrec_mcp.mcp_command:mcp_command", "Let an assistant ask a run (MCP).")]
