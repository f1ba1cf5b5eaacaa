"""What a plugin implements: `Encoder`, `ReasoningPolicy` (or `EditablePolicy`), `UncertaintyEstimator`, `Delegate`,
`Router`, `DataSource`, `Splitter`, `Reporter`, or the record `MetricInfo`.

A policy may offer more: `DistributionPolicy` (how likely every item is), `StochasticPolicy` (answers of several drawn
networks). Every component has a pydantic ``Config``; one that learns does so in ``fit``, and can be saved to a folder
and loaded from it. Arrays cross the border as numpy. A component never sees test data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    Self,
    TypeVar,
    runtime_checkable,
)

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reasonrec_core.hookspecs import Kind as Kind
from reasonrec_core.io import read_json, write_json
from reasonrec_core.ranking import rank
from reasonrec_core.types import (
    Cases,
    Deliberation,
    Edits,
    Float32,
    Int32,
    Interactions,
    Observation,
    QueryBatch,
    Ranking,
    Reviews,
    Task,
    Uncertainty,
)

if TYPE_CHECKING:
    from scipy import sparse

    from reasonrec_core.data.cases import Division
    from reasonrec_core.data.catalog import Catalog
    from reasonrec_core.data.column_matching import ColumnMatcher
    from reasonrec_core.data.dataset import Dataset
    from reasonrec_core.data.raw_tables import RawTables
    from reasonrec_core.evaluate.schema import Results


class Settings(BaseModel):
    """Base of every ``Config``: unknown keys are errors, values are checked, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


class Empty(Settings):
    """The config of a component without settings."""


def _no_progress(done: int, total: int, label: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class FitData:
    """All that a component may learn from.

    Attributes:
        catalog: the items: ids, text fields, images, what is missing.
        n_users: users have dense indices below this.
        train: the training interactions.
        valid: validation queries with targets, for early stopping and fitting few parameters; None if there are none.
        observation: item features; ``horizon`` belongs to ``valid``'s queries.
        task: what the component will be asked to do.
        seed: of every random choice.
        delegate: makes a fresh, unfitted delegate that the pipeline names, for components that learn on top of
            others (they must fit it on data that leaves out what they are themselves trained on).
        horizon: evidence horizon of any batch, float32[B].
        progress: called as ``progress(done, total, label)``; cheap to call often.
        workdir: a folder for checkpoints that survives an interruption, or None.
        cache: a folder for what is worth keeping between runs, under names that are content hashes, or None.
        reviews: reads the reviews of the training part, without any that tell of another part; None where the data has
            none. Untrusted text.
    """

    catalog: Catalog
    n_users: int
    train: Interactions
    valid: Cases | None
    observation: Observation
    task: Task = Task.SEQUENTIAL
    seed: int = 0
    delegate: Callable[[str], Delegate[Any]] | None = None
    horizon: Callable[[QueryBatch], Float32] | None = None
    progress: Callable[[int, int, str], None] = _no_progress
    workdir: Path | None = None
    cache: Path | None = None
    user_fields: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    reviews: Callable[[], Reviews] | None = None


C = TypeVar("C", bound=Settings)


class Configured(ABC, Generic[C]):
    """What all kinds share but metrics, which are records: a pydantic ``Config``, and being made from one."""

    Config: ClassVar[type[Settings]] = Empty

    def __init__(self, config: C) -> None:
        self.config = config


class Component(Configured[C]):
    """What encoders, policies, estimators and delegates share: settings, fitting, saving.

    A subclass sets ``Config`` and keeps what it learned in attributes that `save` writes and `load` reads. Only
    safetensors, a library's own text or binary format, ``.npy``/``.npz`` without objects, and JSON: never pickle.

    **A catalogue grows.** Items can be added to a finished run without fitting anything again, so `load` may be given
    a catalogue longer than the one of the fit: its items first, under their old indices, then the new ones. From then
    on histories and candidates may name any item, ``observation.features`` and ``present`` have a row for each, and
    the component answers for all of them: rankings over the whole catalogue, ``float32[B, n_items]`` where scores are
    due. What can see content judges new items by it (by fields of ``catalog`` in `load`, by features when it is
    asked). What cannot puts them last, with the lowest score or -inf, and never fails because of them. Answers about
    old items stay what they were as far as that makes sense for the component. `reasonrec_core.catalog_growth` has the
    padding; the conformance suites check it.
    """

    def fit(self, data: FitData) -> None:
        """Learn from ``data``. The default learns nothing."""

    def save(self, folder: Path) -> None:
        """Write everything needed to act again into ``folder`` (exists, empty). Extend, calling ``super().save``."""
        write_json(folder / "config.json", self.config.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote. Extend: call ``super().load`` and set the learned attributes.

        ``catalog`` may be longer than it was in `fit`; see the class's docstring.
        """
        config = cls.Config.model_validate(read_json(folder / "config.json"))
        return cls(config)  # type: ignore[arg-type]


class ItemInput(NamedTuple):
    """What an encoder of the modality "item" reads of an item; at least one of them is there.

    Attributes:
        image: RGB `PIL.Image.Image`, None where the item has none that can be used.
        text: None where the item has none.
    """

    image: Any
    text: str | None


class Encoder(Component[C]):
    """Turns items into vectors, once per catalogue. The core batches, caches, resumes and memory-maps.

    ``modality`` is the raw input it reads: "text", "image", or "item" for both at once.
    """

    modality: str = "text"

    @abstractmethod
    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, d] for n present inputs.

        Strings for "text", RGB `PIL.Image.Image` for "image", `ItemInput` for "item".
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """What the vectors depend on besides the inputs: a hash of the weights and the settings."""

    @classmethod
    def weights_info(cls, config: Settings) -> Mapping[str, str]:
        """Where the weights for ``config`` come from: ``source``, ``licence``, ``sha256``, ``revision``.

        Found without loading them and without importing a heavy library; `WeightsError` if there are none.
        """
        return {}

    def provenance(self) -> Mapping[str, str]:
        """Where the weights in use came from; by default what `weights_info` says."""
        return self.weights_info(self.config)


class ReasoningPolicy(Component[C]):
    """Answers by explicit steps that the answer is computed from."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SEQUENTIAL, Task.DIRECT})

    thread_safe: ClassVar[bool] = False
    """Whether `deliberate` may run in several threads at once."""

    @abstractmethod
    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """Answer ``batch``. Items of the history are never recommended under `Task.SEQUENTIAL`."""


class EditablePolicy(ReasoningPolicy[C]):
    """A policy whose steps a person can edit, and which says what caused its answers.

    The answer follows from the edited steps by the same computation as from the policy's own. Every answer with a
    ranking states its `Deliberation.mass`, and a step that was edited says so (`Step.edited`).
    """

    @property
    @abstractmethod
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Item fields that can be assumed, each with its labels; empty where items have none."""

    @abstractmethod
    def membership(self, field: str) -> sparse.csr_matrix:
        """float32 CSR[n_items, labels of ``field``]: which items carry which label; a row sums to 1 or is empty."""

    @abstractmethod
    def infer_labels(self, batch: QueryBatch, observation: Observation) -> Mapping[str, Float32]:
        """Per field of `labels` float32[B, its labels], P(label of the next item) as inferred; a row sums to 1."""

    @abstractmethod
    def deliberate(self, batch: QueryBatch, observation: Observation, edits: Edits | None = None) -> Deliberation:
        """Answer ``batch``, from edited steps where they are given."""

    @abstractmethod
    def attribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[L]: how much each history entry spoke for the best item of its query's (unedited) answer.

        Not negative, comparable within a query. The history positions that the last step cites as evidence are
        those with the largest attribution.
        """


@runtime_checkable
class DistributionPolicy(Protocol):
    """A policy that can say how likely every item is, not only the best K."""

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items], or float32[B, C] with candidates: P(next item).

        A row sums to at most 1, and gives every ranked item its `Deliberation.mass`; 0 for what may not be
        recommended (the history under `Task.SEQUENTIAL`, padding). The caller keeps ``B`` small enough for its memory.
        """


@runtime_checkable
class StochasticPolicy(Protocol):
    """A policy that can answer with several drawn networks: dropout left on, or the members of an ensemble."""

    def samples(self, batch: QueryBatch, observation: Observation, items: Int32, passes: int, seed: int) -> Float32:
        """float32[T, B, K]: P(next item) of ``items`` (int32[B, K], -1 pads, 0 there) in each of T passes.

        Pass ``t`` is one network, drawn from ``(seed, t)`` alone and the same for all queries, so that an answer does
        not depend on which other queries are asked. T = ``passes``, or the number of members where only they differ.
        """


@runtime_checkable
class EvidentialPolicy(Protocol):
    """A policy that says on how much evidence it answers."""

    @property
    def evidential(self) -> bool:
        """Whether it was trained to."""

    def evidence(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[B, K + 1]: a Dirichlet's parameters less 1, for ``items`` (as in `samples`) and, last, all others."""


class UncertaintyEstimator(Component[C]):
    """Says how unsure the policy is, before or after it answers."""

    stage: ClassVar[str] = "after"

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the pipeline's fitted policy; called before `fit` and after `load`.

        Override it (and raise `PluginError` for a policy that will not do) where the estimator asks the policy more
        than `estimate` is given. What is learned then belongs to this policy, and is fitted again for another.
        """

    @abstractmethod
    def estimate(self, batch: QueryBatch, observation: Observation, deliberation: Deliberation | None) -> Uncertainty:
        """Float32[B] in [0, 1]. ``deliberation`` is None for, and only for, ``stage == "before"``."""


class Delegate(Component[C]):
    """A cheap classical model that may answer instead of the policy."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.SEQUENTIAL, Task.DIRECT})
    thread_safe: ClassVar[bool] = True
    """Whether `score` and `recommend` may run in several threads at once."""

    def attach(self, policy: ReasoningPolicy[Any]) -> None:
        """Get to know the pipeline's fitted policy; called before `fit` and after `load`.

        Override it (and raise `PluginError` for a policy that will not do) where the delegate answers with parts of
        the policy. It is then fitted after the policy, so that the policy cannot ask it.
        """

    @abstractmethod
    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items], or float32[B, C] where the batch has candidates.

        Any finite number or -inf ("never"); for `Task.CTR` a probability in [0, 1]. The array is the caller's to
        overwrite. History need not be masked here.
        """

    def recommend(self, batch: QueryBatch, observation: Observation) -> Ranking:
        """The ``batch.k`` best, history masked under `Task.SEQUENTIAL`. Override where a faster way exists."""
        return rank(self.score(batch, observation), batch)


class Router(Configured[C]):
    """Decides who answers each request: the policy, a delegate, or both together."""


class DataSource(Configured[C]):
    """Reads data of one layout: says which paths it reads, and makes tables of them."""

    order: ClassVar[float] = 100
    """Sources are asked in ascending order, equal ones by name; the first that matches reads the path."""

    @abstractmethod
    def matches(self, path: Path) -> bool:
        """Whether ``path`` (a file or folder that exists) is what this source reads. Cheap, and True only if sure."""

    @abstractmethod
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The interactions and, where they are there, items and users, under our column names.

        ``columns`` knows the names that users gave and those that people use: `reasonrec_core.data.read_log` and
        `reasonrec_core.data.read_fields` ask it, for files and for Arrow tables in memory.

        Raises:
            DataError: what is wrong, in which file, line and column, and what to do.
        """


class SplitterSettings(Settings):
    """What every splitter's ``Config`` has; extend it."""

    min_history: int = Field(1, ge=0)
    """Queries whose history is shorter are left out and counted."""
    repeats: Literal["drop", "keep"] = "drop"
    """Targets that the query's history already holds: full ranking masks the history, so they cannot be reached."""
    min_value: float | None = None
    """Interactions of a smaller value are no positives: left out of a ranking split, label 0 in a CTR split."""
    negatives: int = Field(99, ge=1)
    """How many candidates are drawn beside the target for the direct task."""
    seed: int = Field(0, ge=0)
    """Of every random choice."""


S = TypeVar("S", bound=SplitterSettings)


class Splitter(Configured[S]):
    """Divides a dataset into what is trained on, tuned on and tested.

    `reasonrec_core.data.make_split` does the rest: it leaves out weak values and unreachable targets, says so, and
    hashes the outcome.
    """

    Config: ClassVar[type[Settings]] = SplitterSettings
    reads_labels: ClassVar[bool] = False
    """Whether ``min_value`` divides labels rather than leaves interactions out; the splitter then does so itself."""

    @abstractmethod
    def divide(self, dataset: Dataset, log: Interactions) -> Division:
        """The part of each row of ``log`` (N rows, sorted by user, oldest first), and the queries with their targets.

        Made of whole arrays from data, settings and seed alone. `reasonrec_core.data.make_user_cases` makes queries.

        Raises:
            DataError: nothing is left for a part, with the numbers that show why.
        """


class Reporter(Configured[C]):
    """Writes what a reader wants to see of a finished run. The same run gives the same files, byte for byte."""

    @abstractmethod
    def write(self, results: Results, run_folder: Path, out: Path) -> Sequence[Path]:
        """Write files into ``out``, each whole or not at all (`reasonrec_core.io.write_text`); gives their paths.

        Args:
            results: ``metrics.json``, checked.
            run_folder: what else the run left (``cards.json``, ``config.toml``...); any of it may be missing. Titles,
                texts and pictures in it are untrusted.
            out: a folder that exists, often the run folder itself.

        Raises:
            RunError: a file of the run is broken.
        """

    def summarise(self, results: Results) -> Sequence[str]:
        """Sentences that a run prints below its table; none by default."""
        return ()


@dataclass(frozen=True)
class MetricInfo:
    """A metric: how it is computed, and what a reader must know about it.

    What ``function`` gives decides how sure it can be: float64[B] (one value per query, NaN where undefined; of clicks
    one per row) and `reasonrec_core.evaluate.Totals` (a function of sums) get an interval and a p-value by resampling
    users; a plain number is what it is. None: it cannot be computed here, e.g. because item counts are not known.

    Attributes:
        name: as tables show it, e.g. ``NDCG``; in lower case it is the name of the component.
        function: of rankings ``function(lists, k)`` with `reasonrec_core.evaluate.RankedLists`, without ``cutoff``
            ``function(lists)``; of clicks ``function(clicks)`` with `reasonrec_core.evaluate.Clicks`; None where a
            policy brings the values (explanations).
        better: which way is better; "neither" for what only describes a system.
        meaning: one line for a reader; ``{k}`` is the cut-off.
        order: its place in tables; smaller first.
        tasks: the tasks it is defined for.
        cutoff: whether it looks at the first k of a list.
        definition: the formula, in Markdown, for the table of definitions.
    """

    name: str
    function: Callable[..., Any] | None
    better: Literal["higher", "lower", "neither"]
    meaning: str
    order: int = 100
    tasks: tuple[str, ...] = ("sequential", "direct")
    cutoff: bool = True
    definition: str = ""


def pick_candidates(scores: Float32, batch: QueryBatch) -> Float32:
    """float32[B, C]: the columns of float32[B, n_items] that the batch's candidates name (-inf for padding)."""
    if batch.candidates is None:
        return scores
    picked = np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
    return np.where(batch.candidates < 0, np.float32(-np.inf), picked)
