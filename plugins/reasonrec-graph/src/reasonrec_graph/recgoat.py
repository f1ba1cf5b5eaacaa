"""The delegate recgoat: ids and content, aligned; items that look or read alike pass vectors to each other.

After RecGOAT (arXiv 2602.00682), whose code is not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from reasonrec_torch.interactions import TensorPairs
from torch import Tensor, nn

from reasonrec_core.types import Float32
from reasonrec_graph.alignment import contrast, draw_nodes, transport
from reasonrec_graph.config import RecGOATConfig
from reasonrec_graph.content import ContentDelegate, ContentModule, ContentNetwork
from reasonrec_graph.item_graph import find_neighbours
from reasonrec_graph.network import Agreements


class AttentiveContent(ContentModule[RecGOATConfig]):
    """Each item's mapped features, and those of the items that look or read alike, weighed by attention.

    After RecGOAT (arXiv 2602.00682), whose code is not public: attention is the scaled product of mapped features, and
    neighbours hand over their own vectors too, which is what new items live on.
    """

    def __init__(self, config: RecGOATConfig, widths: Sequence[int]) -> None:
        super().__init__(config, widths)
        self.maps = nn.ModuleList(nn.Linear(width, config.dimensions, bias=False) for width in widths)

    def prepare(self, features: Sequence[Float32], n_known: int) -> list[np.ndarray[Any, Any]]:
        """Per modality features and int64[n, k] neighbours, -1 where there are fewer."""
        linked = [find_neighbours(values, n_known, self.config.neighbours).items for values in features]
        return [*features, *linked]

    def forward(self, prepared: Sequence[Tensor], ids: Tensor) -> Tensor:
        """The sum of `views` and of what neighbours hand over."""
        total = torch.zeros_like(ids)
        for mapped, near, weights, linked in self._attend(prepared):
            handed = near + torch.nn.functional.embedding(linked, ids)
            total = total + mapped + torch.einsum("nk,nkd->nd", weights, handed)
        return total / len(self.widths)

    def views(self, prepared: Sequence[Tensor], rows: Tensor) -> list[Tensor]:
        """Per modality float[m, d]: what it alone says of the items int64[m] and their neighbours."""
        return [
            mapped + torch.einsum("nk,nkd->nd", weights, near)
            for mapped, near, weights, _ in self._attend(prepared, rows)
        ]

    def _attend(self, prepared: Sequence[Tensor], rows: Tensor | None = None) -> list[tuple[Tensor, ...]]:
        """Per modality, of all items or of int64[m]: their mapped features, those of neighbours, attention, neighbours.

        float[m, d], float[m, k, d], float[m, k] and int64[m, k]. Neighbours are looked up as embeddings, whose gradient
        adds rows up several times as fast as that of an index.
        """
        size = len(self.widths)
        found: list[tuple[Tensor, ...]] = []
        for features, linked, layer in zip(prepared[:size], prepared[size:], self.maps, strict=True):
            table = layer(features)
            mapped, linked = (table, linked) if rows is None else (table[rows], linked[rows])
            there, linked = linked >= 0, linked.clamp(min=0)
            near, logits = torch.nn.functional.embedding(linked, table), torch.zeros(linked.shape, device=table.device)
            if self.config.attention:
                logits = torch.einsum("nd,nkd->nk", mapped, near) / self.config.dimensions**0.5
            weights = torch.softmax(logits.masked_fill(~there, -1e9), dim=1) * there
            found.append((mapped, near, weights, linked))
        return found


class RecGOATNetwork(ContentNetwork[RecGOATConfig, AttentiveContent]):
    """Content is aligned with the items' own vectors, item by item and as distributions (after RecGOAT)."""

    def compare(self, passed: tuple[Tensor, Tensor], batch: TensorPairs) -> Agreements:
        """InfoNCE and Wasserstein distance between own vectors and each modality."""
        config, found = self.settings, {}
        if config.align == "none" or not config.ids:
            return {}
        rows = draw_nodes(batch.items, self.settings.compared)
        own, views = self.items[rows], self.content.views(self.prepared, rows)
        if config.align in ("infonce", "both"):
            losses = [contrast(own, view, config.infonce_temperature) for view in views]
            found["infonce"] = (config.infonce_weight, torch.stack(losses).mean())
        if config.align in ("transport", "both"):
            distances = [transport(own, view, config.transport_blur) for view in views]
            found["transport"] = (config.transport_weight, torch.stack(distances).mean())
        return found


class RecGOAT(ContentDelegate[RecGOATConfig]):
    """Content aligned with ids item by item and as distributions, over item graphs (after arXiv 2602.00682)."""

    Config = RecGOATConfig
    Content = AttentiveContent
    Network = RecGOATNetwork
