"""What this distribution offers; read whenever plugins are listed, so it imports nothing heavy."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, hookimpl


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """The verbs that answer, and the one that lets what answers learn from everything."""
    once, server = "reasonrec_serve.recommend_command:recommend_command", "reasonrec_serve.serve_command:serve_command"
    final = "reasonrec_serve.final_command:final_command"
    return [
        CommandSpec("recommend", once, "Recommend to a user or a history, and say why."),
        CommandSpec(
            "similar", "reasonrec_serve.similar_command:similar_command", "Show items that are similar to an item."
        ),
        CommandSpec("serve", server, "Answer requests over HTTP."),
        CommandSpec("final", final, "Fit a run again to all data, for serving."),
    ]
