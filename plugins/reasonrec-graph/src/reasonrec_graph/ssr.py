"""The delegate ssr: ids and content in frequency bands over the items that look or read alike.

After SSR (NeurIPS 2025, arXiv 2512.01372), whose code is not public.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from reasonrec_torch.interactions import TensorPairs
from torch import Tensor, nn

from reasonrec_core.types import Float32
from reasonrec_graph.alignment import contrast, draw_nodes
from reasonrec_graph.config import SSRConfig
from reasonrec_graph.content import ContentDelegate, ContentModule, ContentNetwork
from reasonrec_graph.frequency_bands import find_band_edges, split_bands
from reasonrec_graph.graph import propagate
from reasonrec_graph.item_graph import find_neighbours, link_items
from reasonrec_graph.network import Agreements


class SpectralContent(ContentModule[SSRConfig]):
    """Features in frequency bands over the items' own graph, each mapped by itself, and mixed across bands.

    After SSR (NeurIPS 2025, arXiv 2512.01372), whose code is not public: bands of equal energy of the normalised
    Laplacian by Chebyshev filters; a low-rank mixing across bands behind a gate of each node.
    """

    edges: Tensor

    def __init__(self, config: SSRConfig, widths: Sequence[int]) -> None:
        super().__init__(config, widths)
        d, bands, rank = config.dimensions, config.bands, config.rank
        self.register_buffer("edges", torch.zeros(len(widths), bands + 1, dtype=torch.float64))
        self.maps = nn.ParameterList(nn.Parameter(torch.randn(bands, width, d) / width**0.5) for width in widths)
        self.reads = nn.Parameter(torch.randn(rank, bands) / max(bands, 1) ** 0.5)
        self.writes = nn.Parameter(torch.zeros(rank, bands))
        self.scales = nn.Parameter(torch.ones(rank, d))
        self.gate = nn.Linear(d, 1)

    def prepare(self, features: Sequence[Float32], n_known: int) -> list[np.ndarray[Any, Any]]:
        """Per modality float32[bands, n, w]; the bands' borders are found the first time, and kept."""
        config, found = self.config, []
        for at, values in enumerate(features):
            links = link_items(find_neighbours(values, n_known, config.neighbours), n_known)
            if not self.edges[at].any():
                self.edges[at] = torch.from_numpy(find_band_edges(links, values, config.bands, config.order))
            found.append(split_bands(links, values, self.edges[at].numpy(), config.order))
        return list(found)

    def forward(self, prepared: Sequence[Tensor], ids: Tensor, kept: Tensor | None = None) -> Tensor:
        """The mixed bands added up; with bool[bands] of those that are kept alone."""
        bands = torch.stack(self.views(prepared)).mean(0)
        if kept is not None:
            bands = bands * (kept / kept.float().mean())[:, None, None]
        read = torch.einsum("rb,bnd->rnd", self.reads, bands) * self.scales[:, None]
        written = torch.einsum("bn,rb->rn", torch.sigmoid(self.gate(bands))[..., 0], self.writes)
        return bands.sum(0) + torch.einsum("rn,rnd->nd", written, read)

    def views(self, prepared: Sequence[Tensor], rows: Tensor | None = None) -> list[Tensor]:
        """Per modality float[bands, n, d]: the mapped bands, of all items or of int64[n]."""
        chosen = prepared if rows is None else [values[:, rows] for values in prepared]
        return [torch.bmm(values, weights) for values, weights in zip(chosen, self.maps, strict=True)]


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
            rows = draw_nodes(batch.items, self.settings.compared)
            views = self.content.views(self.prepared, rows)
            losses = [
                contrast(one, other, config.infonce_temperature)
                for first, second in combinations(views, 2)
                for one, other in zip(first, second, strict=True)
            ]
            found["infonce"] = (config.infonce_weight, torch.stack(losses).mean())
        return found


class SSR(ContentDelegate[SSRConfig]):
    """Features in frequency bands over item graphs by modality, some hidden in training (after SSR, NeurIPS 2025)."""

    Config = SSRConfig
    Content = SpectralContent
    Network = SSRNetwork
