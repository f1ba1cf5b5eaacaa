"""The delegate for feedback of several kinds: what it learns from, answers, files."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from reasonrec_torch.answering import find_user_rows, rank_unknown_last
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.rows import TrainingRows
from reasonrec_torch.storage import read_tensors, write_tensors
from reasonrec_torch.tables import grow_rows
from torch import Tensor

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.components import FitData
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation, QueryBatch
from reasonrec_graph.config import MRMNConfig
from reasonrec_graph.feedback import list_feedback, read_kinds
from reasonrec_graph.histories import average_chosen, list_chosen
from reasonrec_graph.relations import Memory, RelationNetwork


class MRMN(LearningDelegate[MRMNConfig, RelationNetwork]):
    """Views, carts and purchases in one metric space (MRMN, Zhou et al., IJCAI 2019).

    Kinds of feedback are told apart by the values of the log. Scores are negative squared distances under the strongest
    kind. A user of the training part is where training put her, whatever her request's history holds; an unknown one is
    the mean of the items of her history, and one without any the mean of all users. Items without feedback come last.
    """

    Config = MRMNConfig
    _tensors: dict[str, Tensor]
    """``users`` float[n_users + 1, d] (the last: the mean), ``known`` bool[n_users + 1], ``items`` float[n_items, d],
    ``rated`` bool[n_items], and the memory's ``kinds``, ``keys``, ``slots``."""

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[RelationNetwork]:
        """All feedback, of every kind."""
        training, kinds = self.config.training, read_kinds(data.train.values, self.config.kinds)
        users, items, given = list_feedback(data.train, kinds)
        known, rated = np.zeros(data.n_users + 1, np.bool_), np.zeros(self._n_items, np.bool_)
        known[users], rated[items] = True, True
        self._tensors = {"known": torch.from_numpy(known), "rated": torch.from_numpy(rated)}
        return TrainingPlan(
            lambda: RelationNetwork(self.config, data.n_users, self._n_items, len(kinds)),
            TrainingRows({"users": users, "items": items, "kinds": given}, batch=training.batch),
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
        kept = self._tensors
        rows = torch.from_numpy(find_user_rows(batch.users, len(kept["users"]) - 1))
        chosen = list_chosen(batch.history, kept["rated"].numpy())
        guessed = torch.from_numpy(average_chosen(chosen, lambda at: kept["items"].numpy()[at]))
        placed = kept["known"][rows] | torch.from_numpy(np.diff(chosen.indptr) == 0)
        return torch.where(placed[:, None], kept["users"][rows], guessed)

    @torch.no_grad()
    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]: negative squared distances under the strongest kind of feedback."""
        kept, wanted = self._tensors, batch.candidates
        memory = Memory(kept["kinds"], kept["keys"], kept["slots"])
        users, items, rated = self._place_users(batch), kept["items"], kept["rated"].numpy()
        strongest = kept["kinds"][-1].expand(len(users), -1)
        if wanted is None:
            return rank_unknown_last(-memory.measure_all(users, items, strongest).numpy(), ~rated, batch)
        at = torch.from_numpy(np.maximum(wanted, 0).astype(np.int64))
        scores: Float32 = -memory.measure(users[:, None], items[at], strongest[:, None]).numpy()
        scores[wanted < 0] = -np.inf
        last_of_all(scores, ~rated[at.numpy()] & (wanted >= 0), 1)
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
        self._tensors |= {name: grow_rows(self._tensors[name], len(catalog), "zero") for name in ("items", "rated")}
        return self
