"""The components that come with the core, registered through the same hooks as any plugin's."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """The uncertainty estimators of the core."""
    module = "reasonrec_core.builtin.uncertainty"
    return [
        ComponentSpec("evidence-horizon", f"{module}:EvidenceHorizon", "How little is known about the user", RANKING),
        ComponentSpec("entropy", f"{module}:Entropy", "Entropy of the policy's distribution over items", RANKING),
        ComponentSpec("margin", f"{module}:Margin", "How close the second-best item is to the best", RANKING),
        ComponentSpec(
            "stated-confidence", f"{module}:StatedConfidence", "1 less the confidence that the policy states", RANKING
        ),
    ]


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The delegates of the core."""
    module = "reasonrec_core.builtin"
    return [
        ComponentSpec("popularity", f"{module}.popularity:Popularity", "The most popular items", RANKING),
        ComponentSpec(
            "transitions",
            f"{module}.transitions:Transitions",
            "Directed, decayed item-to-item transitions in sparse arrays",
            RANKING,
        ),
    ]
