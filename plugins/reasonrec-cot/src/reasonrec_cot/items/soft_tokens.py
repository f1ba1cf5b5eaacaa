"""Items as soft tokens: the mapping network of VIP5 and LLaVA and the vectors of prompts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import numpy as np
import torch
from torch import nn

from reasonrec_cot.items.features import ItemFeatures

Rows = Mapping[str, tuple[torch.Tensor, torch.Tensor]]


class Projector(nn.Module):
    """Features of items to ``per_item`` vectors in the space of token embeddings.

    Each modality is scaled and mapped to common hidden units, in which those that an item has add up; then tanh, a
    linear map to ``per_item`` vectors and a layer norm, as VIP5 (Geng et al., 2023, section 3.2: MLP, tanh, norm, k =
    2), with a gain that starts at the length of the model's own embeddings, so that a soft token is at first as loud
    as a word. A missing modality adds nothing.

    Args:
        features: gives widths and scales; not kept.
        width: d of the model's embeddings.
        per_item: vectors per item.
        hidden: units in between.
        loudness: root mean square of the model's embeddings.
        n_learned: items that have a learned vector beside their features; it begins at 0.
        dropout: of the hidden units, while it is trained.
    """

    def __init__(
        self,
        features: ItemFeatures,
        width: int,
        per_item: int = 2,
        hidden: int = 256,
        loudness: float = 1.0,
        n_learned: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.learned = nn.Embedding(n_learned, hidden) if n_learned else None
        if self.learned is not None:
            nn.init.zeros_(self.learned.weight)
        self.dropout = nn.Dropout(dropout)
        self.per_item, self.width = per_item, width
        self.enter = nn.ModuleDict({name: nn.Linear(d, hidden, bias=False) for name, d in features.widths.items()})
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.leave = nn.Linear(hidden, per_item * width)
        self.norm = nn.LayerNorm(width)
        nn.init.constant_(self.norm.weight, loudness)
        for name in features.widths:
            mean, deviation = features.scale(name)
            self.register_buffer(f"mean_{name}", torch.from_numpy(mean))
            self.register_buffer(f"deviation_{name}", torch.from_numpy(deviation))

    @property
    def n_learned(self) -> int:
        """Items with a learned vector."""
        return 0 if self.learned is None else self.learned.num_embeddings

    def forward(self, rows: Rows, items: torch.Tensor | None = None) -> torch.Tensor:
        """float32[n, per_item, width] for n items' features and which of them they have.

        Args:
            rows: see `ItemFeatures.rows`.
            items: int64[n], which items they are; those beyond the learned ones came after the fit.
        """
        total = self.bias
        if self.learned is not None and items is not None:
            mine, count = items.to(self.bias.device), self.learned.num_embeddings
            total = total + self.learned(mine.clamp_max(count - 1)) * (mine < count)[:, None]
        for name, layer in self.enter.items():
            values, there = rows[name]
            scaled = (values.to(self.bias.device) - self.get_buffer(f"mean_{name}")) / self.get_buffer(
                f"deviation_{name}"
            )
            total = total + layer(scaled) * there.to(self.bias.device)[:, None]
        vectors = self.leave(self.dropout(torch.tanh(total))).unflatten(1, (self.per_item, self.width))
        return torch.as_tensor(self.norm(vectors))


def loudness_of(embeddings: torch.Tensor) -> float:
    """Root mean square of a table of embeddings."""
    return float(embeddings.detach().float().square().mean().sqrt())


_NUMBERS = count()


class SoftItems:
    """Vectors for the codes in prompts (see `reasonrec_cot.backbone.tokenisation.Prompt.tokens`).

    Args:
        projector: learned; while it is in training mode, vectors carry gradients.
        features: of all items, also of those that came after the projector was learned.
    """

    def __init__(self, projector: Projector, features: ItemFeatures) -> None:
        self.projector, self.features = projector, features
        self._any = features.any
        self.renew()

    @property
    def per_item(self) -> int:
        """Soft tokens per item."""
        return self.projector.per_item

    @property
    def key(self) -> str:
        """What was read with these vectors is not mistaken for what was read with others."""
        return self._key

    def renew(self) -> None:
        """The projector has changed: earlier readings do not count."""
        self._key = f"soft-{next(_NUMBERS)}"

    def has(self, item: int) -> bool:
        """Whether an item has any feature; one that has none is text alone."""
        return 0 <= item < len(self._any) and bool(self._any[item])

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """float32[n, width] for int64[n] codes; every item is worked out once."""
        numbers = codes.cpu().numpy()
        items, at = np.unique(numbers // self.per_item, return_inverse=True)
        items = items.astype(np.int64)
        made = self.projector(self.features.rows(items), torch.from_numpy(items))
        index = torch.from_numpy(at * self.per_item + numbers % self.per_item)
        return torch.as_tensor(made.flatten(0, 1)[index.to(made.device)])
