"""The frozen value objects that flow through a pipeline.

Shapes: ``B`` queries in a batch, ``K`` ranked items, ``C`` candidates, ``n_items`` items in the catalogue.
Items and users are dense indices here; string ids exist only at public borders (`Dataset`, the command line).
"""

from reasonrec_core.types.answer import Action, Cost, Deliberation, Observation, Ranking, Route, Uncertainty
from reasonrec_core.types.arrays import Bool, Float32, Float64, Int32, Int64, Progress, indptr_of
from reasonrec_core.types.edits import NO_EDITS, Edits
from reasonrec_core.types.log import History, Interactions
from reasonrec_core.types.query import Cases, QueryBatch, Task
from reasonrec_core.types.reviews import Reviews, Texts
from reasonrec_core.types.steps import LazySteps, Step, StepKind

__all__ = [
    "NO_EDITS",
    "Action",
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
    "indptr_of",
]
