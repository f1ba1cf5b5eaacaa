"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Explanations next to their baselines."""
    summary = "Evaluate explanations and their baselines on data with reviews."
    return [CommandSpec("explanations", "reasonrec_explain.command:explanations", summary)]
