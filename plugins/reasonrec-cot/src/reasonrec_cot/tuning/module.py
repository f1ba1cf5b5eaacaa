"""All that is tuned, as one model: adapters in the language model, projector, head; and its loss by parts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from reasonrec_torch.config import TrainerConfig
from reasonrec_torch.model_protocol import BatchLoss, Trainable
from torch import nn

from reasonrec_cot.answers.exit_heads import ExitHeads
from reasonrec_cot.answers.item_head import RecHead
from reasonrec_cot.backbone.model import Backbone
from reasonrec_cot.backbone.tokenisation import KINDS
from reasonrec_cot.exit_config import ExitConfig
from reasonrec_cot.finetuned import Adapter
from reasonrec_cot.items.features import ItemFeatures
from reasonrec_cot.items.soft_tokens import SoftItems
from reasonrec_cot.prompting.dialogue import SegmentKind
from reasonrec_cot.tuning.encoding import TuningBatch
from reasonrec_cot.tuning.forward import shared_hidden
from reasonrec_cot.tuning_config import LoraSettings, TuningConfig

RECOMMENDATION, EXITS = "recommendation", "exits"
PARTS = (RECOMMENDATION, "thought", "answer", "confidence")
BETAS = (0.9, 0.98)


class TunableModel(Trainable[TuningBatch]):
    """Reads batches and gives their losses.

    Args:
        backbone: the model; with a rank above 0 its layers get adapters, in place. Its own weights are frozen.
        soft: soft tokens whose projector is learned, None for items as text alone.
        head: scores items.
        features: of all items, for the head.
        n_items: size of the catalogue.
        config: adapters, rates, weights of the loss, and items that the head's softmax is taken over.
        exits: where heads of yes and no are learned, None for none.
        yes: the token that says yes.
    """

    def __init__(
        self,
        backbone: Backbone,
        soft: SoftItems | None,
        head: RecHead,
        features: ItemFeatures,
        n_items: int,
        config: TuningConfig,
        exits: ExitConfig | None = None,
        yes: int = -1,
    ) -> None:
        super().__init__()
        self.backbone, self.soft, self.n_items, self.config = backbone, soft, n_items, config
        self._features = features
        backbone.model.requires_grad_(False)
        self.model: Any = backbone.model
        if config.lora.rank:
            self.model = get_peft_model(backbone.model, _lora(config.lora))
        self.head = head.to(backbone.device)
        self.projector = soft.projector.to(backbone.device) if soft is not None else None
        self.exits: ExitHeads | None = None
        if exits is not None:
            self.exits = ExitHeads(backbone.width, exits.place(backbone.layers)).to(backbone.device)
        self._exit_weight, self._yes = exits.weight if exits is not None else 0.0, yes

    def groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """What is learned inside the language model, and beside it."""
        inside = [p for p in self.model.parameters() if p.requires_grad]
        beside = [p for part in (self.head, self.projector) if part is not None for p in part.parameters()]
        return inside, beside

    def make_optimiser(self, config: TrainerConfig) -> torch.optim.Optimizer:
        """AdamW: adapters at their own rate, projector and head, which start from nothing, at theirs."""
        rates = self.config.learning_rate, self.config.head_rate
        groups: list[dict[str, Any]]
        groups = [{"params": params, "lr": rate} for params, rate in zip(self.groups(), rates, strict=True) if params]
        if self.exits is not None:
            groups += self.exits.rates(self.config.head_rate, self.backbone.layers)
        return torch.optim.AdamW(groups, betas=BETAS, weight_decay=config.weight_decay)

    def learned_tensors(self) -> dict[str, torch.Tensor]:
        """All tensors that training changes, by name."""
        found = {f"model.{name}": p for name, p in self.model.named_parameters() if p.requires_grad}
        for label, part in (("head", self.head), ("projector", self.projector), ("exits", self.exits)):
            if part is not None:
                found |= {f"{label}.{name}": p for name, p in part.named_parameters()}
        return {name: p.detach() for name, p in found.items()}

    def weights_changed(self) -> None:
        """Earlier readings do not count any more."""
        self.backbone.forget()
        if self.soft is not None:
            self.soft.renew()

    def loss(self, batch: TuningBatch, rng: np.random.Generator) -> BatchLoss:
        """The weighed sum of the means of each part; ``rng`` draws negatives."""
        wanted = self.exits.layers if self.exits is not None and batch.asked.numel() else ()
        states, early = shared_hidden(self.backbone, batch.tokens, self.soft, wanted)
        parts: dict[str, torch.Tensor] = {}
        counts: dict[str, int] = {}
        if len(batch.items):
            counts[RECOMMENDATION] = len(batch.items)
            said = self._recommendation(states[batch.spots[0], batch.spots[1]], batch.items, rng)
            parts[RECOMMENDATION] = said / counts[RECOMMENDATION]
        if len(batch.next):
            logits = self.backbone.logits(states[batch.learned[0], batch.learned[1]])
            each = nn.functional.cross_entropy(logits, batch.next, reduction="none")
            for name in PARTS[1:]:
                mine = batch.kinds == KINDS.index(SegmentKind(name))
                if count := int(mine.sum()):
                    parts[name], counts[name] = each[mine].sum() / count, count
        if early and self.exits is not None:
            rows, places = batch.asked
            clicked = (batch.tokens[rows, places + 1] == self._yes).float()
            counts[EXITS] = len(rows)
            parts[EXITS] = self.exits.loss({layer: found[rows, places] for layer, found in early.items()}, clicked)
        if not parts:
            return BatchLoss(None)
        weights = {**self.config.weights.model_dump(), EXITS: self._exit_weight}
        total = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        return BatchLoss(total, parts, counts)

    def _recommendation(self, states: torch.Tensor, items: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        negatives = self.config.negatives
        if negatives is None or negatives >= self.n_items:
            table = self.table(np.arange(self.n_items))
            return nn.functional.cross_entropy(self.head(states, table), items, reduction="sum")
        drawn = rng.choice(self.n_items, negatives, replace=False)
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
        self.weights_changed()
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
