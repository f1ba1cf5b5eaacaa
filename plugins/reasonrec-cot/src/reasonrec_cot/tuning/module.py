"""All that is tuned, as one module: adapters in the language model, projector, head; and its loss by parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from reasonrec_cot.answers.item_head import RecHead
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import KINDS
from reasonrec_cot.finetuned import Adapter
from reasonrec_cot.items.features import ItemFeatures
from reasonrec_cot.items.soft_tokens import SoftItems
from reasonrec_cot.prompting.dialogue import SegmentKind
from reasonrec_cot.tuning.config import LoraSettings, LossWeights
from reasonrec_cot.tuning.encoding import TuningBatch
from reasonrec_cot.tuning.forward import shared_hidden

RECOMMENDATION = "recommendation"
PARTS = (RECOMMENDATION, "thought", "answer", "confidence")


@dataclass
class Losses:
    """Sums over targets, by part."""

    sums: dict[str, torch.Tensor]
    counts: dict[str, int]

    def total(self, weights: LossWeights) -> torch.Tensor:
        """The weighted sum of the parts' means."""
        parts = [getattr(weights, name) * value / max(self.counts[name], 1) for name, value in self.sums.items()]
        return torch.stack(parts).sum()


class Tunable(nn.Module):
    """Reads batches and gives their losses.

    Args:
        backbone: the model; with a rank above 0 its layers get adapters, in place. Its own weights are frozen.
        soft: soft tokens whose projector is learned, None for items as text alone.
        head: scores items.
        features: of all items, for the head.
        n_items: size of the catalogue.
        lora: adapters.
        negatives: items that the head's softmax is taken over beside the batch's targets; None for all.
    """

    def __init__(
        self,
        backbone: Backbone,
        soft: SoftItems | None,
        head: RecHead,
        features: ItemFeatures,
        n_items: int,
        lora: LoraSettings,
        negatives: int | None,
    ) -> None:
        super().__init__()
        self.backbone, self.soft, self.n_items, self.negatives = backbone, soft, n_items, negatives
        self._features = features
        backbone.model.requires_grad_(False)
        self.model: Any = backbone.model
        if lora.rank:
            self.model = get_peft_model(backbone.model, _lora(lora))
        self.head = head.to(backbone.device)
        self.projector = soft.projector.to(backbone.device) if soft is not None else None

    def groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """What is learned inside the language model, and beside it."""
        inside = [p for p in self.model.parameters() if p.requires_grad]
        beside = [p for part in (self.head, self.projector) if part is not None for p in part.parameters()]
        return inside, beside

    def learned(self) -> dict[str, torch.Tensor]:
        """All tensors that training changes, by name."""
        found = {f"model.{name}": p for name, p in self.model.named_parameters() if p.requires_grad}
        for label, part in (("head", self.head), ("projector", self.projector)):
            if part is not None:
                found |= {f"{label}.{name}": p for name, p in part.named_parameters()}
        return {name: p.detach() for name, p in found.items()}

    @torch.no_grad()
    def put(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy what `learned` gave; earlier readings do not count any more."""
        for name, value in self.learned().items():
            value.copy_(tensors[name])
        self.changed()

    def changed(self) -> None:
        """The weights are others now."""
        self.backbone.forget()
        if self.soft is not None:
            self.soft.renew()

    def forward(self, batch: TuningBatch, rng: np.random.Generator) -> Losses:
        """Losses of a batch; ``rng`` draws negatives."""
        states = shared_hidden(self.backbone, batch.tokens, self.soft)
        sums: dict[str, torch.Tensor] = {}
        counts: dict[str, int] = {}
        if len(batch.items):
            sums[RECOMMENDATION] = self._recommendation(states[batch.spots[0], batch.spots[1]], batch.items, rng)
            counts[RECOMMENDATION] = len(batch.items)
        if len(batch.next):
            logits = self.backbone.logits(states[batch.said[0], batch.said[1]])
            each = nn.functional.cross_entropy(logits, batch.next, reduction="none")
            for name in PARTS[1:]:
                mine = batch.kinds == KINDS.index(SegmentKind(name))
                if count := int(mine.sum()):
                    sums[name], counts[name] = each[mine].sum(), count
        return Losses(sums, counts)

    def _recommendation(self, states: torch.Tensor, items: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        if self.negatives is None or self.negatives >= self.n_items:
            table = self.table(np.arange(self.n_items))
            return nn.functional.cross_entropy(self.head(states, table), items, reduction="sum")
        drawn = rng.choice(self.n_items, self.negatives, replace=False)
        among, place = np.unique(np.concatenate([drawn, items.cpu().numpy()]), return_inverse=True)
        right = torch.from_numpy(place[len(drawn) :]).to(items.device)
        return nn.functional.cross_entropy(self.head(states, self.table(among)), right, reduction="sum")

    def table(self, items: np.ndarray[Any, np.dtype[np.int64]]) -> torch.Tensor:
        """float32[n, dim] vectors of items, with gradients."""
        return self.head.items(self._features.rows(items), torch.from_numpy(items).to(self.backbone.device))

    def unwrap(self) -> Adapter | None:
        """Put the adapters into the model's weights, which are transformers' own again; gives them in peft's format."""
        found = None
        if self.model is not self.backbone.model:
            with TemporaryDirectory() as folder:
                self.model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
                found = Adapter.read(Path(folder))
            self.model.merge_and_unload()
            self.model = self.backbone.model
        self.changed()
        return found


def _lora(settings: LoraSettings) -> LoraConfig:
    modules = settings.modules if isinstance(settings.modules, str) else list(settings.modules)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=modules,
        task_type="CAUSAL_LM",
    )
