"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_routers() -> list[ComponentSpec]:
    """All routers."""
    package = "reasonrec_routers"
    return [
        ComponentSpec(
            "threshold",
            f"{package}.threshold:ThresholdRouter",
            "One delegate answers when the estimators expect it to be better",
        ),
        ComponentSpec(
            "deferral",
            f"{package}.deferral:DeferralRouter",
            "Learns how much each delegate would gain, from the history and the delegates' answers",
        ),
        ComponentSpec(
            "cascade",
            f"{package}.cascade:CascadeRouter",
            "Asks delegates, cheapest first, until an answer is good enough; otherwise the policy answers",
        ),
        ComponentSpec(
            "risk-control",
            f"{package}.risk_control:RiskControlRouter",
            "Like deferral, but keeps the expected loss below `risk` (conformal risk control)",
        ),
    ]


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """A level of a cascade that is a policy itself."""
    target = "reasonrec_routers.policy_delegate:PolicyDelegate"
    return [ComponentSpec("policy", target, "Another policy as a delegate: a cheaper level", RANKING)]


@hookimpl
def reasonrec_uncertainty() -> list[ComponentSpec]:
    """Estimators that are read off an answer, or off the length of a history."""
    module = "reasonrec_routers.uncertainty"
    return [
        ComponentSpec("evidence-horizon", f"{module}:EvidenceHorizon", "How little is known about the user", RANKING),
        ComponentSpec("entropy", f"{module}:Entropy", "Entropy of the policy's distribution over items", RANKING),
        ComponentSpec("margin", f"{module}:Margin", "How close the second-best item is to the best", RANKING),
        ComponentSpec(
            "stated-confidence", f"{module}:StatedConfidence", "1 minus the confidence that the policy states", RANKING
        ),
    ]
