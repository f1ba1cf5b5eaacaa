"""Delegate `cornac`: a model of the Cornac library (Salah, Truong and Lauw, JMLR 2020), by its name there."""

from __future__ import annotations

import threading
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
from reasonrec_core.types import Float32, Float64, Int64, Observation, QueryBatch
from reasonrec_cornac.state import has_modules, put_state, take_state

COMPARED, CLOSE = 8, 1e-4
EPOCHS = ("n_epochs", "max_iter", "num_epochs", "epochs")
GIVEN = frozenset({"name", "trainable", "verbose", "init_params", "seed"})
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
    """Any model of Cornac that is learned from users, items and values, kept without pickle.

    A user of the training part gets what the model says of it, whatever the history of the request: that is all these
    models know. Anybody else gets the mean of the users with the most similar items (cosine), or without a history
    what is popular. Items that nobody had in training are ranked last.
    """

    Config = CornacConfig
    _model: Any
    _log: sparse.csr_matrix
    _n_items: int

    def fit(self, data: FitData) -> None:
        """Fit the model, store it as arrays, and compare what comes back."""
        train, config = data.train, self.config
        if not len(train):
            raise DataError("there are no training interactions to learn from", where="cornac")
        if config.values and train.values is None:
            fix = "Leave values = false, or import data with a column of ratings."
            raise ConfigError("the interactions have no values", where="cornac.values", fix=fix)
        weights = train.values if config.values and train.values is not None else np.ones(len(train), np.float32)
        pairs, last = np.unique(
            (train.users.astype(np.int64) * len(data.catalog) + train.items)[::-1], return_index=True
        )
        values = np.asarray(weights, np.float32)[::-1][last]
        shape = (data.n_users, len(data.catalog))
        self._log = sparse.csr_matrix((values, np.divmod(pairs, len(data.catalog))), shape=shape)
        self._n_items, self._seed = len(data.catalog), data.seed
        try:
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
        known: dict[str, Any] = {
            n: c for n, c in vars(cornac.models).items() if isinstance(c, type) and issubclass(c, base)
        }
        usable = [n for n, c in known.items() if c is not base and not issubclass(c, others)]
        if name not in usable:
            raise ConfigError(f"Cornac has no model of users and items called {name!r}", where="cornac.model",
                              fix=did_you_mean(name, usable))  # fmt: skip
        accepted = set(known[name]._get_init_params())
        for key in parameters.keys() - (accepted - GIVEN):
            fix = did_you_mean(key, accepted - GIVEN)
            raise ConfigError(f"{name} has no parameter {key!r}", where="cornac.parameters", fix=fix)
        fixed = {"seed": self._seed, "verbose": False, "num_threads": 1}
        return known[name](**{k: v for k, v in fixed.items() if k in accepted} | parameters)

    def _prepare(self) -> Any:
        """Cornac's form of the log; users and items that are in it get its numbers, in order of appearance."""
        from cornac.data import Dataset

        rows = self._log.tocoo()
        users, items = rows.coords
        made = Dataset.build(
            list(zip(users.tolist(), items.tolist(), rows.data.tolist(), strict=True)), seed=self._seed
        )
        self._numbers = np.full(self._log.shape[0], -1, np.int64)
        self._numbers[list(made.uid_map)] = list(made.uid_map.values())
        self._known = np.fromiter(made.iid_map, np.int64)
        counts = np.asarray((self._log != 0).sum(0)).ravel()
        self._popularity = counts / counts.max()
        lengths = np.sqrt(np.maximum(np.diff(self._log.indptr), 1))
        self._alike = sparse.csr_matrix(sparse.diags(1 / lengths) @ (self._log != 0)).T.tocsr()
        return made

    def _restore(self, state: Any, arrays: dict[str, Any]) -> None:
        """The model anew, from plain arrays."""
        import cornac.models

        parameters, log = dict(self.config.parameters), self._prepare()
        if has_modules(state):  # built by a fit of no epochs
            accepted = self._make_model({})._get_init_params()
            self._model = self._make_model(parameters | {name: 0 for name in EPOCHS if name in accepted})
            self._model.fit(log)
        else:
            self._model = self._make_model(parameters)
            cornac.models.Recommender.fit(self._model, log)
        put_state(self._model, state, arrays)

    def _compare(self, fitted: Any) -> bool:
        users = np.linspace(0, self._numbers.max(), COMPARED).astype(np.int64)
        pairs = [(np.asarray(fitted.score(u)), np.asarray(self._model.score(u))) for u in users.tolist()]
        return all(np.allclose(one, other, rtol=CLOSE, atol=CLOSE) for one, other in pairs)

    def _ask(self, user: int) -> Float64:
        """float64[known items]: what the model says of a training user, by Cornac's number."""
        with LOCK:
            return np.asarray(self._model.score(user), np.float64).ravel()[: len(self._known)]

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]."""
        scores = np.zeros((len(batch), self._n_items), np.float32)
        for row, user in enumerate(batch.users.tolist()):
            number = int(self._numbers[user]) if 0 <= user < len(self._numbers) else -1
            items = batch.history.items[slice(*(batch.history.indptr[row : row + 2] - batch.history.indptr[0]))]
            found = self._ask(number) if number >= 0 else self._ask_neighbours(np.unique(items))
            scores[row, self._known] = found
        marked = np.ones(self._n_items, np.intp)
        marked[self._known] = 0
        last_of_all(scores, marked, 1)
        return pick_candidates(scores, batch)

    def _ask_neighbours(self, items: Int64) -> Float64:
        """Of somebody new with these items."""
        items = items[items < self._log.shape[1]]
        near = np.asarray(self._alike[items].sum(0)).ravel() if len(items) else np.zeros(len(self._numbers))
        chosen = np.argsort(-near, kind="stable")[: self.config.neighbours]
        weights = near[chosen]
        if not weights.any():
            return np.asarray(self._popularity[self._known], np.float64)
        answers = [w * self._ask(int(self._numbers[user])) for user, w in zip(chosen, weights, strict=True) if w]
        return np.asarray(np.sum(answers, axis=0) / weights.sum(), np.float64)

    def save(self, folder: Path) -> None:
        """Write arrays and numbers."""
        super().save(folder)
        state, arrays = self._stored
        write_arrays(folder / "model.npz", arrays)
        parts = {name: getattr(self._log, name) for name in ("data", "indices", "indptr")}
        write_arrays(folder / "log.npz", parts)
        write_json(folder / "model.json", {"state": state, "shape": list(self._log.shape), "seed": self._seed})

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read them, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        stored, log = read_json(folder / "model.json"), read_arrays(folder / "log.npz")
        self._log = sparse.csr_matrix((log["data"], log["indices"], log["indptr"]), shape=stored["shape"])
        self._n_items, self._seed = len(catalog), int(stored["seed"])
        self._stored = stored["state"], read_arrays(folder / "model.npz")
        self._restore(*self._stored)
        return self
