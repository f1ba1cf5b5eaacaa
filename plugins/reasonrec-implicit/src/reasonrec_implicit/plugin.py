"""What this plugin offers; importing it imports no library."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The three delegates."""
    return [
        ComponentSpec(
            "implicit-als", "reasonrec_implicit.als:ALS", "Matrix factorisation by alternating least squares", RANKING
        ),
        ComponentSpec(
            "implicit-bpr",
            "reasonrec_implicit.bpr:BPR",
            "Matrix factorisation by Bayesian personalised ranking",
            RANKING,
        ),
        ComponentSpec(
            "implicit-itemknn", "reasonrec_implicit.itemknn:ItemKNN", "Nearest neighbours among items", RANKING
        ),
    ]
