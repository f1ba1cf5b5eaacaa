"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Verbs of the groups ``data`` and ``plugins``, and what a shell needs to complete them."""
    return [
        CommandSpec(
            "data describe",
            "reasonrec_doctor.describe_command:describe_command",
            "Say what is in a dataset or in raw data.",
        ),
        CommandSpec(
            "data check",
            "reasonrec_doctor.check_command:check_command",
            "Look for leaks and defects (the leakage doctor).",
        ),
        CommandSpec("plugins list", "reasonrec_doctor.list_command:list_command", "List what is installed, by kind."),
        CommandSpec(
            "completion",
            "reasonrec_doctor.completion_command:completion_command",
            "Print the completion script of a shell.",
        ),
        CommandSpec(
            "plugins info",
            "reasonrec_doctor.info_command:info_command",
            "Explain a component: settings, source, weights.",
        ),
    ]
