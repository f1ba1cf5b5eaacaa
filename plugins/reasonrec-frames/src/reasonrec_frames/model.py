"""One delegate or policy alone: made by name, fitted on a dataset, asked for recommendations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from reasonrec_serve.batch import UserList

from reasonrec_core.components import Delegate, FitData, Kind, ReasoningPolicy
from reasonrec_core.data import Dataset
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.observe.evidence_horizon import EvidenceHorizonScale
from reasonrec_core.registry import Registry
from reasonrec_core.types import (
    Cases,
    History,
    Interactions,
    Observation,
    Progress,
    QueryBatch,
    Ranking,
    Task,
    indptr_of,
    no_progress,
)
from reasonrec_core.validation import check_ranking
from reasonrec_frames.native_frames import FrameKind, default_kind, write_frame
from reasonrec_frames.vectors import tabulate_item_vectors, tabulate_user_vectors
from reasonrec_frames.wording import python_words

CHUNK = 256
"""Users per call."""
KINDS = (Kind.DELEGATE, Kind.POLICY)


def make_model(name: str, **settings: Any) -> SingleModel:
    """A delegate or policy by its name, not yet fitted.

    Raises:
        ConfigError: no delegate or policy is called so, or a setting is unknown or out of bounds.

    >>> import pyarrow as pa
    >>> from reasonrec_frames import FrameDataset
    >>> log = pa.table({"user_id": ["u", "u", "v"], "item_id": ["a", "b", "a"]})
    >>> make_model("popularity").fit(FrameDataset.from_frames(log)).recommend(["v"], k=1)["item_id"].to_pylist()
    ['b']
    """
    registry = Registry.discover()
    there = [kind for kind in KINDS if name in registry.names(kind)]
    return SingleModel(name, there[0] if there else Kind.DELEGATE, settings, registry)


class SingleModel:
    """A delegate or policy without a pipeline around it: no router, no calibration, no features of pictures or text.

    Attributes:
        name: as in a pipeline file.
        settings: its own.
        component: what was made; fitted after `fit`.
    """

    def __init__(self, name: str, kind: Kind, settings: Mapping[str, Any], registry: Registry) -> None:
        self.name, self.kind, self.settings, self.registry = name, kind, dict(settings), registry
        self.component: Any = registry.create(kind, name, settings, where=name)
        self._dataset: Dataset | None = None
        self._frames: FrameKind = default_kind()

    def fit(self, dataset: Dataset, *, seed: int = 0, progress: Progress = no_progress) -> Self:
        """Learn from every interaction of ``dataset``."""
        return self.fit_part(dataset, dataset.interactions, None, seed=seed, progress=progress)

    def fit_part(
        self,
        dataset: Dataset,
        train: Interactions,
        valid: Cases | None,
        *,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> Self:
        """Learn from some interactions, and tune on validation queries where there are any.

        Raises:
            PluginError: the model fails, or cannot do without validation queries.
        """
        lengths = np.bincount(train.users, minlength=dataset.n_users)
        self._horizon = EvidenceHorizonScale.fit(lengths)
        data = FitData(
            catalog=dataset.catalog,
            n_users=dataset.n_users,
            train=train,
            valid=valid,
            observation=self._observe(None if valid is None else valid.queries),
            seed=seed,
            delegate=lambda name: self._make_delegate(name),
            horizon=self._horizon,
            progress=progress,
            user_fields=dataset.user_fields,
            context=dataset.context,
        )
        with self.registry.guard(self.kind, self.name, "fit"):
            self.component.fit(data)
        self._dataset, self._frames = dataset, getattr(dataset, "frames", None) or default_kind()
        return self

    @property
    def dataset(self) -> Dataset:
        """The data that the model was fitted on.

        Raises:
            ConfigError: it was not fitted yet.
        """
        if self._dataset is None:
            raise ConfigError("the model is not fitted", where=self.name, fix="Call fit(dataset) first.")
        return self._dataset

    def rank(self, batch: QueryBatch) -> Ranking:
        """The best of the catalogue for a batch, checked; the history is not recommended again."""
        seen = self._observe(batch)
        with self.registry.guard(self.kind, self.name, "recommend"):
            if isinstance(self.component, ReasoningPolicy):
                found = self.component.deliberate(batch, seen).ranking
                assert found is not None
            else:
                found = self.component.recommend(batch, seen)
            return check_ranking(found, batch, self.dataset.n_items)

    def recommend(
        self,
        users: Literal["all"] | Iterable[Any] | None = None,
        k: int = 10,
        *,
        history: Iterable[Any] | None = None,
    ) -> Any:
        """The ``k`` best items for users, or for one history.

        Args:
            users: ids, or "all"; what each of them did is the history.
            k: items per user.
            history: item ids, oldest first, instead of users; unknown ones are skipped.

        Returns:
            a frame: ``user_id`` (null for a history), ``rank``, ``item_id``, ``title``, ``score``.

        Raises:
            DataError: an unknown user.
            ConfigError: neither users nor a history, or both; ``k`` below 1.
        """
        if (users is None) == (history is None):
            raise ConfigError("give either users or a history", where=f"{self.name}.recommend")
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
            raise ConfigError(f"k must be a whole number of at least 1, not {k!r}", where=f"{self.name}.recommend")
        width = min(int(k), self.dataset.n_items)
        if history is not None:
            found, _ = self.dataset.catalog.known(read_names(history, "history"))
            past = History.of([list(found.tolist())])
            batch = QueryBatch(Task.SEQUENTIAL, np.array([-1], np.int32), past, width)
            return write_frame(self._tabulate([batch]), self._frames)
        index = find_users(self.dataset, users)
        whole = ask_users(self.dataset, index, width)
        return write_frame(self._tabulate([piece for _, piece in whole.chunks(CHUNK)]), self._frames)

    def item_vectors(self) -> Any:
        """A frame: ``item_id``, ``vector``; see `tabulate_item_vectors`."""
        parts = {self.name: self.component}
        return write_frame(tabulate_item_vectors(parts, self.dataset, self._observe(None)), self._frames)

    def user_vectors(self, users: Literal["all"] | Iterable[Any] = "all") -> Any:
        """A frame: ``user_id``, ``vector``; see `tabulate_user_vectors`."""
        batch = ask_users(self.dataset, find_users(self.dataset, users), 1)
        parts = {self.name: self.component}
        return write_frame(tabulate_user_vectors(parts, self.dataset, batch, self._observe), self._frames)

    def _tabulate(self, batches: Sequence[QueryBatch]) -> pa.Table:
        ids, catalog = self.dataset.users.column("user_id").combine_chunks(), self.dataset.catalog
        names, titles = pa.array(catalog.ids), pa.array(catalog.titles)
        tables = []
        for batch in batches:
            ranking = self.rank(batch)
            rows, places = np.nonzero(ranking.items >= 0)
            items = pa.array(ranking.items[rows, places])
            users = batch.users[rows]
            tables.append(
                pa.table(
                    {
                        "user_id": ids.take(pa.array(users, mask=users < 0)),
                        "rank": pa.array(places + 1, pa.int32()),
                        "item_id": names.take(items),
                        "title": titles.take(items),
                        "score": ranking.scores[rows, places].astype(np.float64),
                    }
                )
            )
        return pa.concat_tables(tables)

    def _observe(self, batch: QueryBatch | None) -> Observation:
        return Observation({}, {}, np.empty(0, np.float32) if batch is None else self._horizon(batch))

    def _make_delegate(self, name: str) -> Delegate[Any]:
        made = self.registry.create(Kind.DELEGATE, name, {})
        assert isinstance(made, Delegate)
        return made

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self.settings.items())
        fitted = "" if self._dataset is None else f", fitted on {self._dataset.name}"
        return f"<{self.kind} {self.name!r}{settings}{fitted}>"


def read_names(given: Iterable[Any], what: str) -> list[str]:
    """Ids as text; whole numbers, numpy's too, mean their digits.

    Raises:
        ConfigError: something else.
    """
    names = []
    for each in take_values(given, what):
        if isinstance(each, str):
            names.append(str(each))
        elif isinstance(each, int | np.integer) and not isinstance(each, bool):
            names.append(str(int(each)))
        else:
            raise ConfigError(f"{each!r} is not an id", where=what, fix="Ids must be text or whole numbers.")
    return names


def take_values(given: Any, what: str) -> Iterable[Any]:
    """The values of a list of ids, which may be a column of a frame.

    Raises:
        ConfigError: a single id, a whole frame, or nothing that holds values.
    """
    if hasattr(given, "columns"):
        raise ConfigError(
            f"{what} must be a list of ids, not a frame", where="recommend", fix="Pass its column of ids."
        )
    if hasattr(given, "to_pylist"):  # Arrow's values are no numbers or texts by themselves
        values: list[Any] = given.to_pylist()
        return values
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ConfigError(f"{what} must be a list of ids, not {given!r}", where="recommend")
    return given


def find_users(dataset: Dataset, users: Literal["all"] | Iterable[Any] | None) -> np.ndarray[Any, np.dtype[np.int32]]:
    """int32[B]: the indices of users, each once, in their order; of all in the order of their ids.

    Raises:
        DataError: an unknown one.
    """
    with python_words():
        names = UserList.of(dataset, users if isinstance(users, str) else take_values(users or (), "users")).names
    for name in names:
        if name not in dataset.user_index:
            raise DataError(f"unknown user {name!r}", where="users", fix="Pass what they did: history=[...].")
    return np.array([dataset.user_index[name] for name in names], dtype=np.int32)


def ask_users(dataset: Dataset, users: np.ndarray[Any, np.dtype[np.int32]], k: int) -> QueryBatch:
    """The requests of users whose whole log is the history."""
    log = dataset.interactions
    bounds = indptr_of(np.bincount(log.users, minlength=dataset.n_users))
    past = History(bounds, log.items, log.times).take(users.astype(np.intp))
    return QueryBatch(Task.SEQUENTIAL, users, past, k)
