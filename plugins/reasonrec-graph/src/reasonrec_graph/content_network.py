"""The networks of RecGOAT and SSR: ids and content side by side, passed over the graph, and aligned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import combinations
from typing import Generic, TypeVar

import numpy as np
import torch
from reasonrec_torch.interactions import TensorPairs
from torch import Tensor

from reasonrec_core.io import content_hash
from reasonrec_core.types import Float32
from reasonrec_graph.alignment import contrast, transport
from reasonrec_graph.config import ContentConfig, RecGOATConfig, SSRConfig
from reasonrec_graph.content import AttentiveContent, ContentModule, SpectralContent
from reasonrec_graph.graph import Graph, multiply, propagate
from reasonrec_graph.network import Agreements, IdNetwork

C = TypeVar("C", bound=ContentConfig)
M = TypeVar("M", bound=ContentModule)  # type: ignore[type-arg]


class ContentNetwork(IdNetwork, Generic[C, M]):
    """Items start as their own vector and what they read or look like; users as theirs and the mean of their items.

    Args:
        config: sizes and losses.
        graph: who chose what.
        content: makes vectors of features.
        features: per modality float32[n_items, w], 0 where an item has none.
    """

    def __init__(self, config: C, graph: Graph, content: M, features: Sequence[Float32]) -> None:
        super().__init__(config, graph)
        self.settings, self.content = config, content
        if not config.ids:
            self.users.requires_grad_(False).zero_()
            self.items.requires_grad_(False).zero_()
        prepared = content.prepare(features, graph.shape[1])
        self._digest = content_hash(*(np.ascontiguousarray(each).tobytes() for each in prepared))
        self._names = [f"prepared_{at}" for at in range(len(prepared))]
        for name, array in zip(self._names, prepared, strict=True):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)
        self.register_buffer("chosen", (graph.degrees > 0).float()[:, None], persistent=False)

    @property
    def identity(self) -> str:
        """Of the features."""
        return self._digest

    @property
    def prepared(self) -> list[Tensor]:
        """What the content is worked out from."""
        return [self.get_buffer(name) for name in self._names]

    @property
    def ids(self) -> Tensor:
        """float[n_items, d]: the items' own vectors; 0 where nobody chose one, and for some while it trains."""
        ids: Tensor = self.items * self.get_buffer("chosen")
        if self.training and torch.is_grad_enabled() and self.settings.hidden_ids:
            ids = ids * (torch.rand(len(ids), 1, device=ids.device) >= self.settings.hidden_ids)
        return ids

    def start(self) -> tuple[Tensor, Tensor]:
        """Own vectors plus content."""
        return self.start_with(self.ids)

    def start_with(self, ids: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same, of these own vectors; with bool[bands] of these bands alone."""
        more = () if kept is None else (kept,)
        content: Tensor = self.content(self.prepared, ids, *more)
        return self.users + multiply(*self.means, content), ids + content

    @abstractmethod
    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """The alignments that the settings ask for."""

    def draw_items(self, batch: TensorPairs) -> Tensor:
        """int64[m]: at most so many different items of a batch as the settings say."""
        items: Tensor = torch.unique(batch.items)
        return items[torch.randperm(len(items), device=items.device)[: self.settings.compared]]


class RecGOATNetwork(ContentNetwork[RecGOATConfig, AttentiveContent]):
    """Content is aligned with the items' own vectors, item by item and as distributions (after RecGOAT)."""

    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """InfoNCE and Wasserstein distance between own vectors and each modality."""
        config, found = self.settings, {}
        if config.align == "none" or not config.ids:
            return {}
        rows = self.draw_items(batch)
        own, views = self.items[rows], self.content.views(self.prepared, rows)
        if config.align in ("infonce", "both"):
            losses = [contrast(own, view, config.infonce_temperature) for view in views]
            found["infonce"] = (config.infonce_weight, torch.stack(losses).mean())
        if config.align in ("transport", "both"):
            distances = [transport(own, view, config.transport_blur) for view in views]
            found["transport"] = (config.transport_weight, torch.stack(distances).mean())
        return found


class SSRNetwork(ContentNetwork[SSRConfig, SpectralContent]):
    """Predictions must not depend on any single band, and bands agree between modalities (after SSR)."""

    def start(self) -> tuple[Tensor, Tensor]:
        """While it trains, without some of the bands."""
        config, kept = self.settings, None
        if self.training and torch.is_grad_enabled() and config.mask and config.bands > 1:
            chance = torch.rand(config.bands, device=self.items.device)
            kept = (chance >= config.mask) | (chance == chance.max())
        return self.start_with(self.ids, kept)

    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """Consistency of predictions, and InfoNCE between modalities in each band."""
        config, found = self.settings, {}
        if config.consistency and config.mask and config.bands > 1:
            whole = propagate(*self.start_with(self.ids), self.blocks, config.layers)
            cosines = [
                torch.cosine_similarity(users[batch.users], items[batch.items], dim=-1)
                for users, items in (passed, whole)
            ]
            found["consistency"] = (config.consistency, (cosines[0] - cosines[1]).square().mean())
        if config.infonce_weight and len(self.content.widths) > 1:
            rows = self.draw_items(batch)
            views = self.content.views(self.prepared, rows)
            losses = [
                contrast(one, other, config.infonce_temperature)
                for first, second in combinations(views, 2)
                for one, other in zip(first, second, strict=True)
            ]
            found["infonce"] = (config.infonce_weight, torch.stack(losses).mean())
        return found
