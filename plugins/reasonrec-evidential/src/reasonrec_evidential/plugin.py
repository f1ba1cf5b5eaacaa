"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """The estimator."""
    return [
        ComponentSpec(
            "evidential",
            "reasonrec_evidential.estimator:Evidential",
            "Probability that the target is not among the best, learned with a Dirichlet; vacuity is the "
            "epistemic part",
            ("sequential", "direct"),
        )
    ]
