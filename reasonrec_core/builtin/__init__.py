"""The components that come with the core, registered through the same hooks as any plugin's."""

from __future__ import annotations

from reasonrec_core.hookspecs import ComponentSpec, hookimpl

RANKING = ("sequential", "direct")


@hookimpl
def reasonrec_delegates() -> list[ComponentSpec]:
    """The delegates of the core."""
    module = "reasonrec_core.builtin"
    return [ComponentSpec("popularity", f"{module}.popularity:Popularity", "The most popular items", RANKING)]


@hookimpl
def reasonrec_splitters() -> list[ComponentSpec]:
    """The splitter of the core."""
    summary = "per user: last = test, the one before = validation"
    return [ComponentSpec("leave-one-out", "reasonrec_core.builtin.leave_one_out:LeaveOneOut", summary)]


@hookimpl
def reasonrec_metrics() -> list[ComponentSpec]:
    """The metrics of the core."""
    ranking, clicks = "reasonrec_core.evaluate.ranking_metrics", "reasonrec_core.evaluate.ctr_metrics"
    return [
        ComponentSpec("ndcg", f"{ranking}:NDCG", "Discounted gain of the relevant items", RANKING),
        ComponentSpec("hr", f"{ranking}:HR", "Share of requests with a relevant item among the first k", RANKING),
        ComponentSpec("mrr", f"{ranking}:MRR", "1 / rank of the first relevant item", RANKING),
        ComponentSpec("recall", f"{ranking}:RECALL", "Share of the relevant items among the first k", RANKING),
        ComponentSpec("precision", f"{ranking}:PRECISION", "Share of the first k that is relevant", RANKING),
        ComponentSpec("map", f"{ranking}:MAP", "Mean average precision over the first k", RANKING),
        ComponentSpec("coverage", f"{ranking}:COVERAGE", "Share of the catalogue that is recommended at all", RANKING),
        ComponentSpec("novelty", f"{ranking}:NOVELTY", "How rare the recommended items are", RANKING),
        ComponentSpec("popularity", f"{ranking}:POPULARITY", "How popular the recommended items are", RANKING),
        ComponentSpec("auc", f"{clicks}:AUC", "Probability that a click is ranked above a non-click", ("ctr",)),
        ComponentSpec("uauc", f"{clicks}:UAUC", "AUC within each user, averaged over users", ("ctr",)),
        ComponentSpec("gauc", f"{clicks}:GAUC", "AUC within each user, averaged over rows", ("ctr",)),
        ComponentSpec("logloss", f"{clicks}:LOG_LOSS", "Mean negative log-likelihood of the clicks", ("ctr",)),
        ComponentSpec("brier", f"{clicks}:BRIER", "Mean squared difference between probability and outcome", ("ctr",)),
        ComponentSpec("ece", f"{clicks}:ECE", "Calibration error over bins of equal width", ("ctr",)),
        ComponentSpec("ece-mass", f"{clicks}:ECE_MASS", "Calibration error over bins of equal mass", ("ctr",)),
    ]
