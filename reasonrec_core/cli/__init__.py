"""The command line, a file per verb family, imported when called.

This module offers the verbs of the core through the hook that plugins use: where each command is, and its line in
``reasonrec --help``. Nothing is imported to read it.
"""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl

VERBS = {
    "run": ("reasonrec_core.cli.run:run_command", "Fit, calibrate and evaluate a pipeline; write report and metrics."),
    "fit": ("reasonrec_core.cli.run:fit_command", "Fit and calibrate a pipeline, without evaluating it."),
    "evaluate": ("reasonrec_core.cli.run:evaluate_command", "Evaluate a fitted run on its test part."),
    "trace": ("reasonrec_core.cli.main:trace_group", "Read the decisions of a run, summarise them, or replay them."),
    "data": ("reasonrec_core.cli.main:data_group", "Import, describe, split, check, download or generate data."),
    "plugins": ("reasonrec_core.cli.plugins:plugins_group", "List plugins, explain one, or start your own."),
}
"""Where each verb of the core is, and its line of help."""
FIRST = ("quickstart", "run", "fit", "evaluate", "report", "recommend", "similar", "final", "serve", "mcp", "data")
"""The verbs that help lists first, whoever brings them."""


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The verbs of the core."""
    return [CommandSpec(name, target, summary) for name, (target, summary) in VERBS.items()]
