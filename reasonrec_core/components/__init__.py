"""What a plugin implements: `Encoder`, `ReasoningPolicy` (or `EditablePolicy`), `UncertaintyEstimator`, `Delegate`,
`DataSource`, `Splitter`, `Reporter`, or the record `MetricInfo`. Routers are in `reasonrec_core.routing`.

A policy may offer more: `DistributionPolicy` (how likely every item is), `StochasticPolicy` (answers of several drawn
networks), `ConsultingPolicy` (deciding again with delegates' answers in view). Every component has a pydantic
``Config``; one that learns does so in ``fit``, and can be saved to a folder and loaded from it. Arrays cross the
border as numpy. A component never sees test data.
"""

from reasonrec_core.components.base import Component, Configured, Empty, FitData, Settings
from reasonrec_core.components.models import (
    ConsultingPolicy,
    Delegate,
    DistributionPolicy,
    EditablePolicy,
    Encoder,
    ItemInput,
    ReasoningPolicy,
    StochasticPolicy,
    UncertaintyEstimator,
    pick_candidates,
)
from reasonrec_core.components.study import (
    DataSource,
    ImportRequest,
    MetricInfo,
    Reporter,
    RequestWatcher,
    Splitter,
    SplitterSettings,
)
from reasonrec_core.hookspecs import Kind

__all__ = [
    "Component",
    "Configured",
    "ConsultingPolicy",
    "DataSource",
    "Delegate",
    "DistributionPolicy",
    "EditablePolicy",
    "Empty",
    "Encoder",
    "FitData",
    "ImportRequest",
    "ItemInput",
    "Kind",
    "MetricInfo",
    "ReasoningPolicy",
    "Reporter",
    "RequestWatcher",
    "Settings",
    "Splitter",
    "SplitterSettings",
    "StochasticPolicy",
    "UncertaintyEstimator",
    "pick_candidates",
]
