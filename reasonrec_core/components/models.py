"""What fits and answers: encoders, reasoning policies, estimators of uncertainty, delegates, routers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from reasonrec_core.components.attribution import leave_entries_out
from reasonrec_core.components.base import C, Component, Settings
from reasonrec_core.ranking import rank
from reasonrec_core.types import (
    Deliberation,
    Edits,
    Float32,
    Int32,
    Observation,
    QueryBatch,
    Ranking,
    Task,
    Uncertainty,
)

if TYPE_CHECKING:
    from scipy import sparse

    from reasonrec_core.data.catalog import Catalog


class ItemInput(NamedTuple):
    """What an encoder of the modality "item" reads of an item; at least one of them is there.

    Attributes:
        image: RGB `PIL.Image.Image`, None where the item has none that can be used.
        text: None where the item has none.
    """

    image: Any
    text: str | None


class ItemReader(Protocol):
    """What an encoder reads of the n items of a catalogue, one at a time.

    Attributes:
        keys: S32[n], a hexadecimal hash of what an item has, under which its vector is kept; empty: it has nothing.
        missing: what the items lack if no item has anything, as in "no item has an image".
    """

    missing: str

    @property
    def keys(self) -> npt.NDArray[np.bytes_]:
        """See the class."""

    def load(self, item: int) -> Any:
        """What `Encoder.encode` gets of one item."""

    def size(self, item: int) -> int:
        """How long encoding it takes, relatively: batches are of like ones."""


class Encoder(Component[C]):
    """Turns items into vectors, once per catalogue. The core batches, caches, resumes and memory-maps.

    ``modality`` is the raw input it reads: "text", "image", "item" for both at once, or any other, with `read`.
    """

    modality: str = "text"

    def read(self, catalog: Catalog) -> ItemReader:
        """What there is of ``catalog``'s items (ids, fields, files beside the data) for a modality of its own."""
        raise NotImplementedError(f"unknown modality {self.modality!r}")

    @abstractmethod
    def encode(self, inputs: Sequence[Any]) -> Float32:
        """float32[n, d] for n present inputs.

        Strings for "text", RGB `PIL.Image.Image` for "image", `ItemInput` for "item", else what was read.
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
class ConsultingPolicy(Protocol):
    """A policy that can decide again with the answers of delegates in view, where ``router.consult`` says so."""

    @property
    def consults(self) -> bool:
        """Whether its settings let it; asked before it is fitted."""

    def consult(self, batch: QueryBatch, observation: Observation, answers: Mapping[str, Ranking]) -> Deliberation:
        """Answer ``batch`` (rankings), knowing what delegates, by their labels, answer to the same queries.

        There may be no delegates, and their rows may be padding. What may be recommended is what it is for
        `ReasoningPolicy.deliberate`: a delegate's word lets nothing else in.
        """


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
        """See `UncertaintyEstimator.attach`; overridden, it is fitted after the policy, which then cannot ask it."""

    @abstractmethod
    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items], or float32[B, C] where the batch has candidates.

        Any finite number or -inf ("never"); for `Task.CTR` a probability in [0, 1]. The array is the caller's to
        overwrite. History need not be masked here.
        """

    def recommend(self, batch: QueryBatch, observation: Observation) -> Ranking:
        """The ``batch.k`` best, history masked under `Task.SEQUENTIAL`. Override where a faster way exists."""
        return rank(self.score(batch, observation), batch)

    def attribute(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[L, K]: how much of the reason for each of int32[B, K] ``items`` each history entry is.

        Shares in [0, 1], those of a query's entries in an item sum to at most 1; the rest is what speaks for the item
        whatever the history holds (popularity, what was learned of the user). 0 for padding (-1). With candidates the
        items are among them. Override where the scores are sums over the history (`share_links`).
        """
        return leave_entries_out(self.score, batch, observation, items)


@runtime_checkable
class VectorDelegate(Protocol):
    """A delegate whose scores are inner products, so that one index or one distiller serves any of them."""

    def item_vectors(self, observation: Observation) -> Float32:
        """float32[n_items, d]."""

    def query_vectors(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, d]. Their products with the item vectors rank as `Delegate.score` does, new items apart."""


@runtime_checkable
class RequestMemory(Protocol):
    """A policy or delegate that keeps what makes the next request cheaper if it is like one that was answered."""

    def remember_requests(self, wanted: bool) -> None:
        """Whether more is kept from now on; what was kept stays. Not while the same requests are timed again."""


@runtime_checkable
class FeedbackDelegate(Protocol):
    """A delegate that learns from what becomes of lists that were shown; `Component.save` keeps what it learned."""

    def observe(self, batch: QueryBatch, items: Int32, rewards: Float32) -> None:
        """Learn float32[B, K] ``rewards`` of int32[B, K] shown ``items`` (-1 pads), row by row; arrays are replaced."""


def pick_candidates(scores: Float32, batch: QueryBatch) -> Float32:
    """float32[B, C]: the columns of float32[B, n_items] that the batch's candidates name (-inf for padding)."""
    if batch.candidates is None:
        return scores
    picked = np.take_along_axis(scores, np.maximum(batch.candidates, 0), axis=1)
    return np.where(batch.candidates < 0, np.float32(-np.inf), picked)
