"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The delegate `transitions`."""
    return [
        ComponentSpec(
            "transitions",
            "reasonrec_transitions.delegate:Transitions",
            "Directed, decayed item-to-item transitions in sparse arrays",
            ("sequential", "direct"),
        )
    ]
