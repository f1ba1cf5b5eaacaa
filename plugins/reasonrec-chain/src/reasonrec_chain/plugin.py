"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_policies() -> list[ComponentSpec]:
    """The policy."""
    return [
        ComponentSpec(
            "chain",
            "reasonrec_chain.policy:Chain",
            "Trained, editable steps: infer what is wanted, let experts propose, weigh them, decide",
            ("sequential", "direct"),
        )
    ]
