"""What items say by their pictures and texts, as vectors: one module for each way of working them out.

A module is given projected features of all items (`ContentModule.prepare`) and turns them into a vector for each. Items
of which neither picture nor text is known get 0. Items that came after the fit read from those before, not the other
way round.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from reasonrec_core.types import Float32
from reasonrec_graph.config import ContentConfig, RecGOATConfig, SSRConfig
from reasonrec_graph.item_graph import find_band_edges, find_neighbours, link_items, split_bands

C = TypeVar("C", bound=ContentConfig)


class ContentModule(nn.Module, Generic[C]):
    """Vectors of items from their features.

    Args:
        config: sizes.
        widths: of each modality's projected features.
    """

    def __init__(self, config: C, widths: Sequence[int]) -> None:
        super().__init__()
        self.config, self.widths = config, tuple(widths)

    @abstractmethod
    def prepare(self, features: Sequence[Float32], n_known: int) -> list[np.ndarray[Any, Any]]:
        """Arrays that `forward` takes, worked out once.

        Args:
            features: per modality float32[n, w], 0 where an item has none.
            n_known: items of the fit; the others came later.
        """

    @abstractmethod
    def forward(self, prepared: Sequence[Tensor], ids: Tensor) -> Tensor:
        """float[n, d].

        Args:
            prepared: what `prepare` gave.
            ids: float[n, d], the items' own vectors; 0 for those without.
        """


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
