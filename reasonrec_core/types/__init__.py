"""The frozen value objects that flow through a pipeline.

Shapes: ``B`` queries in a batch, ``K`` ranked items, ``C`` candidates, ``n_items`` items in the catalogue.
Items and users are dense indices here; string ids exist only at public borders (`Dataset`, the command line).
"""

from reasonrec_core.types.answer import CONSULT as CONSULT
from reasonrec_core.types.answer import NO_EDITS as NO_EDITS
from reasonrec_core.types.answer import ROUTED as ROUTED
from reasonrec_core.types.answer import Cost as Cost
from reasonrec_core.types.answer import Deliberation as Deliberation
from reasonrec_core.types.answer import Edits as Edits
from reasonrec_core.types.answer import LazySteps as LazySteps
from reasonrec_core.types.answer import Observation as Observation
from reasonrec_core.types.answer import Ranking as Ranking
from reasonrec_core.types.answer import Route as Route
from reasonrec_core.types.answer import Step as Step
from reasonrec_core.types.answer import StepKind as StepKind
from reasonrec_core.types.answer import Uncertainty as Uncertainty
from reasonrec_core.types.answer import format_digits as format_digits
from reasonrec_core.types.answer import format_percent as format_percent
from reasonrec_core.types.answer import shorten_steps as shorten_steps
from reasonrec_core.types.log import Bool as Bool
from reasonrec_core.types.log import Float32 as Float32
from reasonrec_core.types.log import Float64 as Float64
from reasonrec_core.types.log import History as History
from reasonrec_core.types.log import Int32 as Int32
from reasonrec_core.types.log import Int64 as Int64
from reasonrec_core.types.log import Interactions as Interactions
from reasonrec_core.types.log import Progress as Progress
from reasonrec_core.types.log import Reviews as Reviews
from reasonrec_core.types.log import Texts as Texts
from reasonrec_core.types.log import concatenate_ranges as concatenate_ranges
from reasonrec_core.types.log import indptr_of as indptr_of
from reasonrec_core.types.log import mix_bits as mix_bits
from reasonrec_core.types.log import mix_to_unit as mix_to_unit
from reasonrec_core.types.log import no_progress as no_progress
from reasonrec_core.types.query import Cases as Cases
from reasonrec_core.types.query import QueryBatch as QueryBatch
from reasonrec_core.types.query import Task as Task
