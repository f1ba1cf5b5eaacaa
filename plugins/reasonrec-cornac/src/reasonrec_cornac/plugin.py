"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """One delegate for all of Cornac's models of users and items."""
    summary = "One of Cornac's models of users and items, by name"
    return [ComponentSpec("cornac", "reasonrec_cornac.delegate:CornacDelegate", summary, ("sequential", "direct"))]
