"""A whole neural delegate: LightGCN (He et al., 2020), whose users are what they chose, so new users need no fit."""

from copy import deepcopy
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import Field
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.interactions import TensorPairs, TrainingPairs
from reasonrec_torch.learning_delegate import LearningDelegate, TrainingPlan
from reasonrec_torch.losses import bpr_loss
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from reasonrec_torch.storage import load_module, save_module
from reasonrec_torch.tables import ItemTable
from torch import Tensor

from reasonrec_core.components import FitData, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, Observation, QueryBatch


class LightGCNConfig(Settings):
    """Settings of `LightGCNDelegate`."""

    dimensions: int = Field(32, description="Of the vectors.")
    layers: int = Field(2, description="Steps over the graph of interactions.")
    training: TrainerConfig = Field(TrainerConfig(learning_rate=0.02, ema=0.9), description="How it is trained.")


class LightGCN(Trainable[TensorPairs]):
    """Item vectors, smoothed over the graph; a user is the mean of the items chosen."""

    def __init__(self, n_items: int, config: LightGCNConfig, graph: Tensor) -> None:
        super().__init__()
        self.items, self.layers = ItemTable(n_items, config.dimensions, spread=0.1), config.layers
        self.register_buffer("graph", graph, persistent=False)  # float[users, items], 1 / sqrt(degrees) where chosen

    def smooth(self) -> Tensor:
        """float[n, d]: the mean over the layers (equations 7 and 8)."""
        layers = [self.items.vectors]
        for _ in range(self.layers):
            layers.append(self.graph.T @ (self.graph @ layers[-1]))
        return torch.stack(layers).mean(0)

    def loss(self, batch: TensorPairs, rng: np.random.Generator) -> BatchLoss:
        """BPR."""
        items, bias = self.smooth(), self.items.bias
        users = (self.graph @ items)[batch.users]
        right = (users * items[batch.items]).sum(-1) + bias[batch.items]
        wrong = (users[:, None] * items[batch.negatives]).sum(-1) + bias[batch.negatives]
        return BatchLoss(bpr_loss(right, wrong))


class LightGCNDelegate(LearningDelegate[LightGCNConfig, LightGCN]):
    """The delegate."""

    Config = LightGCNConfig

    def plan(self, data: FitData, fitted: Self | None) -> TrainingPlan[LightGCN]:
        """All pairs of users and items, and their graph; validation chooses the epoch."""
        at, n_items = np.unique(np.stack([data.train.users, data.train.items]), axis=1), len(data.catalog)
        users, items = (np.bincount(ids, minlength=n) for ids, n in zip(at, (data.n_users, n_items), strict=True))
        share = torch.from_numpy(1 / np.sqrt(users[at[0]] * items[at[1]])).float()
        graph = torch.sparse_coo_tensor(torch.tensor(at).long(), share, (data.n_users, n_items), check_invariants=True)
        make = lambda: LightGCN(n_items, self.config, graph)  # noqa: E731
        return TrainingPlan(make, TrainingPairs(*at, n_items), self.config.training, self.judge_answers(data))

    def keep(self, network: LightGCN) -> None:
        """The table, smoothed: the graph has done its work."""
        self.table = deepcopy(network.items).cpu()
        self.table.vectors.data = network.smooth().detach().cpu()

    @torch.no_grad()
    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]; items that came after the fit are last."""
        items, table = torch.from_numpy(batch.history.items.astype(np.int64)), self.table
        starts = torch.from_numpy(batch.history.indptr[:-1])
        users = torch.nn.functional.embedding_bag(items, table.vectors, starts, mode="mean")
        scores = torch.addmm(table.bias, users, table.vectors.T).numpy()
        return table.put_newcomers_last(pick_candidates(scores, batch), batch)

    def save(self, folder: Path) -> None:
        """Write the settings, the epochs and the table."""
        super().save(folder)
        save_module(self.table, folder / "lightgcn.safetensors")

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self.table = ItemTable(len(catalog), self.config.dimensions)
        load_module(self.table, folder / "lightgcn.safetensors")
        return self
