"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """The estimator."""
    return [
        ComponentSpec(
            "conformal",
            "reasonrec_conformal.estimator:Conformal",
            "Size of the conformal set that contains the next item with a given probability (LAC, APS, RAPS)",
            ("sequential", "direct"),
        )
    ]
