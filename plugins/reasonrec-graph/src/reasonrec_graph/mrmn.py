"""The delegate for feedback of several kinds: what it learns from, answers, files."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.storage import read_tensors, write_tensors
from torch import Tensor

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Int32, Int64, Observation, QueryBatch
from reasonrec_graph.config import MRMNConfig
from reasonrec_graph.delegates import list_chosen
from reasonrec_graph.feedback import TrainingFeedback, list_feedback, read_kinds
from reasonrec_graph.relations import Memory, RelationNetwork


class MRMN(LearningDelegate[MRMNConfig, RelationNetwork]):
    """Views, carts and purchases in one metric space (MRMN, Zhou et al., IJCAI 2019).

    Kinds of feedback are told apart by the values of the log. Scores are negative squared distances under the strongest
    kind. A user of the training part is where training put her, whatever her request's history holds; an unknown one is
    the mean of the items of her history, and one without any the mean of all users. Items without feedback come last.
    """

    Config = MRMNConfig
    _tensors: dict[str, Tensor]
    """``users`` float[n_users + 1, d] (the last: the mean), ``known`` bool[n_users + 1], ``items`` float[n, d],
    ``rated`` bool[n], and the memory's ``kinds``, ``keys``, ``slots``."""

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[RelationNetwork]:
        """All feedback, of every kind."""
        training, kinds = self.config.training, read_kinds(data.train.values, self.config.kinds)
        users, items, given = list_feedback(data.train, kinds)
        known, rated = np.zeros(data.n_users + 1, np.bool_), np.zeros(self._n_items, np.bool_)
        known[users], rated[items] = True, True
        self._tensors = {"known": torch.from_numpy(known), "rated": torch.from_numpy(rated)}
        return TrainingPlan(
            lambda: RelationNetwork(self.config, data.n_users, self._n_items, len(kinds)),
            TrainingFeedback(users, items, given, self._n_items, batch=training.batch),
            training,
            self.judge_answers(data, training.validation_queries),
            label="train MRMN",
        )

    @torch.no_grad()
    def keep(self, network: RelationNetwork) -> None:
        """Where users and items are, the users' mean, and the memory."""
        placed, known = network.place(network.users).cpu(), self._tensors["known"]
        users = torch.cat([placed, placed[known[:-1]].mean(0, keepdim=True)])
        memory = {name: getattr(network, name).detach().cpu().clone() for name in ("kinds", "keys", "slots")}
        self._tensors |= {"users": users, "items": network.place(network.items).cpu(), **memory}

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

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read the vectors, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self._tensors = read_tensors(folder / "vectors.safetensors")
        return self
