"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl


@hookimpl
def reasonrec_reporters() -> list[ComponentSpec]:
    """The trace of a run, and of requests."""
    summary = "One row per decision: what was asked and answered, by whom, why, how sure and at what cost"
    return [ComponentSpec("trace", "reasonrec_trace.reporter:TraceReporter", summary)]


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Verbs of the group ``trace``."""
    return [
        CommandSpec(
            "trace show",
            "reasonrec_trace.show_command:show_command",
            "Show decisions one by one: request, answer, steps, reasons.",
        ),
        CommandSpec(
            "trace stats",
            "reasonrec_trace.stats_command:stats_command",
            "Summarise who answered, why, how sure, how well and at what cost.",
        ),
        CommandSpec(
            "trace replay",
            "reasonrec_trace.replay_command:replay_command",
            "Decide again with another budget or router.",
        ),
    ]
