"""The frozen value objects that flow through a pipeline.

Shapes: ``B`` queries in a batch, ``K`` ranked items, ``C`` candidates, ``n_items`` items in the catalogue.
Items and users are dense indices here; string ids exist only at public borders (`Dataset`, the command line).
"""

from reasonrec_core.types.answer import (
    CONSULT,
    NO_EDITS,
    ROUTED,
    Cost,
    Deliberation,
    Edits,
    LazySteps,
    Observation,
    Ranking,
    Route,
    Step,
    StepKind,
    Uncertainty,
)
from reasonrec_core.types.log import (
    Bool,
    Float32,
    Float64,
    History,
    Int32,
    Int64,
    Interactions,
    Progress,
    Reviews,
    Texts,
    concatenate_ranges,
    indptr_of,
    mix_bits,
    mix_to_unit,
    no_progress,
)
from reasonrec_core.types.query import Cases, QueryBatch, Task

__all__ = [
    "CONSULT",
    "NO_EDITS",
    "ROUTED",
    "Bool",
    "Cases",
    "Cost",
    "Deliberation",
    "Edits",
    "Float32",
    "Float64",
    "History",
    "Int32",
    "Int64",
    "Interactions",
    "LazySteps",
    "Observation",
    "Progress",
    "QueryBatch",
    "Ranking",
    "Reviews",
    "Route",
    "Step",
    "StepKind",
    "Task",
    "Texts",
    "Uncertainty",
    "concatenate_ranges",
    "indptr_of",
    "mix_bits",
    "mix_to_unit",
    "no_progress",
]
