"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The two delegates."""
    return [
        ComponentSpec(
            "lightgbm-ctr",
            "reasonrec_lightgbm.ctr:LightGBMCTR",
            "Click probability by boosted trees, from user, item, time, context, history and content",
            ("ctr",),
        ),
        ComponentSpec(
            "lightgbm-rank",
            "reasonrec_lightgbm.rank:LightGBMRank",
            "Ranks the candidates of other delegates again (LambdaRank)",
            ("sequential", "direct"),
        ),
    ]
