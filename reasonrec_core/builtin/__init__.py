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


@hookimpl
def reasonrec_data_sources() -> list[ComponentSpec]:
    """The data sources of the core."""
    summary = "interactions.{csv,csv.gz,tsv,parquet,arrow}, with items.*, users.* and images/ beside it"
    return [ComponentSpec("tables", "reasonrec_core.data.tables:TablesSource", summary)]


@hookimpl
def reasonrec_splitters() -> list[ComponentSpec]:
    """The splitters of the core."""
    module = "reasonrec_core.data.splitters"
    return [
        ComponentSpec("leave-one-out", f"{module}:LeaveOneOut", "per user: last = test, the one before = validation"),
        ComponentSpec("temporal", f"{module}:Temporal", "one moment for everybody; targets are all that came after it"),
        ComponentSpec("ratio", f"{module}:Ratio", "per user: the last shares of the sequence"),
        ComponentSpec("cold-item", f"{module}:ColdItem", "whole items are held out; only their content leads to them"),
        ComponentSpec("predefined", f"{module}:Predefined", "parts that came with the data; labels: a click task"),
    ]
