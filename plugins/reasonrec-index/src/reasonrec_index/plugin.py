"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The delegate."""
    summary = "Another delegate, its answers found by an index of approximate nearest neighbours (faiss)"
    return [ComponentSpec("ann-index", "reasonrec_index.delegate:AnnIndex", summary, ("sequential", "direct"))]
