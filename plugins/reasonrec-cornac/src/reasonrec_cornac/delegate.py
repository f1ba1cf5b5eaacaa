"""Delegate `cornac`: a model of the Cornac library (Salah, Truong and Lauw, JMLR 2020), by its name there."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field
from scipy import sparse

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.errors import ConfigError, DataError, did_you_mean
from reasonrec_core.io import read_arrays, read_json, write_arrays, write_json
from reasonrec_core.types import Float32, Float64, Int32, Observation, QueryBatch
from reasonrec_cornac.state import put_state, take_state

COMPARED, CLOSE = 8, 1e-4
EPOCHS = ("n_epochs", "max_iter", "num_epochs", "epochs")
GIVEN = frozenset({"name", "trainable", "verbose", "init_params", "seed"})
CRASHING = frozenset({"FM"})
"""Models of Cornac 3.0 that end the process in `fit`, which no exception reports."""
LOCK = threading.Lock()
"""One thread at a time asks a model: some of them keep what they compute."""


class CornacConfig(Settings):
    """Settings of `CornacDelegate`."""

    model: str = Field("BPR", description="Name of a class of cornac.models, e.g. EASE, HPF, MF or VAECF.")
    parameters: dict[str, Any] = Field(
        {}, description="What the class is made with, e.g. {k = 50, max_iter = 200}; else Cornac's own defaults."
    )
    values: bool = Field(False, description="Give the model the interactions' values (ratings); otherwise all are 1.")
    neighbours: int = Field(
        20, ge=1, description="How many training users, those with the most similar items, answer for somebody new."
    )


class CornacDelegate(Delegate[CornacConfig]):
    """Models of Cornac that are learned from users, items and values, kept without pickle.

    A user of the training part gets what the model says of it, whatever the history of the request: that is all these
    models know. Anybody else gets the mean of the users with the most similar items (cosine), or without a history
    what is popular. Items that nobody had in training are ranked last.

    Users of a batch are scored by one product where the model has vectors of users and items that make its answers
    (Cornac's `get_user_vectors` and `get_item_vectors`: BPR, MF, PMF, HPF and others); else one at a time.
    """

    Config = CornacConfig
    _model: Any
    _log: dict[str, Any]
    _n_items: int
    _factors: tuple[Any, Any] | None

    def fit(self, data: FitData) -> None:
        """Fit the model, store it as arrays, and compare what comes back."""
        train, config = data.train, self.config
        if not len(train):
            raise DataError("there are no training interactions to learn from", where="cornac")
        if config.values and train.values is None:
            fix = "Leave values = false, or import data with a column of ratings."
            raise ConfigError("the interactions have no values", where="cornac.values", fix=fix)
        values = train.values if config.values and train.values is not None else np.ones(len(train), np.float32)
        newest = {"users": train.users[::-1], "items": train.items[::-1], "values": values[::-1]}
        self._log, self._n_items, self._seed = newest, len(data.catalog), data.seed
        try:
            with contextlib.redirect_stdout(sys.stderr):  # some print, whatever `verbose` is
                fitted = self._make_model(config.parameters)
                fitted.fit(self._prepare())
                state, arrays = take_state(fitted)
                self._restore(state, arrays)
                alike = self._compare(fitted)
        except ConfigError:
            raise
        except Exception as error:  # theirs: a missing package, a parameter, a kind of data that we do not give
            what = f"Cornac's {config.model} cannot be used here ({type(error).__name__}: {error})"
            raise ConfigError(what, where="cornac.model", fix="Choose a model of users and items.") from error
        if not alike:
            what = f"Cornac's {config.model} answers otherwise once it was stored as plain arrays"
            raise ConfigError(what, where="cornac.model", fix="Choose another model.")
        self._stored = state, arrays

    def _make_model(self, parameters: dict[str, Any]) -> Any:
        import cornac.models

        name, base = self.config.model, cornac.models.Recommender
        others = (cornac.models.NextItemRecommender, cornac.models.NextBasketRecommender)
        classes = [c for c in vars(cornac.models).values() if isinstance(c, type) and issubclass(c, base)]
        usable: dict[str, Any] = {c.__name__: c for c in classes if c is not base and not issubclass(c, others)}
        if name not in usable:
            what, fix = f"Cornac has no model of users and items called {name!r}", did_you_mean(name, usable)
            raise ConfigError(what, where="cornac.model", fix=fix)
        if name in CRASHING:
            what, fix = f"Cornac's {name} crashes when it is fitted", "Choose another model, e.g. MF."
            raise ConfigError(what, where="cornac.model", fix=fix)
        accepted = set(usable[name]._get_init_params())
        for key in parameters.keys() - (accepted - GIVEN):
            fix = did_you_mean(key, accepted - GIVEN)
            raise ConfigError(f"{name} has no parameter {key!r}", where="cornac.parameters", fix=fix)
        fixed = {"seed": self._seed, "verbose": False, "num_threads": 1}
        return usable[name](**{k: v for k, v in fixed.items() if k in accepted} | parameters)

    def _prepare(self) -> Any:
        """Cornac's form of the log; users and items that are in it get its numbers, in order of appearance."""
        from cornac.data import Dataset

        rows = zip(*(self._log[name].tolist() for name in ("users", "items", "values")), strict=True)
        with warnings.catch_warnings(action="ignore"):  # of pairs seen again Cornac keeps the first: the newest
            made = Dataset.build(list(rows), seed=self._seed)
        self._users, self._items = (np.fromiter(ids, np.int64) for ids in (made.uid_map, made.iid_map))
        self._numbers = np.full(self._users.max() + 2, -1)  # the last: of anybody else
        self._numbers[self._users] = np.arange(len(self._users))
        had = sparse.csr_array(made.matrix.astype(bool).astype(np.float64))
        self._popularity = had.sum(0) / had.sum(0).max()
        self._alike = (sparse.diags_array(1 / np.sqrt(np.maximum(had.sum(1), 1))) @ had).T.tocsr()
        return made

    def _restore(self, state: Any, arrays: dict[str, Any]) -> None:
        """The model anew, from plain arrays."""
        import cornac.models

        parameters, log = dict(self.config.parameters), self._prepare()
        if any(what["kind"] == "module" for what in state.values()):  # networks: built by a fit of no epochs
            accepted = self._make_model({})._get_init_params()
            self._model = self._make_model(parameters | {name: 0 for name in EPOCHS if name in accepted})
            self._model.fit(log)
        else:
            self._model = self._make_model(parameters)
            cornac.models.Recommender.fit(self._model, log)
        put_state(self._model, state, arrays)
        self._factors = self._find_factors()

    def _find_factors(self) -> tuple[Any, Any] | None:
        """Vectors of users and items whose products are the model's answers; None where it has none.

        Cornac's leave out what a user adds to all items alike (biases of MF): that is the last column here.
        """
        model, count = self._model, len(self._items)
        if not getattr(model, "_ann_supported", False):
            return None
        users, items = model.get_user_vectors(), model.get_item_vectors()
        if not (isinstance(users, np.ndarray) and isinstance(items, np.ndarray)):
            return None  # EASE: the log itself
        some, asked = self._ask_some(model)
        added = asked - users[some] @ items[:count].T
        if not np.allclose(added, added[:, :1], rtol=CLOSE, atol=CLOSE):
            return None
        alike = np.zeros(len(users), np.float32)
        if not np.allclose(added, 0, rtol=CLOSE, atol=CLOSE):
            alike = np.array([model.score(user, 0) for user in range(len(users))], np.float32) - users @ items[0]
        return np.column_stack([users, alike]), np.column_stack([items[:count], np.ones(count, np.float32)])

    def _ask_some(self, model: Any) -> tuple[Any, Float64]:
        """int[C] training users, and float64[C, known items]: what a model says of them."""
        some = np.linspace(0, len(self._users) - 1, COMPARED).astype(np.int64)
        return some, np.stack([np.ravel(model.score(user))[: len(self._items)] for user in some.tolist()])

    def _compare(self, fitted: Any) -> bool:
        return np.allclose(self._ask_some(fitted)[1], self._ask_some(self._model)[1], rtol=CLOSE, atol=CLOSE)

    def _ask(self, users: Any) -> Float64:
        """float64[M, known items]: what the model says of int[M] training users; both by Cornac's numbers."""
        if self._factors is not None:
            return np.asarray(self._factors[0][users] @ self._factors[1].T, np.float64)
        with LOCK:
            answers = [np.ravel(self._model.score(user))[: len(self._items)] for user in users.tolist()]
        return np.array(answers, np.float64).reshape(len(users), len(self._items))

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]."""
        scores = np.zeros((len(batch), self._n_items), np.float32)
        numbers = self._numbers[batch.users.clip(-1, len(self._numbers) - 1)]
        scores[np.ix_(numbers >= 0, self._items)] = self._ask(numbers[numbers >= 0])
        for row in np.flatnonzero(numbers < 0).tolist():
            scores[row, self._items] = self._ask_neighbours(batch.history.row(row))
        last_of_all(scores, np.isin(np.arange(self._n_items), self._items, invert=True).astype(np.intp), 1)
        return pick_candidates(scores, batch)

    def _ask_neighbours(self, items: Int32) -> Float64:
        """Of somebody new with these items."""
        near = self._alike[np.isin(self._items, items)].sum(0)
        users = np.argsort(-near, kind="stable")[: self.config.neighbours]
        users = users[near[users] > 0]
        if not len(users):
            return np.asarray(self._popularity, np.float64)
        return np.asarray(np.average(self._ask(users), axis=0, weights=near[users]), np.float64)

    def save(self, folder: Path) -> None:
        """Write arrays and numbers."""
        super().save(folder)
        state, arrays = self._stored
        write_arrays(folder / "model.npz", arrays)
        write_arrays(folder / "log.npz", self._log)
        write_json(folder / "model.json", {"state": state, "seed": self._seed})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read them, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._log, self._n_items = read_arrays(folder / "log.npz"), len(catalog)
        stored = read_json(folder / "model.json")
        self._seed, self._stored = int(stored["seed"]), (stored["state"], read_arrays(folder / "model.npz"))
        with contextlib.redirect_stdout(sys.stderr):
            self._restore(*self._stored)
        return self
