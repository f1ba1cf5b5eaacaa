"""What this plugin offers; read whenever plugins are listed, so nothing heavy is imported here."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_routers() -> list[ComponentSpec]:
    """All routers."""
    package = "reasonrec_routers"
    return [
        ComponentSpec("threshold", f"{package}.threshold:ThresholdRouter", "One delegate, by the estimators"),
        ComponentSpec(
            "deferral",
            f"{package}.deferral:DeferralRouter",
            "An expected gain per delegate, from the history and the delegates' own answers too",
        ),
        ComponentSpec(
            "cascade",
            f"{package}.cascade:CascadeRouter",
            "The cheapest delegate answers; if its answer is not worth it the next one, at last the policy",
        ),
        ComponentSpec(
            "risk-control",
            f"{package}.risk_control:RiskControlRouter",
            "As deferral, as much as keeps the expected loss below `risk` (conformal risk control)",
        ),
    ]
