"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import CommandSpec, ComponentSpec, hookimpl


@hookimpl
def reasonrec_policies() -> list[ComponentSpec]:
    """The policy."""
    return [
        ComponentSpec(
            "cot",
            "reasonrec_cot.policy:Cot",
            "A language model that reasons in words and answers only with items that exist",
            ("sequential", "direct", "ctr", "explain"),
        )
    ]


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The policy without its language model."""
    return [
        ComponentSpec(
            "cot-fusion",
            "reasonrec_cot.fusion_delegate:CotFusion",
            "The delegates that the policy cot asks, weighed as it weighs them, without its language model",
            ("sequential", "direct"),
        )
    ]


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """The estimator."""
    return [
        ComponentSpec(
            "exit-depth",
            "reasonrec_cot.exit_depth:ExitDepth",
            "Share of the layers that the policy cot needs until its yes or no about the answer stands",
            ("sequential", "direct"),
        )
    ]


@hookimpl
def reasonrec_commands() -> list[CommandSpec]:
    """Tuning."""
    return [CommandSpec("tune", "reasonrec_cot.tuning.command:tune", "Tune the language model of a pipeline.")]
