"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl


@hookimpl
def reasonrec_reporters() -> list[ComponentSpec]:
    """Faithfulness of a policy's steps."""
    summary = "Edits the policy's steps to see whether they cause its answers"
    return [ComponentSpec("faithfulness", "reasonrec_explain.reporter:FaithfulnessReporter", summary)]


@hookimpl
def reasonrec_metrics() -> list[ComponentSpec]:
    """What explanations are measured by."""
    explained = "reasonrec_explain.metric_info"
    return [
        ComponentSpec("rouge-l", f"{explained}:ROUGE_L", "Longest common word sequence with a review", ("explain",)),
        ComponentSpec("bleu-4", f"{explained}:BLEU_4", "Runs of words shared with the users' reviews", ("explain",)),
        ComponentSpec("verified", f"{explained}:VERIFIED", "Share of claims that the evidence confirms", ("explain",)),
    ]


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Explanations next to their baselines."""
    summary = "Evaluate explanations and their baselines on data with reviews."
    return [CommandSpec("explanations", "reasonrec_explain.command:explanations", summary)]
