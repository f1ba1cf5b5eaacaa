"""The soft tokens of a catalogue's items, worked out when a prompt names an item."""

from __future__ import annotations

from itertools import count

import numpy as np
import torch

from reasonrec_cot.items.features import ItemFeatures
from reasonrec_cot.items.projector import Projector

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
