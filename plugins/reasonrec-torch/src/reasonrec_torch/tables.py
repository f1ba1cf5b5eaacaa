"""Item tables that grow: what was learned per item, loaded for a catalogue that has become longer since."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from reasonrec_core.catalog_growth import last_of_all
from reasonrec_core.errors import DataError
from reasonrec_core.types import Float32, QueryBatch


class ItemTable(nn.Module):
    """A vector and a bias per item.

    A table that is longer than the saved one takes it in as its first rows (`torch.nn.Module.load_state_dict`): items
    that came after the fit follow, as the mean of the others or as zeros, and without a bias. A shorter one refuses.

    Args:
        n_items: rows.
        dimensions: d.
        spread: standard deviation of new vectors.
        newcomers: what items that came after the fit are.

    Attributes:
        vectors: float[n, d].
        bias: float[n].
        fitted: int64 scalar, items of the fit; saved with the table.
    """

    fitted: Tensor

    def __init__(
        self, n_items: int, dimensions: int, spread: float = 0.02, newcomers: Literal["mean", "zero"] = "mean"
    ) -> None:
        super().__init__()
        self.newcomers = newcomers
        self.vectors = nn.Parameter(torch.randn(n_items, dimensions) * spread)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.register_buffer("fitted", torch.tensor(n_items))

    def __len__(self) -> int:
        return len(self.vectors)

    def forward(self, items: Tensor) -> Tensor:
        """float[..., d] vectors of int64[...] items; 0 for -1, which pads."""
        return self.vectors[items.clamp(min=0)] * (items >= 0).unsqueeze(-1)

    def put_newcomers_last(self, scores: Float32, batch: QueryBatch) -> Float32:
        """float32[B, n] (or [B, C] of the batch's candidates) with items that came after the fit below all others."""
        fitted = int(self.fitted)
        items = torch.arange(scores.shape[1]).numpy() if batch.candidates is None else batch.candidates
        last_of_all(scores, items, fitted)
        return scores

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        vectors, bias = state_dict.get(f"{prefix}vectors"), state_dict.get(f"{prefix}bias")
        if vectors is not None and bias is not None:
            state_dict[f"{prefix}vectors"] = grow_rows(vectors, len(self), self.newcomers)
            state_dict[f"{prefix}bias"] = grow_rows(bias, len(self), "zero")
        super()._load_from_state_dict(state_dict, prefix, *rest)


def grow_rows(values: Tensor, n_items: int, newcomers: Literal["mean", "zero"] = "mean") -> Tensor:
    """``values`` ([n, ...], a row per item of the fit) with rows for the items up to ``n_items``.

    Raises:
        DataError: the catalogue is shorter than it was.
    """
    more = n_items - len(values)
    if more < 0:
        raise DataError(
            f"the catalogue has {n_items} items, but the table was fitted on {len(values)}",
            fix="A catalogue may only grow at its end. Fit again.",
        )
    if not more:
        return values
    new = values.mean(0, keepdim=True) if newcomers == "mean" else torch.zeros_like(values[:1])
    return torch.cat([values, new.expand(more, *values.shape[1:])])
