"""The delegate for feedback of several kinds: what it learns from, answers, files."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from reasonrec_torch.config import train_as_long
from reasonrec_torch.devices import seeded
from reasonrec_torch.storage import read_tensors, write_tensors
from reasonrec_torch.trainer import train
from reasonrec_torch.validation import mean_ndcg
from torch import Tensor

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import Delegate, FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.io import content_hash, read_json, write_json
from reasonrec_core.types import Float32, Int32, Int64, Observation, QueryBatch
from reasonrec_graph.config import MRMNConfig, RelationTraining
from reasonrec_graph.delegates import list_chosen
from reasonrec_graph.feedback import TrainingFeedback, list_feedback, read_kinds
from reasonrec_graph.relations import Memory, RelationNetwork


class MRMN(Delegate[MRMNConfig]):
    """Views, carts and purchases in one metric space (MRMN, Zhou et al., IJCAI 2019).

    Kinds of feedback are told apart by the values of the log. Scores are negative squared distances under the strongest
    kind. A user of the training part is where training put her, whatever her request's history holds; an unknown one is
    the mean of the items of her history, and one without any the mean of all users. Items without feedback come last.
    """

    Config = MRMNConfig
    _n_items: int
    _tensors: dict[str, Tensor]
    """``users`` float[n_users + 1, d] (the last: the mean), ``known`` bool[n_users + 1], ``items`` float[n, d],
    ``rated`` bool[n], and the memory's ``kinds``, ``keys``, ``slots``."""
    _epochs: tuple[int, int] = (1, 1)

    def fit(self, data: FitData) -> None:
        """Train on all feedback; validation chooses the epoch."""
        self._train(data, self.config.training)

    def refit(self, data: FitData) -> Self:
        """Train again, on ``data.train``, for as many epochs as validation chose."""
        again = type(self)(self.config)
        again._train(data, train_as_long(self.config.training, *self._epochs))
        again._epochs = self._epochs
        return again

    def _train(self, data: FitData, training: RelationTraining) -> None:
        kinds = read_kinds(data.train.values, self.config.kinds)
        users, items, given = list_feedback(data.train, kinds)
        self._n_items = len(data.catalog)
        with seeded(data.seed):
            network = RelationNetwork(self.config, data.n_users, self._n_items, len(kinds))
        judged = data.valid.sample(training.validation_queries, data.seed) if data.valid is not None else None

        def validate(model: RelationNetwork) -> float:
            assert judged is not None
            self._keep(model, users, items)
            return mean_ndcg(lambda batch: self.recommend(batch, data.observation), judged, self._n_items)

        report = train(
            network,
            TrainingFeedback(users, items, given, self._n_items, batch=training.batch),
            training,
            seed=data.seed,
            validate=validate if judged is not None and len(judged.targets) else None,
            progress=data.progress,
            label="train MRMN",
            workdir=data.workdir,
            key=content_hash("MRMN", self.config.model_dump(mode="json"), kinds),
        )
        self._epochs = report.planned, report.best
        self._keep(network, users, items)

    @torch.no_grad()
    def _keep(self, network: RelationNetwork, users: Int64, items: Int64) -> None:
        placed = network.place(network.users).cpu()
        known, rated = torch.zeros(len(placed) + 1, dtype=torch.bool), torch.zeros(self._n_items, dtype=torch.bool)
        known[users], rated[items] = True, True
        mean = placed[known[:-1]].mean(0, keepdim=True)
        memory = {name: getattr(network, name).detach().cpu().clone() for name in ("kinds", "keys", "slots")}
        rest = {"items": network.place(network.items).cpu(), "rated": rated, "known": known}
        self._tensors = {"users": torch.cat([placed, mean]), **rest, **memory}

    def _place_users(self, batch: QueryBatch) -> Tensor:
        """float[B, d]: where the users are."""
        kept, items = self._tensors, self._tensors["items"]
        users = np.where((batch.users >= 0) & (batch.users < len(kept["users"]) - 1), batch.users, -1)
        rows = torch.from_numpy(users.astype(np.int64))
        placed, known = kept["users"][rows], kept["known"][rows]
        chosen = list_chosen(batch.history, len(items)).multiply(kept["rated"].numpy()).tocsr()
        counts = np.asarray(chosen.sum(1), np.float32)
        guessed = torch.from_numpy((chosen @ items.numpy() / np.maximum(counts, 1)).astype(np.float32))
        return torch.where(known[:, None] | torch.from_numpy(counts == 0), placed, guessed)

    @torch.no_grad()
    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: negative squared distances under the strongest kind of feedback."""
        kept = self._tensors
        memory = Memory(kept["kinds"], kept["keys"], kept["slots"])
        users, items = self._place_users(batch), kept["items"]
        strongest = kept["kinds"][-1].expand(len(users), -1)
        columns: Int32 | Int64
        if batch.candidates is None:
            scores = np.full((len(batch), self._n_items), -np.inf, np.float32)
            scores[:, : len(items)] = -memory.measure_all(users, items, strongest).numpy()
            columns = np.arange(self._n_items, dtype=np.int64)
        else:
            columns = batch.candidates
            at = torch.from_numpy(np.where((columns >= 0) & (columns < len(items)), columns, 0).astype(np.int64))
            scores = -memory.measure(users[:, None], items[at], strongest[:, None]).numpy()
            scores[columns < 0] = -np.inf
        rated = np.append(kept["rated"].numpy(), np.zeros(self._n_items - len(items), np.bool_))
        last_of_all(scores, np.where(rated[columns] | (columns < 0), 0, 1), 1)
        return scores

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        super().save(folder)
        write_tensors(folder / "vectors.safetensors", self._tensors)
        write_json(folder / "epochs.json", self._epochs)

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the vectors, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._tensors, self._n_items = read_tensors(folder / "vectors.safetensors"), len(catalog)
        planned, best = read_json(folder / "epochs.json")
        self._epochs = int(planned), int(best)
        return self
