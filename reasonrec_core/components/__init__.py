"""What a plugin implements: `Encoder`, `ReasoningPolicy` (or `EditablePolicy`), `UncertaintyEstimator`, `Delegate`,
`DataSource`, `Splitter`, `Reporter`, or the record `MetricInfo`. Routers are in `reasonrec_core.routing`.

A policy may offer more: `DistributionPolicy` (how likely every item is), `StochasticPolicy` (answers of several drawn
networks), `ConsultingPolicy` (deciding again with delegates' answers in view); a delegate, too: `VectorDelegate` (its
scores are inner products), `FeedbackDelegate` (it learns from what is chosen of shown lists); both: `RequestMemory`
(it keeps something of requests). Every component has a pydantic ``Config``; one that learns does so in ``fit``, and is
saved to a folder and loaded from it. Arrays cross the border as numpy. A component never sees test data.
"""

from reasonrec_core.components.attribution import leave_entries_out as leave_entries_out
from reasonrec_core.components.attribution import share_contributions as share_contributions
from reasonrec_core.components.attribution import share_links as share_links
from reasonrec_core.components.attribution import standardise as standardise
from reasonrec_core.components.base import ChoosesOnValidation as ChoosesOnValidation
from reasonrec_core.components.base import Component as Component
from reasonrec_core.components.base import Configured as Configured
from reasonrec_core.components.base import Empty as Empty
from reasonrec_core.components.base import FitData as FitData
from reasonrec_core.components.base import Settings as Settings
from reasonrec_core.components.base import WithoutValidation as WithoutValidation
from reasonrec_core.components.models import ConsultingPolicy as ConsultingPolicy
from reasonrec_core.components.models import Delegate as Delegate
from reasonrec_core.components.models import DistributionPolicy as DistributionPolicy
from reasonrec_core.components.models import EditablePolicy as EditablePolicy
from reasonrec_core.components.models import Encoder as Encoder
from reasonrec_core.components.models import FeedbackDelegate as FeedbackDelegate
from reasonrec_core.components.models import ItemInput as ItemInput
from reasonrec_core.components.models import ItemReader as ItemReader
from reasonrec_core.components.models import ReasoningPolicy as ReasoningPolicy
from reasonrec_core.components.models import RequestMemory as RequestMemory
from reasonrec_core.components.models import StochasticPolicy as StochasticPolicy
from reasonrec_core.components.models import UncertaintyEstimator as UncertaintyEstimator
from reasonrec_core.components.models import VectorDelegate as VectorDelegate
from reasonrec_core.components.models import pick_candidates as pick_candidates
from reasonrec_core.components.study import DataSource as DataSource
from reasonrec_core.components.study import ImportRequest as ImportRequest
from reasonrec_core.components.study import MetricInfo as MetricInfo
from reasonrec_core.components.study import Reporter as Reporter
from reasonrec_core.components.study import RequestWatcher as RequestWatcher
from reasonrec_core.components.study import Splitter as Splitter
from reasonrec_core.components.study import SplitterSettings as SplitterSettings
from reasonrec_core.hookspecs import Kind as Kind
