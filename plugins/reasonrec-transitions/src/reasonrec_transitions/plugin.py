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
            "Counts which item follows which, with less weight for greater distances",
            ("sequential", "direct"),
        )
    ]
