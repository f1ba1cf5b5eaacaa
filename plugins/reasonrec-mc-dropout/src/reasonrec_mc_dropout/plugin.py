"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """The estimator."""
    return [
        ComponentSpec(
            "mc-dropout",
            "reasonrec_mc_dropout.estimator:MCDropout",
            "Entropy over several passes (dropout or ensemble), split into aleatoric and epistemic",
            ("sequential", "direct"),
        )
    ]
