"""A whole neural delegate: LightGCN (He et al., 2020), whose users are what they chose, so new users need no fit."""

from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import Field
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.devices import seeded
from reasonrec_torch.interactions import TensorPairs, TrainingPairs
from reasonrec_torch.losses import bpr_loss
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from reasonrec_torch.storage import load_module, save_module
from reasonrec_torch.tables import ItemTable
from reasonrec_torch.trainer import train
from reasonrec_torch.validation import ranking_figure
from torch import Tensor

from reasonrec_core.components import Delegate, FitData, Settings, pick_candidates
from reasonrec_core.data.catalog import Catalog
from reasonrec_core.types import Float32, History, Observation, QueryBatch


class LightGCNConfig(Settings):
    """Settings of `LightGCNDelegate`."""

    dimensions: int = Field(32, description="Of the vectors.")
    layers: int = Field(2, description="Steps over the graph of interactions.")
    training: TrainerConfig = Field(TrainerConfig(learning_rate=0.02, ema=0.9), description="How it is trained.")


class LightGCN(Trainable[TensorPairs]):
    """Item vectors, smoothed over the graph; a user is the mean of the items chosen."""

    def __init__(self, n_items: int, config: LightGCNConfig, graph: Tensor | None = None) -> None:
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

    @torch.no_grad()
    def score(self, vectors: Tensor, history: History) -> Float32:
        """float32[B, n], of smoothed vectors."""
        known = torch.from_numpy(history.items.astype(np.int64)), torch.from_numpy(history.indptr[:-1])
        users = torch.nn.functional.embedding_bag(known[0], vectors, known[1], mode="mean")
        return torch.addmm(self.items.bias, users, vectors.T).numpy()


class LightGCNDelegate(Delegate[LightGCNConfig]):
    """The delegate."""

    Config = LightGCNConfig

    def fit(self, data: FitData) -> None:
        """Train on all pairs of users and items; validation chooses the epoch."""
        at, n_items = np.unique(np.stack([data.train.users, data.train.items]), axis=1), len(data.catalog)
        users, items = (np.bincount(ids, minlength=n) for ids, n in zip(at, (data.n_users, n_items), strict=True))
        share = torch.from_numpy(1 / np.sqrt(users[at[0]] * items[at[1]])).float()
        graph = torch.sparse_coo_tensor(torch.tensor(at).long(), share, (data.n_users, n_items), check_invariants=True)
        with seeded(data.seed):
            self.model = LightGCN(n_items, self.config, graph)
        judge = data.valid and ranking_figure(data.valid, lambda m, b: m.score(m.smooth(), b.history), n_items)
        train(self.model, TrainingPairs(*at, n_items), self.config.training, seed=data.seed, validate=judge or None,
              progress=data.progress, label="train lightgcn", workdir=data.workdir, key=str(self.config))  # fmt: skip
        self.model.items.vectors.data = self.model.cpu().smooth().detach()  # the graph has done its work

    def score(self, batch: QueryBatch, observation: Observation) -> Float32:
        """float32[B, n_items] or float32[B, C]; items that came after the fit are last."""
        table = self.model.items
        return table.put_newcomers_last(pick_candidates(self.model.score(table.vectors, batch.history), batch), batch)

    def save(self, folder: Path) -> None:
        """Write the settings and the table."""
        super().save(folder)
        save_module(self.model, folder / "lightgcn.safetensors")

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> Self:
        """Read what `save` wrote, for a catalogue that may have grown."""
        self = super().load(folder, catalog)
        self.model = LightGCN(len(catalog), self.config)
        load_module(self.model, folder / "lightgcn.safetensors")
        return self
