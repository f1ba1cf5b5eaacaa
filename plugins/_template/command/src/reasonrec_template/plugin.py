"""What this plugin offers; read for every ``reasonrec --help``, so nothing heavy is imported here."""

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The command ``reasonrec template``."""
    return [
        CommandSpec("template", "reasonrec_template.command:template", "Print the most popular items of a dataset.")
    ]
